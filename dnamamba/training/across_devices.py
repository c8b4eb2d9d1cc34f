"""A mean and a largest over devices, for which the host does not wait."""

from typing import Literal

import pytorch_lightning as pl
import torch
from torch import Tensor, distributed

__all__ = ["Verdict", "mean_over_ranks", "most_over_ranks"]


def mean_over_ranks(trainer: pl.Trainer, x: Tensor) -> Tensor:
    """The mean of every device's x."""
    return _reduced(trainer, x, "SUM") / trainer.world_size


def most_over_ranks(trainer: pl.Trainer, x: Tensor) -> Tensor:
    """The largest of every device's x."""
    return _reduced(trainer, x, "MAX")


class Verdict:
    """A flag on a device, on its way to the host.

    Args:
        flag: a scalar, not 0 for yes.
    """

    def __init__(self, flag: Tensor) -> None:
        self._ready: torch.cuda.Event | None = None
        self._flag = flag
        if flag.is_cuda:
            host = torch.empty_like(flag, device="cpu", pin_memory=True)
            self._flag, self._ready = host.copy_(flag, non_blocking=True), torch.cuda.Event()
            self._ready.record()

    @property
    def waits(self) -> bool:
        """Whether the host would wait for the device."""
        return self._ready is not None

    def __bool__(self) -> bool:
        """What it is; waits for the device to have come as far."""
        if self._ready is not None:
            self._ready.synchronize()
        return bool(self._flag.item())


def _reduced(trainer: pl.Trainer, x: Tensor, how: Literal["SUM", "MAX"]) -> Tensor:
    # Lightning's strategy.reduce puts a barrier before it, at which the host waits for its device.
    if trainer.world_size > 1:
        x = x.clone()
        distributed.all_reduce(x, op=getattr(distributed.ReduceOp, how))
    return x
