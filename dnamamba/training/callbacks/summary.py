"""What a run says when it starts and when it has ended."""

import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from rich.console import Console
from rich.table import Table

from dnamamba.training.across_devices import positions_read
from dnamamba.training.callbacks.readable import clock_time, readable

__all__ = ["RunSummary"]


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
        self._bases += positions_read(trainer, batch["tokens"])

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
        table.add_row("time", clock_time(state["seconds"]))
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint) and callback.best_model_score is not None:
                table.add_row(f"best {callback.monitor}", f"{float(callback.best_model_score):.4f}")
        table.add_row("files", f"{self.folder}/")
        self.console.print(table)
