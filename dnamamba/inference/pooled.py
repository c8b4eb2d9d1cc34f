"""Pooling over chunks, as they come."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from dnamamba.inference.streaming import Chunk, exact, on_device
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
        (rows, d_model) fp32; of what a GPU reads on that GPU, without waiting for it.
    """
    bounds = np.array([first, ends])[:, :, None]
    scalars, vectors, low, high = torch.empty(0), torch.empty(0), torch.empty(0), torch.empty(0)
    for number, (start, hidden, real, _) in enumerate(chunks):
        n, device = len(real), hidden.device
        if number == 0:
            low, high = on_device(bounds, device)
        bases = torch.arange(start, start + hidden.shape[1], device=device)
        counts = (bases >= low[:n]) & (bases < high[:n])
        scalar, vector = map(exact, pooling.summarise(hidden, counts))
        if number == 0:
            scalars, vectors = scalar, vector
        else:
            merged = pooling.merge((scalars[:n], vectors[:n]), (scalar, vector))
            scalars[:n], vectors[:n] = merged
    return pooling.finish((scalars, vectors)).float()
