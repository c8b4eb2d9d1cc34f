"""Where a run stands, while it runs."""

import math
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from dnamamba.log_lines import LONG, SHORT, SparseLines
from dnamamba.training.callbacks.readable import readable

__all__ = ["RunProgress"]


class RunProgress(ProgressBar):
    """One bar over all steps of the run, with loss, perplexity and bases per second.

    Written to standard error. Where that is no terminal, a plain line at every tenth of the run
    and at least every half minute, as far as something is logged; and of a validation, a test or
    a prediction that takes long (see ``SparseLines``).

    Args:
        every_n_steps: steps from one such line to the next at least: those between two logs.
        console: where to write; None is standard error.
    """

    def __init__(self, every_n_steps: int = 100, console: Console | None = None) -> None:
        super().__init__()
        self.every_n_steps = every_n_steps
        self.console = console or Console(stderr=True)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._lines: SparseLines | None = None  # of the batches under way, in place of a bar
        self._steps: SparseLines | None = None  # of the run
        self._shown = 0
        self._enabled = True

    def disable(self) -> None:
        """Lightning calls this on every rank but the first."""
        self._enabled = False

    def enable(self) -> None:
        self._enabled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        total = trainer.estimated_stepping_batches
        self._steps = SparseLines("training", total, _batches, quiet=0)
        self._open("training", total, trainer.global_step)

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        # At the start of the next batch, for at the end callbacks come before the module's log.
        self._show(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._show(trainer)
        self._close()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        if trainer.state.fn == "validate":
            self._open("validating", sum(trainer.num_val_batches))
        else:  # the bar stays that of the run; a line is said where it takes long
            title = f"step {trainer.global_step}: validating"
            self._lines = self._sparse(title, sum(trainer.num_val_batches), LONG)

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._open("testing", sum(trainer.num_test_batches))

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._open("predicting", sum(trainer.num_predict_batches))

    def on_validation_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        if not trainer.sanity_checking:
            self._advance(moves=trainer.state.fn == "validate")

    def on_test_batch_end(self, *args: Any, **kwargs: Any) -> None:
        self._advance()

    def on_predict_batch_end(self, *args: Any, **kwargs: Any) -> None:
        self._advance()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = trainer.callback_metrics
        shown = [
            f"{float(metrics[key]):.4f} {name.replace('_', ' ')}"
            for name in getattr(pl_module, "headline", ("bits_per_base",))
            if (key := f"validation/{name}") in metrics
        ]
        if self._enabled and not trainer.sanity_checking and shown:
            at = f"step {trainer.global_step}: " if trainer.state.fn == "fit" else ""
            self.console.print(f"{at}validation {', '.join(shown)}", highlight=False)

    def on_exception(self, *args: Any) -> None:
        self._close()

    def teardown(self, *args: Any, **kwargs: Any) -> None:
        self._close()

    def _open(self, title: str, total: float, done: int = 0) -> None:
        if not self._enabled:
            return
        if not self.console.is_terminal:
            self._lines = None if title == "training" else self._sparse(title, total, SHORT)
            return
        roomy = self.console.width >= 100  # in 80 columns the metrics matter more
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=40 if roomy else 4),
            MofNCompleteColumn(),
            *([TimeElapsedColumn()] if roomy else []),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
            console=self.console,
        )
        known = None if total == float("inf") else total
        self._task = self._bar.add_task(title, total=known, completed=done, metrics="")
        self._bar.start()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _sparse(self, title: str, total: float, quiet: float) -> SparseLines | None:
        """Lines about batches, where somebody may read them."""
        if not self._enabled or self.console.is_terminal:
            return None
        return SparseLines(title, total, _batches, quiet, self._print)

    def _print(self, line: str) -> None:
        self.console.print(line, highlight=False, soft_wrap=True)

    def _advance(self, moves: bool = True) -> None:
        if self._lines is not None:
            self._lines.advance(1)
        if moves and self._bar is not None and self._task is not None:
            self._bar.advance(self._task)

    def _show(self, trainer: pl.Trainer) -> None:
        step = trainer.global_step
        if not self._enabled or step == self._shown:
            return
        self._shown = step
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=step, metrics=_latest(trainer))
        elif step % self.every_n_steps == 0 and self._steps is not None and self._steps.due(step):
            total = trainer.estimated_stepping_batches
            self.console.print(f"step {step} of {total}  {_latest(trainer)}", highlight=False)


def _batches(done: float, total: float | None, rate: float) -> str:
    of = "" if total is None else f" of {total:,.0f}"
    return f"{done:,.0f}{of} batches, {rate:,.1f}/s"


def _latest(trainer: pl.Trainer) -> str:
    metrics = trainer.progress_bar_metrics
    text = [
        f"{name} {value:.3f}"
        for name in ("loss", "perplexity")
        # NaN where no base was scored; a NaN of the model's own stops the run.
        if not math.isnan(value := float(metrics.get(f"train/{name}", math.nan)))
    ]
    if not text and "train/loss" in metrics:
        text.append("no base scored")
    if "train/length" in metrics:
        text.append(f"length {float(metrics['train/length']):,.0f}")
    if "train/bases_per_second" in metrics:
        text.append(readable(float(metrics["train/bases_per_second"]), "bp/s"))
    return "  ".join(text)
