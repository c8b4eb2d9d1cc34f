"""Tensors as kernels take them: flat fp32 memory and where a row and a position begin in it."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

__all__ = ["NONE", "Rows", "array", "cuts", "rows"]


class Rows(NamedTuple):
    """A tensor (B, L, any) whose last dimension is dense; element (b, t, d) is that at
    ``b * row + t * step + d``.

    One type whatever the strides, so a kernel is compiled once, and reads that are dense to LLVM.
    """

    data: NDArray[np.float32]
    row: int
    step: int


NONE = Rows(np.empty(0, np.float32), 0, 0)


def rows(tensor: Tensor | None) -> Rows:
    """A view where the tensor is fp32 and dense in its last dimension; ``NONE`` for None."""
    if tensor is None:
        return NONE
    tensor = tensor.detach().float()
    if tensor.shape[-1] > 1 and tensor.stride(-1) != 1:
        tensor = tensor.contiguous()
    row, step, _ = tensor.stride()
    if not tensor.numel():
        return Rows(NONE.data, row, step)
    size = 1 + sum((n - 1) * s for n, s in zip(tensor.shape[:2], (row, step), strict=True))
    return Rows(tensor.as_strided((size + tensor.shape[2] - 1,), (1,)).numpy(), row, step)


def array(tensor: Tensor) -> NDArray[np.float32]:
    """A dense copy in fp32.

    Of a view PyTorch could not free the memory any more, as it does of weights kept in shards.
    """
    return tensor.detach().contiguous().to(torch.float32, copy=True).numpy()


def cuts(resets: Tensor | None, batch: int, reverse: bool) -> NDArray[np.bool_]:
    """(B, L) in memory order, where nothing enters from the position scanned before; or (B, 0).

    In reverse a mark cuts the position on its left.
    """
    if resets is None:
        return np.empty((batch, 0), np.bool_)
    marks = F.pad(resets[:, 1:], (0, 1)) if reverse else resets
    return marks.contiguous().numpy()
