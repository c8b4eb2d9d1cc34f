"""How much of a GPU's memory a training takes, before its first step and from there on."""

import json
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from dnamamba.files import replacing

__all__ = ["PeakMemory"]


class PeakMemory(pl.Callback):
    """Writes the allocator's peaks in bytes, ``before`` and ``steps``; null without a GPU.

    Args:
        path: of the JSON file.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.before: int | None = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        _restart()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self.before is None:
            self.before = _peak()
            _restart()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        with replacing(self.path) as file:
            file.write(json.dumps({"before": self.before, "steps": _peak()}).encode())


def _restart() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _peak() -> int | None:
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
