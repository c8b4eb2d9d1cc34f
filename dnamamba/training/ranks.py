"""Sums over devices for which the host does not wait."""

import pytorch_lightning as pl
import torch
from torch import Tensor, distributed

__all__ = ["mean_over_ranks", "most_over_ranks"]


def mean_over_ranks(trainer: pl.Trainer, x: Tensor) -> Tensor:
    """The mean of every device's x."""
    return _reduced(trainer, x, distributed.ReduceOp.SUM) / trainer.world_size


def most_over_ranks(trainer: pl.Trainer, x: Tensor) -> Tensor:
    """The largest of every device's x."""
    return _reduced(trainer, x, distributed.ReduceOp.MAX)


def _reduced(trainer: pl.Trainer, x: Tensor, how: distributed.ReduceOp.RedOpType) -> Tensor:
    # Lightning's strategy.reduce puts a barrier before it, at which the host waits for its device.
    if trainer.world_size > 1:
        x = torch.clone(x)
        distributed.all_reduce(x, op=how)
    return x
