"""A run tried: some steps of it, measured, and its end."""

import statistics
import time
from typing import Any

import pytorch_lightning as pl
import torch

__all__ = ["Trial"]

_STEPS = 3  # at least, of which the first is not measured: with it comes what happens once
_SECONDS = 3.0  # of what is measured, at least
_LONGEST = 60.0  # in all, if one step has been done


class Trial(pl.Callback):
    """Ends ``fit`` after some seconds of steps, and notes how long steps and batches take.

    Attributes:
        steps: seconds of each optimiser step, the reading of its data included.
        batches: seconds of each batch of a held-out part, or of what is predicted.
        first: optimiser steps that were done before.
        peak: bytes of a CUDA device's memory at most; None elsewhere.
    """

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.batches: list[float] = []
        self.first = 0
        self.peak: int | None = None
        self._step = 0
        self._since = 0.0

    @property
    def step(self) -> float:
        """Seconds of an optimiser step; NaN: none was done."""
        return _usual(self.steps)

    @property
    def batch(self) -> float:
        """Seconds of a batch of a held-out part; NaN: none was read."""
        return _usual(self.batches)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.first = self._step = trainer.global_step
        self._begin()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any
    ) -> None:
        if trainer.global_step == self._step:  # batches are gathered
            return
        self._step = trainer.global_step
        self.steps.append(self._taken(pl_module.device))
        whole, measured = sum(self.steps), sum(self.steps[1:])
        enough = (len(self.steps) >= _STEPS and measured >= _SECONDS) or whole >= _LONGEST
        # Clocks differ, and all processes must end behind the same step.
        if trainer.strategy.reduce_boolean_decision(enough, all=False):
            trainer.should_stop = True

    def on_validation_start(self, *_: Any) -> None:
        self._begin()

    def on_validation_batch_end(self, trainer: pl.Trainer, module: Any, *_: Any) -> None:
        self.batches.append(self._taken(module.device))

    def on_validation_end(self, *_: Any) -> None:
        self._begin()

    def on_test_start(self, *_: Any) -> None:
        self._begin()

    def on_test_batch_end(self, trainer: pl.Trainer, module: Any, *_: Any) -> None:
        self.batches.append(self._taken(module.device))

    def on_predict_start(self, *_: Any) -> None:
        self._begin()

    def on_predict_batch_end(self, trainer: pl.Trainer, module: Any, *_: Any) -> None:
        self.batches.append(self._taken(module.device))

    def _begin(self) -> None:
        self._since = time.monotonic()

    def _taken(self, device: torch.device) -> float:
        """Seconds since the last that was noted, when the device has done all."""
        if device.type == "cuda":
            torch.cuda.synchronize(device)
            self.peak = torch.cuda.max_memory_allocated(device)
        before, self._since = self._since, time.monotonic()
        return self._since - before


def _usual(seconds: list[float]) -> float:
    return statistics.median(seconds[1:] or seconds) if seconds else float("nan")
