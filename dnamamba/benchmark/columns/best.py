"""The best weights of a run, held in memory."""

import math
from collections.abc import Mapping

import pytorch_lightning as pl
from torch import Tensor

__all__ = ["BestWeights"]


class BestWeights(pl.Callback):
    """Keeps the weights of the best validation; of several that are equal, the first.

    Args:
        monitor: the metric.
        mode: ``max`` or ``min``.

    Attributes:
        value: the best; NaN as long as there is none that is a number.
        step: of it.
        weights: of it, on the CPU.
        curve: step and metric of every validation.
    """

    def __init__(self, monitor: str, mode: str) -> None:
        self._monitor, self._sign = monitor, 1 if mode == "max" else -1
        self.value, self.step = math.nan, 0
        self.weights: Mapping[str, Tensor] = {}
        self.curve: list[tuple[int, float]] = []

    def _beats(self, value: float, other: float) -> bool:
        return not math.isnan(value) and not self._sign * value <= self._sign * other

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        value = float(trainer.callback_metrics[self._monitor])
        self.curve.append((trainer.global_step, value))
        if self._beats(value, self.value):
            self.value, self.step = value, trainer.global_step
            state = pl_module.state_dict()
            self.weights = {name: x.detach().to("cpu", copy=True) for name, x in state.items()}
