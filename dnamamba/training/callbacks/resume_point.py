"""Where in its run a checkpoint stands, and how a run is taken up from there."""

import logging
from copy import deepcopy
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.callbacks.early_stopping import EarlyStoppingReason
from pytorch_lightning.trainer.states import TrainerFn

from dnamamba.training.lightning_private import (
    align_logged_steps,
    callback_states,
    callbacks_of,
    close_epoch,
    end_restart,
    interrupted,
    is_epoch_read,
    limit_steps,
    restart_from,
    show_metrics,
    validation_follows,
)
from dnamamba.training.metrics_file import MetricsFile

__all__ = ["ResumePoint"]

_KEY = "resume_point"
_log = logging.getLogger(__name__)


class ResumePoint(pl.Callback):
    """Marks what a checkpoint knows, and takes up a run behind it.

    A checkpoint stands behind a batch, and the validation that belongs to that batch is done, or
    marked as due: then the resumed run begins with it, as nothing of it had happened. Whatever a
    validation cut short has changed by then (the count of EarlyStopping, the best so far) is in
    no checkpoint. Kept besides: the metrics that callbacks see, whether training was told to
    stop, and how many rows ``metrics.csv`` had.
    """

    def __init__(self) -> None:
        self._validated = False  # the validation that belongs to the last batch is done
        self._before_validation: dict[str, Any] | None = None  # what was known before it
        self._resumed: dict[str, Any] | None = None
        self._limit: int | None = None  # trainer.max_steps, while it is lifted

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        known = self._before_validation
        if known is None or (self._validated and not interrupted(trainer)):
            due = not self._validated and validation_follows(trainer)
            checkpoint[_KEY] = {"validation_due": due, **_known(trainer)}
        else:
            known = deepcopy(known)
            checkpoint["callbacks"] = known.pop("callbacks")
            checkpoint[_KEY] = {"validation_due": True, **known}

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.state.fn != TrainerFn.FITTING:
            return
        loops = checkpoint["loops"]["fit_loop"]
        # Of a checkpoint without a mark one knows only whether it was saved within a batch's end.
        counts = loops["epoch_loop.batch_progress"]["total"]
        point = {"validation_due": counts["completed"] < counts["processed"]}
        point |= checkpoint.get(_KEY, {}) | {"step": checkpoint["global_step"]}
        restart_from(loops, point["validation_due"])
        stopped = _patience(trainer, checkpoint.get("callbacks", {}))
        point["should_stop"] = point.get("should_stop", False) and stopped
        self._resumed, self._validated = point, not point["validation_due"]

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        point = self._resumed
        if point is None:
            return
        step, due = point["step"], point["validation_due"]
        show_metrics(trainer, point.get("metrics", {}))
        for logger in trainer.loggers:
            if isinstance(logger, MetricsFile) and trainer.is_global_zero:
                logger.go_back(step, due, point.get("rows"))
        if point["should_stop"]:
            trainer.should_stop = True
            _log.info(
                "the run was stopped early at step %d; to train on, raise the patience of "
                "EarlyStopping",
                step,
            )
        if due and -1 < trainer.max_steps <= step:
            # Lightning would find nothing to do.
            self._limit = trainer.max_steps
            limit_steps(trainer, step + 1)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._resumed is not None and not validation_follows(trainer):
            self._lower_limit(trainer)
            if is_epoch_read(trainer):
                close_epoch(trainer)

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if self._resumed is not None:
            self._resumed = None
            align_logged_steps(trainer)
        self._validated, self._before_validation = False, None

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking:
            known = {"callbacks": callback_states(trainer), **_known(trainer)}
            self._before_validation = deepcopy(known)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._before_validation is not None:
            self._validated = True
            self._lower_limit(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._before_validation = None
        end_restart(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._before_validation = None

    def _lower_limit(self, trainer: pl.Trainer) -> None:
        if self._limit is not None:
            limit_steps(trainer, self._limit)
            self._limit = None


def _known(trainer: pl.Trainer) -> dict[str, Any]:
    rows = None
    for logger in trainer.loggers:
        if isinstance(logger, MetricsFile) and trainer.is_global_zero:
            logger.save()  # what a checkpoint counts survives a power cut as the checkpoint does
            rows = logger.rows
    metrics = {name: value.detach().cpu() for name, value in trainer.callback_metrics.items()}
    return {"metrics": metrics, "should_stop": bool(trainer.should_stop), "rows": rows}


def _patience(trainer: pl.Trainer, states: dict[str, Any]) -> bool:
    """Keep the patience that is set now; whether a run that was told to stop stays stopped."""
    stopped = False
    for callback in callbacks_of(trainer):
        state = states.get(callback.state_key)
        if isinstance(callback, EarlyStopping) and state:
            told = state.get("stopping_reason") not in (None, EarlyStoppingReason.NOT_STOPPED.value)
            stopped |= told and callback.patience <= state["patience"]
            state["patience"] = callback.patience
    return stopped
