"""What a model does with a piece of a sequence beside its mixers: how it begins, what all make."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, distributed

from dnamamba_kernels.pieces import Pieces

__all__ = ["begun", "of_every_piece"]


def begun(pieces: Pieces | None, positions: int) -> Pieces | None:
    """The pieces where so many positions are read before the first one's."""
    if pieces is None or not positions:
        return pieces
    first, *others = pieces.lengths
    return replace(pieces, lengths=(first + positions, *others))


def of_every_piece(x: Tensor, pieces: Pieces) -> list[Tensor]:
    """Every process's x, of one shape, in the order of the sequence; a call of all of them.

    The gradient of each is the sum of what the processes make of it.
    """
    gathered: Tensor = _Gather.apply(x, pieces)
    return list(gathered.unbind())


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, pieces: Pieces) -> Tensor:
        ctx.pieces = pieces
        every = x.new_empty(pieces.count, *x.shape)
        distributed.all_gather(list(every.unbind()), x.contiguous(), group=pieces.group)
        return every

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total, group=ctx.pieces.group)
        return total[ctx.pieces.rank], None
