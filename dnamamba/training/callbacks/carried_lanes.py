"""The states of lanes, carried by the checkpoint."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import pytorch_lightning as pl

from dnamamba.training.callbacks.next_batch import NextBatchState
from dnamamba.training.lanes import LaneStates, joined
from dnamamba.training.lightning_private import batches_processed
from dnamamba.training.sequence_parallel import pieces_of

__all__ = ["CarriedLanes", "TrainsLanes"]

State = dict[str, Any]


@runtime_checkable
class TrainsLanes(Protocol):
    """A module that carries states from batch to batch."""

    lane_states: LaneStates


class CarriedLanes(NextBatchState):
    """Saves the states of ``module.lane_states``, and restores them.

    They are saved by lane, and dealt out anew on a resume, whatever the devices and accumulated
    batches then are. Saved is what an optimiser step begins with: one that is broken off begins
    again. Of devices that share rows one saves them. Without lanes nothing is saved.
    """

    key = "lanes"

    def __init__(self) -> None:
        super().__init__()
        self._at_step: State = {}

    def collect(self, trainer: pl.Trainer, module: pl.LightningModule) -> State:
        pieces = pieces_of(trainer)
        if pieces is not None and pieces.rank:  # whoever holds the first piece is given the states
            return {}
        if batches_processed(trainer) % trainer.accumulate_grad_batches == 0:
            self._at_step = module.lane_states.saved() if isinstance(module, TrainsLanes) else {}
        return self._at_step

    def restore(self, state: State, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if isinstance(module, TrainsLanes):
            module.lane_states.restore(state)

    def choose(self, states: Sequence[State], trainer: pl.Trainer) -> State:
        return joined(states)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Nothing: a validation has states of its own, and may come in the middle of a step."""

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Nothing."""

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: State
    ) -> None:
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        if not any(checkpoint[self.key]):
            del checkpoint[self.key]

    def _for_next_batch(self, trainer: pl.Trainer, module: pl.LightningModule) -> State:
        state = super()._for_next_batch(trainer, module)
        if not state:
            return {}
        return {**state, "state": [x.cpu() for x in state["state"]]}
