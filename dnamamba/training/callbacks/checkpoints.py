"""The checkpoint to resume from."""

import logging
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities.exceptions import SIGTERMException

from dnamamba.training.callbacks.non_finite import NonFiniteError
from dnamamba.training.lightning_private import hold_sigterm, release_sigterm, save_checkpoint

__all__ = ["LastCheckpoint"]

_log = logging.getLogger(__name__)


class LastCheckpoint(ModelCheckpoint):
    """Keeps ``last.ckpt``: every so many steps, at the end, and when the run is cut short.

    A run that is cut short (SIGTERM, Ctrl-C, an error) is saved only between two optimiser steps,
    so that a resume is exact: not while weights are restored or updated, nor with gradients
    gathered for the next step. SIGTERM waits for the end of the step. Not saved is a run that
    met NaN or could not write; nor, with several processes, one that anything but SIGTERM ended,
    which Lightning raises on all of them together: an error on one alone would leave the others
    waiting. In all these cases the last regular checkpoint stands.

    Args:
        folder: where ``last.ckpt`` is kept.
        every_n_steps: optimiser steps between two regular saves.
    """

    def __init__(self, folder: str | Path, every_n_steps: int) -> None:
        super().__init__(
            folder,
            "last",
            every_n_train_steps=every_n_steps,
            save_on_train_epoch_end=False,
            enable_version_counter=False,
        )
        self._between_steps = False  # before training starts a resumed run is restored in part
        self._sigterm_waits = False

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.format_checkpoint_name({}))

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._between_steps = True

    def on_before_optimizer_step(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        self._between_steps = False

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        gathered = (batch_idx + 1) % trainer.accumulate_grad_batches
        self._between_steps = gathered == 0 or trainer.is_last_batch
        self._hold_sigterm(trainer)
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        # Here and not when training ends: by then Lightning has closed the epoch, and a longer
        # run could not be continued from the middle of it.
        if self._between_steps and _is_last(trainer):
            self._save_now(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._save_now(trainer)  # stopped early

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        together = trainer.world_size == 1 or isinstance(exception, SIGTERMException)
        harmless = not isinstance(exception, NonFiniteError | OSError)
        if not (self._between_steps and together and harmless):
            return
        try:
            saved = self._save_now(trainer)
        except NonFiniteError as error:  # found out only now; what ended the run stays the reason
            _log.warning("not saved: %s", error)
            return
        if saved:
            _log.info("saved %s at step %d", self.path, trainer.global_step)

    def _hold_sigterm(self, trainer: pl.Trainer) -> None:
        """Lightning stops at the end of any batch, be it in the middle of a step."""
        if not self._between_steps:
            self._sigterm_waits |= hold_sigterm(trainer)
        elif self._sigterm_waits:
            release_sigterm(trainer)

    def _save_now(self, trainer: pl.Trainer) -> bool:
        saved = save_checkpoint(self, trainer, str(self.path))
        if saved:
            self.best_model_path = str(self.path)
        return saved


def _is_last(trainer: pl.Trainer) -> bool:
    if trainer.max_steps == trainer.global_step:
        return True
    last_epoch = trainer.max_epochs is not None and trainer.current_epoch + 1 == trainer.max_epochs
    return last_epoch and trainer.is_last_batch
