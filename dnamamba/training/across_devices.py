"""A mean and a largest over devices, for which the host does not wait."""

from typing import Literal

import pytorch_lightning as pl
from torch import Tensor, distributed

__all__ = ["mean_over_ranks", "most_over_ranks"]


def mean_over_ranks(trainer: pl.Trainer, x: Tensor) -> Tensor:
    """The mean of every device's x."""
    return _reduced(trainer, x, "SUM") / trainer.world_size


def most_over_ranks(trainer: pl.Trainer, x: Tensor) -> Tensor:
    """The largest of every device's x."""
    return _reduced(trainer, x, "MAX")


def _reduced(trainer: pl.Trainer, x: Tensor, how: Literal["SUM", "MAX"]) -> Tensor:
    # Lightning's strategy.reduce puts a barrier before it, at which the host waits for its device.
    if trainer.world_size > 1:
        x = x.clone()
        distributed.all_reduce(x, op=getattr(distributed.ReduceOp, how))
    return x
