"""The kernel: rows one after the other, position by position, channels along the vector lanes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnamamba_kernels.compiled.jit import entry, inlined
from dnamamba_kernels.compiled.math import sigmoid, silu
from dnamamba_kernels.compiled.rows import Rows

__all__ = ["Inputs", "convolve_rows", "differentiate_rows"]

Floats = NDArray[np.float32]
# An index without a sign needs no check for negative ones.
index = np.uintp


class Inputs(NamedTuple):
    """A convolution's arguments."""

    x: Rows
    taps: Floats  # (W, D), the oldest input's first
    bias: Floats  # zeros for None
    carried: Rows  # (B, W-1, D), the inputs before, oldest first; zeros for None
    cuts: NDArray[np.bool_]  # (B, L), where no tap reaches back; (B, 0) for None
    reverse: bool
    length: int


@entry
def convolve_rows(inputs: Inputs, y: Rows) -> None:
    """Fill ``y``."""
    W, cuts, length = len(inputs.taps), inputs.cuts, inputs.length
    sums = np.empty(inputs.taps.shape[1], np.float32)
    for b in range(len(cuts)):
        reach = W - 1
        for k in range(length):
            t = length - 1 - k if inputs.reverse else k
            if cuts.size and cuts[b, t]:
                reach = 0
            _sum(inputs, b, k, t, reach, sums)
            out = index(b * y.row + t * y.step)
            for d in range(index(len(sums))):
                y.data[out + d] = silu(sums[d])
            reach = min(reach + 1, W - 1)


@entry
def differentiate_rows(
    inputs: Inputs, dy: Rows, dx: Rows, d_carried: Rows, d_taps: Floats, d_bias: Floats
) -> None:
    """Add to ``dx``, ``d_carried``, ``d_taps`` and ``d_bias``, in the shapes of the inputs."""
    W, cuts, length = len(inputs.taps), inputs.cuts, inputs.length
    x, taps, carried, pace = inputs.x, inputs.taps, inputs.carried, -1 if inputs.reverse else 1
    sums = np.empty(taps.shape[1], np.float32)
    for b in range(len(cuts)):
        reach = W - 1
        for k in range(length):
            t = length - 1 - k if inputs.reverse else k
            if cuts.size and cuts[b, t]:
                reach = 0
            _sum(inputs, b, k, t, reach, sums)
            _through_silu(sums, dy.data, b * dy.row + t * dy.step, d_bias)
            for j in range(reach + 1):
                w, source = W - 1 - j, t - j * pace
                if j <= k:
                    at, out = b * x.row + source * x.step, b * dx.row + source * dx.step
                    _back(sums, x.data, at, taps[w], dx.data, out, d_taps[w])
                else:
                    before = W - 1 + k - j
                    at = b * carried.row + before * carried.step
                    out = b * d_carried.row + before * d_carried.step
                    _back(sums, carried.data, at, taps[w], d_carried.data, out, d_taps[w])
            reach = min(reach + 1, W - 1)


@inlined
def _sum(inputs: Inputs, b: int, k: int, t: int, reach: int, sums: Floats) -> None:
    """What is activated at position t, the k-th, from which ``reach`` inputs before are seen."""
    x, taps, carried, W = inputs.x, inputs.taps, inputs.carried, len(inputs.taps)
    at, back = b * x.row + t * x.step, -x.step if inputs.reverse else x.step
    if reach == 3 and k >= 3:
        _four(x.data, at, back, taps, inputs.bias, sums)
        return
    _tap(sums, x.data, at, taps[W - 1], inputs.bias)
    for j in range(1, reach + 1):
        if j <= k:
            _tap(sums, x.data, at - j * back, taps[W - 1 - j], sums)
        else:
            before = b * carried.row + (W - 1 + k - j) * carried.step
            _tap(sums, carried.data, before, taps[W - 1 - j], sums)


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


@inlined
def _through_silu(sums: Floats, dy: Floats, at: int, d_bias: Floats) -> None:
    """From the sums, in their place, their gradients."""
    read, one = index(at), np.float32(1)
    for d in range(index(len(sums))):
        gate = sigmoid(sums[d])
        grad = dy[read + d] * gate * (one + sums[d] * (one - gate))
        sums[d] = grad
        d_bias[d] += grad


@inlined
def _back(
    grad: Floats, data: Floats, at: int, tap: Floats, d_data: Floats, out: int, d_tap: Floats
) -> None:
    read, write = index(at), index(out)
    for d in range(index(len(grad))):
        d_data[write + d] += tap[d] * grad[d]
        d_tap[d] += grad[d] * data[read + d]
