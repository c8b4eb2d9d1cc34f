"""The last checkpoint of a run, to resume from."""

import logging
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities.exceptions import SIGTERMException

from dnamamba.training.callbacks.best_checkpoint import BestCheckpoint
from dnamamba.training.callbacks.non_finite import NonFiniteError
from dnamamba.training.callbacks.resume_point import ResumePoint
from dnamamba.training.lightning_private import (
    call_first,
    hold_sigterm,
    is_between_steps,
    is_epoch_read,
    release_sigterm,
    save_checkpoint,
)

__all__ = ["LastCheckpoint"]

_log = logging.getLogger(__name__)


class LastCheckpoint(ModelCheckpoint):
    """Keeps ``last.ckpt``: every so many steps, at the end, and when the run is cut short.

    A step is saved when the next one begins, so that all that belongs to it has happened: its
    log line, its validation, what other callbacks made of that. ``ResumePoint`` comes along, where
    the module does not bring it.

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
        self.every_n_steps = every_n_steps
        self._training = False  # before it starts a resumed run is restored in part
        self._updating = False  # the optimiser is at work
        self._due = False
        self._sigterm_waits = False

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.format_checkpoint_name({}))

    def state_dict(self) -> dict[str, Any]:
        """Nothing: where the file lies the command says."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        # First: when it hears that something new begins, no other callback has made anything of it.
        call_first(trainer, self, ResumePoint())

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._training, self._updating, self._due = True, False, False

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._save_if_due(trainer)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._save_if_due(trainer)

    def on_before_optimizer_step(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        self._updating = True

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        stepped, self._updating = self._updating, False
        self._due |= stepped and trainer.global_step % self.every_n_steps == 0
        gathered = (batch_idx + 1) % trainer.accumulate_grad_batches
        if gathered and not trainer.is_last_batch:
            # Lightning stops at the end of any batch, be it in the middle of a step.
            self._sigterm_waits |= hold_sigterm(trainer)
        elif self._sigterm_waits:
            release_sigterm(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Nothing: other callbacks have yet to hear of it."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # In the middle of an epoch training ends here. Saved before callbacks take it for the end
        # of the epoch: a longer run is continued from the middle.
        if not is_epoch_read(trainer):
            self._save_now(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._save_now(trainer)
        self._training = False

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        saveable = self._training and not self._updating and is_between_steps(trainer)
        together = trainer.world_size == 1 or isinstance(exception, SIGTERMException)
        harmless = not isinstance(exception, NonFiniteError | OSError)
        self._training = False
        if not (saveable and together and harmless):
            return
        try:
            saved = self._save_now(trainer)
        except NonFiniteError as error:  # found out only now; what ended the run stays the reason
            _log.warning("not saved: %s", error)
            return
        if saved:
            _log.info("saved %s at step %d", self.path, trainer.global_step)

    def _save_if_due(self, trainer: pl.Trainer) -> None:
        if self._due:
            self._save_now(trainer)

    def _save_now(self, trainer: pl.Trainer) -> bool:
        saved = save_checkpoint(self, trainer, str(self.path))
        self._due = False
        if saved:
            self.best_model_path = str(self.path)
            for callback in trainer.checkpoint_callbacks:
                if isinstance(callback, BestCheckpoint):
                    callback.settle(trainer)
        return saved
