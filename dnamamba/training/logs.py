"""Metrics of a run: to the loggers under the step they belong to, and to callbacks."""

import time
import warnings
from collections.abc import Collection, Mapping

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn

from dnamamba.training.lightning_private import show_metrics

__all__ = ["Throughput", "log_metrics"]


def log_metrics(
    module: pl.LightningModule, metrics: Mapping[str, float], in_bar: Collection[str] = ()
) -> None:
    """Log metrics that are the same on every rank, under ``module.global_step``.

    While fitting they go straight to the loggers: Lightning counts steps for its loggers by
    itself, and that count shifts by one after a resume from an exception's checkpoint. Callbacks
    and progress bars see them as those of ``module.log``. In the sanity check nothing is logged.

    Args:
        module: the module in training or validation.
        metrics: name, such as ``train/loss``, and value.
        in_bar: names that progress bars show.
    """
    trainer = module.trainer
    if trainer.sanity_checking:
        return
    fitting = trainer.state.fn == TrainerFn.FITTING
    if trainer.training:
        show_metrics(trainer, {name: torch.tensor(x) for name, x in metrics.items()}, in_bar)
    else:
        _log(module, metrics, in_bar, logger=not fitting)
    for logger in trainer.loggers if fitting else ():
        logger.log_metrics({**metrics, "epoch": module.current_epoch}, step=module.global_step)


def _log(
    module: pl.LightningModule, metrics: Mapping[str, float], in_bar: Collection[str], logger: bool
) -> None:
    with warnings.catch_warnings():
        # What validate and test return are metrics for a logger, whether there is one or not.
        warnings.filterwarnings("ignore", ".*but have no logger configured")
        for name, value in metrics.items():
            module.log(
                name,
                value,
                prog_bar=name in in_bar,
                logger=logger,
                sync_dist=True,  # equal on all ranks; Lightning wants it said
            )


class Throughput:
    """Items a second between two readings, without the time spent in pauses."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Count from zero, from now on."""
        self._items = 0
        self._since = time.monotonic()
        self._paused_at: float | None = None

    def add(self, items: int) -> None:
        """Count items that are done."""
        self._items += items

    def pause(self) -> None:
        """Stop the clock."""
        self._paused_at = time.monotonic()

    def resume(self) -> None:
        """Let the clock go on."""
        if self._paused_at is not None:
            self._since += time.monotonic() - self._paused_at
            self._paused_at = None

    def drain(self) -> float:
        """Items a second since the last reading; then restart."""
        rate = self._items / max(time.monotonic() - self._since, 1e-9)
        self.restart()
        return rate
