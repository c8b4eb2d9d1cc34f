"""Callbacks by which ``start.py`` and ``shared_cores.py`` look into a run of ``dnamamba fit``."""

import json
import os
import sys
import time
from typing import Any

import pytorch_lightning as pl
import torch

__all__ = ["FirstStep", "StepTimes"]


class FirstStep(pl.Callback):
    """Ends the process, as done, when the optimiser has made its first step."""

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            os._exit(0)


class StepTimes(pl.Callback):
    """Writes the seconds of every step as JSON, the last line of standard error."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.began = 0.0

    def on_train_batch_start(self, *_: Any) -> None:
        self.began = time.perf_counter()

    def on_train_batch_end(self, *_: Any) -> None:
        self.seconds.append(time.perf_counter() - self.began)

    def on_fit_end(self, *_: Any) -> None:
        print(json.dumps(self.seconds), file=sys.stderr)
