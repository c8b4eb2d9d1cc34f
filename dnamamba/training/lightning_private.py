"""What this room uses of Lightning that is not part of its public face.

An upgrade must check each again, and more that lies in rooms which do not import this one:
``dnamamba.data.modules.position`` counts by ``fit_loop.epoch_loop.batch_progress`` and, where a
resumed run accumulates otherwise than before, writes its counts anew; ``dnamamba.cli.training``
builds the trainer by ``LightningCLI._get`` and ``._instantiate_trainer``;
``dnamamba.training.replicated`` makes DDP in ``DDPStrategy._setup_model``.

Lightning counts batches and epochs four times each (ready, started, processed, completed), in
total and within the epoch. ``processed`` is the one that is right at every moment.
"""

from collections.abc import Collection, Mapping
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.trainer.states import TrainerStatus
from torch import Tensor

__all__ = [
    "align_logged_steps",
    "ask_no_others",
    "batches_processed",
    "call_first",
    "callback_states",
    "callbacks_of",
    "close_epoch",
    "end_restart",
    "hold_sigterm",
    "interrupted",
    "is_between_steps",
    "is_epoch_read",
    "limit_steps",
    "release_sigterm",
    "restart_from",
    "save_checkpoint",
    "show_metrics",
    "steps_of_run",
    "validation_follows",
]

_COUNTS = ("ready", "started", "processed", "completed")


def batches_processed(trainer: pl.Trainer) -> int:
    """Training batches done over the whole run, resumes included."""
    progress: Any = trainer.fit_loop.epoch_loop.batch_progress.total
    return int(progress.processed)


def align_logged_steps(trainer: pl.Trainer) -> None:
    """Let Lightning's own count of steps for loggers be the right one; between two steps."""
    trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.global_step


def is_epoch_read(trainer: pl.Trainer) -> bool:
    """Whether the last batch that was begun is done, and was the last one of its epoch."""
    return _is_read(vars(trainer.fit_loop.epoch_loop.batch_progress))


def is_between_steps(trainer: pl.Trainer) -> bool:
    """Whether all that belongs to the optimiser steps so far has happened, and nothing else.

    So it is from the end of a step's last batch, hooks and log included, until the optimiser
    begins with the next one (which the caller must know), but for the end of an epoch.
    """
    batches: Any = trainer.fit_loop.epoch_loop.batch_progress
    epochs: Any = trainer.fit_loop.epoch_progress.current
    gathered = batches.current.processed % trainer.accumulate_grad_batches
    closed = batches.total.processed == batches.total.completed
    return (
        closed
        and epochs.processed == epochs.completed
        and (gathered == 0 or bool(batches.is_last_batch and _is_read(vars(batches))))
    )


def validation_follows(trainer: pl.Trainer) -> bool:
    """Whether a validation belongs to the batch just done; False while another is under way."""
    loop = trainer.fit_loop
    total: Any = loop.epoch_loop.batch_progress.total
    fetcher = loop._data_fetcher
    if fetcher is None or total.ready != total.processed or total.processed == 0:
        return False
    batches: Any = trainer.num_val_batches  # empty before the first validation is set up
    some = not batches or sum(batches) > 0
    return some and loop.epoch_loop._should_check_val_fx(fetcher)


def close_epoch(trainer: pl.Trainer) -> None:
    """Let a resumed run that has read its epoch go straight to the epoch's end."""
    trainer.fit_loop.epoch_loop.val_loop._has_run = True


def end_restart(trainer: pl.Trainer) -> None:
    """At an epoch's end: what comes is no part of the epoch in which a run was resumed.

    Lightning forgets a restart behind the first batch or validation after it. A run that goes
    straight to its epoch's end has neither, and would take every later epoch for read, too.
    """
    trainer.fit_loop.restarting = False
    trainer.fit_loop.epoch_loop.on_iteration_done()


def limit_steps(trainer: pl.Trainer, steps: int) -> None:
    """Set where training ends."""
    trainer.fit_loop.epoch_loop.max_steps = steps


def interrupted(trainer: pl.Trainer) -> bool:
    """Whether an exception is ending the run."""
    return trainer.state.status == TrainerStatus.INTERRUPTED


def callbacks_of(trainer: pl.Trainer) -> list[pl.Callback]:
    """The callbacks, in the order in which they are called."""
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set late
    return callbacks


def call_first(trainer: pl.Trainer, callback: pl.Callback, needed: pl.Callback) -> None:
    """Call a callback before all others, from the next hook on, and one of a kind that it needs."""
    others = [other for other in callbacks_of(trainer) if other is not callback]
    if not any(isinstance(other, type(needed)) for other in others):
        others.insert(0, needed)
    trainer.callbacks = [callback, *others]  # type: ignore[attr-defined]


