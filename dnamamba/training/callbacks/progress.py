"""Where a run stands, while it runs and when it has ended."""

import math
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint, ProgressBar
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
from rich.table import Table

__all__ = ["RunProgress", "RunSummary", "readable"]


class RunProgress(ProgressBar):
    """One bar over all steps of the run, with loss, perplexity and bases per second.

    Written to standard error. Where that is no terminal, a plain line every so many steps.

    Args:
        every_n_steps: steps between two such lines.
        console: where to write; None is standard error.
    """

    def __init__(self, every_n_steps: int = 100, console: Console | None = None) -> None:
        super().__init__()
        self.every_n_steps = every_n_steps
        self.console = console or Console(stderr=True)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._shown = 0
        self._enabled = True

    def disable(self) -> None:
        """Lightning calls this on every rank but the first."""
        self._enabled = False

    def enable(self) -> None:
        self._enabled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._open("training", trainer.estimated_stepping_batches, trainer.global_step)

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        # At the start of the next batch, for at the end callbacks come before the module's log.
        self._show(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._show(trainer)
        self._close()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.sanity_checking and self._bar is None:  # `dnamamba validate`
            self._open("validating", sum(trainer.num_val_batches))

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._open("testing", sum(trainer.num_test_batches))

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._open("predicting", sum(trainer.num_predict_batches))

    def on_validation_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        if trainer.state.fn == "validate":
            self._advance()

    def on_test_batch_end(self, *args: Any, **kwargs: Any) -> None:
        self._advance()

    def on_predict_batch_end(self, *args: Any, **kwargs: Any) -> None:
        self._advance()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        figures = trainer.callback_metrics
        shown = [
            f"{float(figures[key]):.4f} {name.replace('_', ' ')}"
            for name in getattr(pl_module, "headline", ("bits_per_base",))
            if (key := f"validation/{name}") in figures
        ]
        if self._enabled and not trainer.sanity_checking and shown:
            at = f"step {trainer.global_step}: " if trainer.state.fn == "fit" else ""
            self.console.print(f"{at}validation {', '.join(shown)}", highlight=False)

    def on_exception(self, *args: Any) -> None:
        self._close()

    def teardown(self, *args: Any, **kwargs: Any) -> None:
        self._close()

    def _open(self, title: str, total: float, done: int = 0) -> None:
        if not self._enabled or not self.console.is_terminal:
            return
        roomy = self.console.width >= 100  # in 80 columns the figures matter more
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=40 if roomy else 4),
            MofNCompleteColumn(),
            *([TimeElapsedColumn()] if roomy else []),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            console=self.console,
        )
        known = None if total == float("inf") else total
        self._task = self._bar.add_task(title, total=known, completed=done, figures="")
        self._bar.start()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _advance(self) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task)

    def _show(self, trainer: pl.Trainer) -> None:
        step = trainer.global_step
        if not self._enabled or step == self._shown:
            return
        self._shown = step
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=step, figures=_figures(trainer))
        elif step % self.every_n_steps == 0:
            total = trainer.estimated_stepping_batches
            self.console.print(f"step {step} of {total}  {_figures(trainer)}", highlight=False)


class RunSummary(pl.Callback):
    """A line when ``fit`` starts: parameters, device, precision; a table when it ends.

    The table holds steps, bases, time, the best validation, and where the files are.

    Bases and time are counted over resumes.

    Args:
        folder: the run's folder.
        console: where to write; None is standard error.
    """

    def __init__(self, folder: str | Path, console: Console | None = None) -> None:
        self.folder = Path(folder)
        self.console = console or Console(stderr=True)
        self._bases = 0
        self._seconds = 0.0
        self._since: float | None = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            count = sum(p.numel() for p in pl_module.parameters() if p.requires_grad)
            devices = f"{trainer.world_size} x " if trainer.world_size > 1 else ""
            self.console.print(
                f"model: {count:,} parameters on {devices}{pl_module.device}, {trainer.precision}",
                highlight=False,
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._since = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        self._bases += batch["tokens"].numel() * trainer.world_size

    def state_dict(self) -> dict[str, Any]:
        running = 0.0 if self._since is None else time.monotonic() - self._since
        return {"bases": self._bases, "seconds": self._seconds + running}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._bases, self._seconds = state_dict["bases"], state_dict["seconds"]

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        table = Table(show_header=False, box=None)
        state = self.state_dict()
        table.add_row("steps", f"{trainer.global_step:,}")
        table.add_row("bases read", readable(state["bases"], "bp"))
        table.add_row("time", time.strftime("%H:%M:%S", time.gmtime(state["seconds"])))
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint) and callback.best_model_score is not None:
                table.add_row(f"best {callback.monitor}", f"{float(callback.best_model_score):.4f}")
        table.add_row("files", f"{self.folder}/")
        self.console.print(table)


def readable(count: float, unit: str) -> str:
    """A count with a metric prefix: 1234567 bp -> 1.23 Mbp."""
    for prefix, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.2f} {prefix}{unit}"
    return f"{count:.0f} {unit}"


def _figures(trainer: pl.Trainer) -> str:
    metrics = trainer.progress_bar_metrics
    text = [
        f"{name} {value:.3f}"
        for name in ("loss", "perplexity")
        # NaN where no base was scored; a NaN of the model's own stops the run.
        if not math.isnan(value := float(metrics.get(f"train/{name}", math.nan)))
    ]
    if not text and "train/loss" in metrics:
        text.append("no base scored")
    if "train/bases_per_second" in metrics:
        text.append(readable(float(metrics["train/bases_per_second"]), "bp/s"))
    return "  ".join(text)
