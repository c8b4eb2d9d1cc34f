"""Sums, a mean and a largest over devices, for which the host does not wait."""

from typing import Literal

import pytorch_lightning as pl
import torch
from torch import Tensor, distributed

from dnamamba.data.modules.position import rank_and_world
from dnamamba.training.sequence_parallel import pieces_of

__all__ = [
    "Verdict",
    "counted_once",
    "mean_over_ranks",
    "most_over_ranks",
    "positions_read",
    "sum_over_pieces",
]


def mean_over_ranks(trainer: pl.Trainer, x: Tensor) -> Tensor:
    """The mean of every device's x."""
    return _reduced(trainer, x, "SUM") / trainer.world_size


def most_over_ranks(trainer: pl.Trainer, x: Tensor) -> Tensor:
    """The largest of every device's x."""
    return _reduced(trainer, x, "MAX")


def sum_over_pieces(trainer: pl.Trainer, x: Tensor) -> Tensor:
    """The sum of the x of all devices that share this one's rows."""
    if (pieces := pieces_of(trainer)) is not None:
        x = x.clone()
        distributed.all_reduce(x, group=pieces.group)
    return x


def counted_once(trainer: pl.Trainer, index: Tensor) -> Tensor:
    """The numbers of a batch's rows (B,); all negative where another device says what they are."""
    pieces = pieces_of(trainer)
    return index if pieces is None or pieces.rank == 0 else torch.full_like(index, -1)


def positions_read(trainer: pl.Trainer, tokens: Tensor) -> int:
    """Positions of the batches of all devices, of which this one's holds ``tokens`` (B, L)."""
    pieces = pieces_of(trainer)
    share = tokens.numel() if pieces is None else pieces.rows * sum(pieces.lengths)
    return share * rank_and_world(trainer)[1]


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
