"""The checkpoint to resume from."""

import logging
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities.exceptions import SIGTERMException

from dnamamba.training.callbacks.non_finite import NonFiniteError

__all__ = ["LastCheckpoint"]

_log = logging.getLogger(__name__)


class LastCheckpoint(ModelCheckpoint):
    """Keeps ``last.ckpt``: every so many steps, at the end, and when the run is cut short.

    A run that is cut short (SIGTERM, Ctrl-C, an error) is saved only where that is safe: not
    while the weights are restored or an optimiser step is taken, where some may be new and some
    old; not after NaN or a failed write; and with several processes only at SIGTERM, which
    Lightning raises on all of them together, since an error on one alone would leave the others
    waiting. In all other cases the last regular checkpoint stands.

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
        # Before training starts a resumed run may be restored in part.
        self._weights_are_whole = False

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.format_checkpoint_name({}))

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._weights_are_whole = True

    def on_before_optimizer_step(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        self._weights_are_whole = False

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        self._weights_are_whole = True
        super().on_train_batch_end(trainer, *args, **kwargs)
        # Here and not when training ends: by then Lightning has closed the epoch, and a longer
        # run could not be continued from the middle of it.
        if _is_last(trainer):
            self._save_now(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._save_now(trainer)  # stopped early

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        together = trainer.world_size == 1 or isinstance(exception, SIGTERMException)
        harmless = not isinstance(exception, NonFiniteError | OSError)
        if self._weights_are_whole and together and harmless and self._save_now(trainer):
            _log.info("saved %s at step %d", self.path, trainer.global_step)

    def _save_now(self, trainer: pl.Trainer) -> bool:
        if self._should_skip_saving_checkpoint(trainer):
            return False
        self._save_checkpoint(trainer, str(self.path))
        self.best_model_path = str(self.path)
        return True


def _is_last(trainer: pl.Trainer) -> bool:
    if trainer.max_steps == trainer.global_step:
        return True
    last_epoch = trainer.max_epochs is not None and trainer.current_epoch + 1 == trainer.max_epochs
    return last_epoch and trainer.is_last_batch
