"""The best checkpoint of a run, and what it was when the last one was saved."""

import logging
import os
import shutil
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

from dnamamba.checkpoint.archive import read_archive
from dnamamba.checkpoint.parts import CheckpointError

__all__ = ["BEFORE", "BestCheckpoint"]

BEFORE = ".best.ckpt.before"
_STEP = "best_step"
_log = logging.getLogger(__name__)


class BestCheckpoint(ModelCheckpoint):
    """Keeps ``best.ckpt``: the step at which a validation metric was best.

    A run that is killed goes on from its ``last.ckpt``, which does not know of a better step
    behind it, and need not come by one again: on a GPU, or at another learning rate. So the
    ``best.ckpt`` that ``last.ckpt`` knows is kept beside a newer one, until the next
    ``last.ckpt`` knows that, and a resume puts it back.

    The folder may be moved or renamed between a run and its resume. Without the ``best.ckpt``
    that the checkpoint knows, as in a new folder that goes on from a checkpoint elsewhere, the
    best is looked for anew.

    Args:
        folder: where ``best.ckpt`` is kept.
        metric: the name under which it is logged.
        mode: ``min`` or ``max``.
    """

    def __init__(self, folder: str | Path, metric: str, mode: str) -> None:
        super().__init__(
            folder,
            "best",
            monitor=metric,
            mode=mode,
            save_on_train_epoch_end=False,
            enable_version_counter=False,
        )
        self._step: int | None = None  # of the best
        self._told: int | None = None  # the same, as the checkpoint written last says it
        self._known = False  # best.ckpt is the one that the resumed checkpoint speaks of

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.format_checkpoint_name({}))

    @property
    def step(self) -> int | None:
        """Optimiser steps after which the best was saved; None before, or where nobody knows."""
        return self._step

    @property
    def state_key(self) -> str:
        # Runs of before this class kept the state under Lightning's name.
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), _STEP: self._step}

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        # What it says may be what was known before a validation that was cut short.
        self._told = checkpoint["callbacks"].get(self.state_key, {}).get(_STEP)

    def settle(self, trainer: pl.Trainer) -> None:
        """``last.ckpt`` has been saved: forget the best of before, if it knows the present one."""
        if trainer.is_global_zero and self._told == self._step:
            self._before.unlink(missing_ok=True)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        state = checkpoint.get("callbacks", {}).get(self.state_key, {})
        if state.get("best_model_score") is None:
            return
        self._step = state.get(_STEP)
        # One process looks at the files, and changes them.
        mine = trainer.is_global_zero and self._is_there(checkpoint["global_step"])
        self._known = trainer.strategy.broadcast(mine)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if not self._known:
            self._step = None
            return
        path = str(self.path)
        paths = {
            "best_model_path": path,
            "kth_best_model_path": path,
            "best_k_models": {path: state_dict["best_model_score"]},
        }
        super().load_state_dict({**state_dict, **paths, "dirpath": self.dirpath})
        self.current_score = state_dict["current_score"]

    @property
    def _before(self) -> Path:
        return self.path.with_name(BEFORE)

    def _save_checkpoint(self, trainer: pl.Trainer, filepath: str) -> None:
        if trainer.is_global_zero and self.path.is_file() and not self._before.exists():
            try:
                os.link(self.path, self._before)
            except OSError:  # a filesystem without hard links
                shutil.copyfile(self.path, self._before)
        self._step = trainer.global_step
        super()._save_checkpoint(trainer, filepath)

    def _is_there(self, resumed_at: int) -> bool:
        """Whether ``best.ckpt`` is, or has become again, what the resumed checkpoint knows."""
        if not self.path.is_file():
            _log.warning("there is no %s; the best step is looked for anew", self.path)
            return False
        step = _step_of(self.path)
        if step is None or self._is_known(step, resumed_at):
            self._before.unlink(missing_ok=True)
            return True
        if self._before.is_file() and self._is_known(_step_of(self._before), resumed_at):
            self._before.replace(self.path)
            return True
        _log.warning(
            "%s is of step %d, which the resumed checkpoint does not know; the best step is "
            "looked for anew",
            self.path,
            step,
        )
        return False

    def _is_known(self, step: int | None, resumed_at: int) -> bool:
        if step is None:
            return False
        # A checkpoint of before says only which score was the best.
        return step <= resumed_at if self._step is None else step == self._step


def _step_of(path: Path) -> int | None:
    """None for a file that does not say it, or is damaged: whoever reads its weights says so."""
    try:
        return int(read_archive(path)["global_step"])
    except (CheckpointError, OSError, KeyError, TypeError, ValueError):
        return None
