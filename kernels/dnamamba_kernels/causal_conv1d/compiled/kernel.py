"""The kernel: rows one after the other, position by position, channels along the vector lanes."""

import numpy as np
from numpy.typing import NDArray

from dnamamba_kernels.compiled.jit import entry, inlined
from dnamamba_kernels.compiled.math import silu
from dnamamba_kernels.compiled.rows import Rows

__all__ = ["convolve_rows"]

Floats = NDArray[np.float32]
# An index without a sign needs no check for negative ones.
index = np.uintp


@entry
def convolve_rows(
    x: Rows,
    taps: Floats,
    bias: Floats,
    carried: Rows,
    cuts: NDArray[np.bool_],
    reverse: bool,
    length: int,
    y: Rows,
) -> None:
    """Fill ``y``.

    taps are (W, D), the oldest input's first; carried (B, W-1, D) the inputs before, oldest first;
    cuts (B, L) or (B, 0), where no tap reaches back.
    """
    W = len(taps)
    sums, pace = np.empty(taps.shape[1], np.float32), -1 if reverse else 1
    for b in range(len(cuts)):
        reach = W - 1
        for k in range(length):
            t = length - 1 - k if reverse else k
            if cuts.size and cuts[b, t]:
                reach = 0
            at = b * x.row + t * x.step
            if reach == 3 and k >= 3:
                _four(x.data, at, pace * x.step, taps, bias, sums)
            else:
                _tap(sums, x.data, at, taps[W - 1], bias)
                for j in range(1, reach + 1):
                    if j <= k:
                        _tap(sums, x.data, at - j * pace * x.step, taps[W - 1 - j], sums)
                    else:
                        before = b * carried.row + (W - 1 + k - j) * carried.step
                        _tap(sums, carried.data, before, taps[W - 1 - j], sums)
            out = index(b * y.row + t * y.step)
            for d in range(index(len(sums))):
                y.data[out + d] = silu(sums[d])
            reach = min(reach + 1, W - 1)


@inlined
def _tap(sums: Floats, data: Floats, at: int, tap: Floats, start: Floats) -> None:
    read = index(at)
    for d in range(index(len(sums))):
        sums[d] = start[d] + tap[d] * data[read + d]


@inlined
def _four(data: Floats, at: int, back: int, taps: Floats, bias: Floats, sums: Floats) -> None:
    """All taps of four at once, as nearly every position has them."""
    x0, x1, x2, x3 = index(at - 3 * back), index(at - 2 * back), index(at - back), index(at)
    for d in range(index(len(sums))):
        near = bias[d] + taps[3, d] * data[x3 + d] + taps[2, d] * data[x2 + d]
        sums[d] = near + taps[1, d] * data[x1 + d] + taps[0, d] * data[x0 + d]
