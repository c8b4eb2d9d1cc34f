"""What the next training batch begins with, carried by the checkpoint."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.exceptions import SIGTERMException

from dnamamba.training.lightning_private import batches_processed

__all__ = ["NextBatchState"]

State = dict[str, Any]


class NextBatchState(pl.Callback, ABC):
    """Saves a state that batches change, and restores it.

    The saved state is the one that the next training batch will start from: of the batch in
    flight if an exception cuts it short, and never one that validation has moved on. It is
    restored right before what comes first after a resume, a validation or a batch, when the
    loaders have been built.

    Each rank's state is saved. After an exception on one rank alone the others cannot be asked,
    and the saved state of that rank stands for all.
    """

    key: ClassVar[str]
    """Where in the checkpoint the states lie."""

    def __init__(self) -> None:
        self._to_restore: State | None = None
        self._before_batch: tuple[int, State] | None = None  # (batches processed, state)
        self._before_validation: State | None = None
        self._may_gather = True

    @abstractmethod
    def collect(self, trainer: pl.Trainer, module: pl.LightningModule) -> State:
        """The state now."""

    @abstractmethod
    def restore(self, state: State, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Go back to a state."""

    @abstractmethod
    def choose(self, states: Sequence[State], trainer: pl.Trainer) -> State:
        """This rank's state, of those of the ranks that there were."""

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self._to_restore is not None:
            self.restore(self._to_restore, trainer, pl_module)
            self._to_restore = None
        self._before_batch = batches_processed(trainer), self.collect(trainer, pl_module)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._to_restore is not None:
            self.restore(self._to_restore, trainer, pl_module)
        self._before_validation = self.collect(trainer, pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._before_validation is not None:
            self.restore(self._before_validation, trainer, pl_module)
            self._before_validation = None

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        # Lightning raises SIGTERMException on every rank at the same batch; other exceptions
        # may have hit this rank alone, and a collective call would wait for ever.
        self._may_gather = isinstance(exception, SIGTERMException)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: State
    ) -> None:
        states: list[State] = [self._for_next_batch(trainer, pl_module)]
        if trainer.world_size > 1 and self._may_gather:
            gathered: list[Any] = [None] * trainer.world_size
            torch.distributed.all_gather_object(gathered, states[0])
            states = gathered
        checkpoint[self.key] = states

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: State
    ) -> None:
        states = checkpoint.get(self.key)
        if states:  # a checkpoint written without this callback has none
            self._to_restore = self.choose(states, trainer)

    def _for_next_batch(self, trainer: pl.Trainer, module: pl.LightningModule) -> State:
        if self._to_restore is not None:  # resumed, and not one batch done since
            return self._to_restore
        if self._before_batch is not None and self._before_batch[0] == batches_processed(trainer):
            return self._before_batch[1]
        if self._before_validation is not None:
            return self._before_validation
        return self.collect(trainer, module)
