"""Pooling over chunks, as they come."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from dnamamba.inference.streaming import Chunk
from dnamamba.model.pooling import Pooling

__all__ = ["pool_chunks"]


def pool_chunks(
    chunks: Iterable[Chunk], pooling: Pooling, first: Sequence[int], ends: Sequence[int]
) -> Tensor:
    """One vector a row, gathered chunk by chunk; sums across chunks are in fp64.

    Args:
        chunks: the hidden states of a batch, from ``stream``.
        pooling: how.
        first: of each row, the first base that counts.
        ends: of each row, one past the last that counts.

    Returns:
        (rows, d_model) fp32 on the CPU.
    """
    low, high = (torch.tensor(places)[:, None] for places in (first, ends))
    scalars, vectors = torch.empty(0), torch.empty(0)
    for number, (start, hidden, real, _) in enumerate(chunks):
        n = len(real)
        at = torch.arange(start, start + hidden.shape[1])
        counts = ((at >= low[:n]) & (at < high[:n])).to(hidden.device)
        part = tuple(x.cpu().double() for x in pooling.summarise(hidden, counts))
        if number == 0:
            scalars, vectors = part
        else:
            scalars[:n], vectors[:n] = pooling.merge((scalars[:n], vectors[:n]), (part[0], part[1]))
    return pooling.finish((scalars, vectors)).float()
