"""Random number generators, carried by the checkpoint."""

import random
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.exceptions import SIGTERMException

from dnamamba.training.lightning_private import batches_processed

__all__ = ["RandomState"]

State = dict[str, Any]
_KEY = "random_state"


class RandomState(pl.Callback):
    """Saves the generators of Python, NumPy and torch (CPU and GPU), and restores them.

    Lightning's checkpoints hold none of them, so that dropout and the like would differ after
    a resume. The saved state is the one that the next training batch will start from: of the
    batch in flight if an exception cuts it short, and never one that validation has moved on.
    It is restored right before the first resumed batch, after the loaders have been built.

    Each rank's state is saved. After an exception on one rank alone the others cannot be
    asked, and the saved state of that rank stands for all. With more ranks than saved states
    the states are dealt out in turn.
    """

    def __init__(self) -> None:
        self._to_restore: State | None = None
        self._before_batch: tuple[int, State] | None = None  # (batches processed, state)
        self._before_validation: State | None = None
        self._may_gather = True

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self._to_restore is not None:
            _restore(self._to_restore, trainer.strategy.root_device)
            self._to_restore = None
        self._before_batch = batches_processed(trainer), _collect(trainer.strategy.root_device)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._before_validation = _collect(trainer.strategy.root_device)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._before_validation is not None:
            _restore(self._before_validation, trainer.strategy.root_device)
            self._before_validation = None

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        # Lightning raises SIGTERMException on every rank at the same batch; other exceptions
        # may have hit this rank alone, and a collective call would wait for ever.
        self._may_gather = isinstance(exception, SIGTERMException)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        states: list[State] = [self._for_next_batch(trainer)]
        if trainer.world_size > 1 and self._may_gather:
            gathered: list[Any] = [None] * trainer.world_size
            torch.distributed.all_gather_object(gathered, states[0])
            states = gathered
        checkpoint[_KEY] = states

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        states = checkpoint.get(_KEY)
        if states:  # a checkpoint written without this callback has none
            self._to_restore = states[trainer.global_rank % len(states)]

    def _for_next_batch(self, trainer: pl.Trainer) -> State:
        if self._to_restore is not None:  # resumed, and not one batch done since
            return self._to_restore
        if self._before_batch is not None and self._before_batch[0] == batches_processed(trainer):
            return self._before_batch[1]
        if self._before_validation is not None:
            return self._before_validation
        return _collect(trainer.strategy.root_device)


def _collect(device: torch.device) -> State:
    """Plain types and tensors only, so that weights-only loading accepts them."""
    numpy_state: Any = np.random.get_state(legacy=False)  # noqa: NPY002 (the global generator)
    state: State = {
        "python": random.getstate(),
        "numpy": {
            "bit_generator": numpy_state["bit_generator"],
            "key": torch.from_numpy(numpy_state["state"]["key"].astype(np.int64)),
            "pos": numpy_state["state"]["pos"],
            "has_gauss": numpy_state["has_gauss"],
            "gauss": numpy_state["gauss"],
        },
        "torch": torch.get_rng_state(),
    }
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def _restore(state: State, device: torch.device) -> None:
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    saved = state["numpy"]
    np.random.set_state(  # noqa: NPY002
        {
            "bit_generator": saved["bit_generator"],
            "state": {"key": saved["key"].numpy().astype(np.uint32), "pos": saved["pos"]},
            "has_gauss": saved["has_gauss"],
            "gauss": saved["gauss"],
        }
    )
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