def callback_states(trainer: pl.Trainer) -> dict[str, Any]:
    """The states of all callbacks by their keys, as a checkpoint holds them."""
    states = ((each.state_key, each.state_dict()) for each in callbacks_of(trainer))
    return {key: state for key, state in states if state}


def show_metrics(
    trainer: pl.Trainer, metrics: Mapping[str, Tensor], in_bar: Collection[str] = ()
) -> None:
    """Let callbacks see metrics as if they had been logged, and bars those that are ``in_bar``.

    ``LightningModule.log`` takes milliseconds for it.
    """
    connector = trainer._logger_connector
    connector._callback_metrics.update(metrics)
    shown = {name: float(value) for name, value in metrics.items() if name in in_bar}
    connector._progress_bar_metrics.update(shown)


def restart_from(loops: dict[str, Any], validation_due: bool) -> None:
    """Rewrite the loops' state in a checkpoint, so that Lightning goes on right behind its step.

    Lightning writes down its counts as they are, be it in the middle of a batch, and begins
    differently from each: it loses a validation or repeats one, and counts a batch twice. Here
    every checkpoint becomes one of two: a number of batches done, all of them whole, and either
    the validation that belongs to the last one is done (if there is any), or it comes first.

    Args:
        loops: the state of the fit loop; changed in place.
        validation_due: the validation that belongs to the last batch has not happened.
    """
    batches, epochs = loops["epoch_loop.batch_progress"], loops["epoch_progress"]
    is_read = _is_read(batches)
    for counts in (epochs["total"], epochs["current"]):
        # Where training ends in the middle of an epoch, Lightning closes the epoch, too.
        closed = is_read and counts["processed"] == counts["started"]
        done = counts["started"] if closed else max(counts["started"] - 1, 0)
        counts.update(ready=counts["started"], processed=done, completed=done)
    closed = is_read and epochs["current"]["processed"] == epochs["current"]["started"]
    within = 0 if closed else _count(batches["current"], "processed")
    batches["total"].update(dict.fromkeys(_COUNTS, batches["total"]["processed"]))
    batches["current"].update(dict.fromkeys(_COUNTS, within))
    batches["is_last_batch"] = is_read and not closed
    # A validation that was begun and has no batch is one that Lightning goes back to.
    begun = int(validation_due)
    validation = loops["epoch_loop.val_loop.batch_progress"]
    validation["total"].update(ready=begun, started=begun, processed=0, completed=0)
    validation["current"].update(dict.fromkeys(_COUNTS, 0))


def steps_of_run(trainer: pl.Trainer) -> float:
    """Optimiser steps from the run's beginning to its end; infinite where nothing says.

    Lightning loads the training data for it, and would go on with what it then began to read:
    from a position that a resumed run has not been given yet.
    """
    loop = trainer.fit_loop
    loaded = loop._combined_loader is not None
    steps = trainer.estimated_stepping_batches
    if not loaded and loop._data_fetcher is not None:
        loop._data_fetcher.teardown()
        loop._combined_loader = loop._data_fetcher = None
    return steps


def hold_sigterm(trainer: pl.Trainer) -> bool:
    """Take back a SIGTERM on which Lightning would stop after this batch; whether there is one."""
    signals = trainer._signal_connector
    received, signals.received_sigterm = signals.received_sigterm, False
    return received


def ask_no_others(trainer: pl.Trainer) -> None:
    """Let Lightning not ask the other processes before each batch whether one got SIGTERM.

    It waits for their answer, on a GPU until the device has done all that it was given before:
    nothing is then issued ahead. See ``StopTogether``, which asks in its place.
    """
    if hasattr(trainer.fit_loop.epoch_loop, "_broadcast_sigterm_tensor"):
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = _nobody  # type: ignore[method-assign]


def _nobody() -> None:
    """What is asked of nobody."""


def release_sigterm(trainer: pl.Trainer) -> None:
    """Let Lightning stop after this batch."""
    trainer._signal_connector.received_sigterm = True


def save_checkpoint(callback: ModelCheckpoint, trainer: pl.Trainer, path: str) -> bool:
    """Write a checkpoint now, unless the callback has nothing to save; whether it did."""
    if callback._should_skip_saving_checkpoint(trainer):
        return False
    callback._save_checkpoint(trainer, path)
    return True


def _is_read(batches: Mapping[str, Any]) -> bool:
    current = batches["current"]
    ready, processed = _count(current, "ready"), _count(current, "processed")
    return bool(batches["is_last_batch"]) and ready == processed > 0


def _count(counts: Any, name: str) -> int:
    return int(counts[name] if isinstance(counts, Mapping) else getattr(counts, name))
