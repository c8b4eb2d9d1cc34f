"""Callbacks by which benchmarks look into a run of ``dnamamba fit``."""

import itertools
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

__all__ = ["FirstStep", "StepClock", "StepTimes"]


class FirstStep(pl.Callback):
    """Ends the process, as done, when the optimiser has made its first step."""

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step:
            _synchronize()
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


class StepClock(pl.Callback):
    """Writes milliseconds a step as JSON: the mean from a warm-up's end to the last step's.

    At both the device is idle; between them only time stamps are taken, of which the median is. Of
    several processes the first one writes.

    Args:
        path: the JSON.
        warm_up: steps that do not count.
    """

    def __init__(self, path: str, warm_up: int) -> None:
        self.path, self.warm_up = Path(path), warm_up
        self.stamps: list[float] = []

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step in (self.warm_up, trainer.max_steps):
            _synchronize()
        if trainer.global_step >= self.warm_up:
            self.stamps.append(time.perf_counter())
        if trainer.global_step == trainer.max_steps and trainer.is_global_zero:
            self._write()

    def _write(self) -> None:
        steps = len(self.stamps) - 1
        apart = [b - a for a, b in itertools.pairwise(self.stamps)]
        peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
        results = {
            "steps": steps,
            "mean_ms": 1e3 * (self.stamps[-1] - self.stamps[0]) / steps,
            "median_ms": 1e3 * statistics.median(apart),
            "peak_bytes": peak,
        }
        self.path.write_text(json.dumps(results))


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
