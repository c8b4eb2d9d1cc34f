"""The kernel of the gradients: chunks from the scan's end to its start, forward and back in each.

From the state that the forward kept, the states that enter the chunk's positions; then, with g the
gradient of a state, from the last position to the first::

    g = C dy + a' g'        dC = Σ_d h dy    dB = Σ_d g Δ u    d(Δ u) = Σ_n g B
                            dA = Σ_t a g h_prev Δ              dΔ = Σ_n a g h_prev A

Lines of ``TILE`` floats in one array, as in the forward.
"""

import math
from typing import NamedTuple

import numpy as np

from dnamamba_kernels.compiled.jit import entry, inlined, summing
from dnamamba_kernels.compiled.math import exp2, sigmoid, softplus
from dnamamba_kernels.compiled.rows import Rows
from dnamamba_kernels.selective_scan.compiled.kernel import CHUNK, TILE
from dnamamba_kernels.selective_scan.compiled.operands import Floats, Inputs, Sums

__all__ = ["Written", "differentiate_rows"]

index = np.uintp

_LN_2 = np.float32(math.log(2))
# Lines of a tile: what is added to delta, D and their gradients; of each position the next six;
# of each state the three after them; then the states that enter each position.
_BIAS, _SKIP, _D_BIAS, _D_SKIP, _POSITIONS = 0, 1, 2, 3, 4
_STEP, _WEIGHTED, _DY, _Y, _D_WEIGHTED, _D_STEP = range(6)
_STATES = _POSITIONS + 6 * CHUNK
_A, _G, _D_A = range(3)


class Written(NamedTuple):
    """The gradients that are written, of (B, L, D)."""

    u: Rows
    delta: Rows
    z: Rows


@entry
def differentiate_rows(
    inputs: Inputs, kept: Floats, dy: Rows, states: Floats, written: Written, sums: Sums
) -> None:
    """Fill ``written``, add to ``sums`` and take the states' gradients (B, N, D) to the start.

    ``kept`` (chunks, B, N, D) is what ``scan_rows`` left there.
    """
    batch, N, channels = states.shape
    length, cuts, pace = inputs.length, inputs.cuts, -1 if inputs.reverse else 1
    s = np.empty((_STATES + (3 + CHUNK) * N) * TILE, np.float32)
    for first in range(0, channels, TILE):
        width = min(TILE, channels - first)
        _begin(s, width, first, inputs)
        for b in range(batch):
            _states(s, width, first, _G, states[b], False)
            for chunk in range(len(kept) - 1, -1, -1):
                k = chunk * CHUNK
                t, count = length - 1 - k if inputs.reverse else k, min(CHUNK, length - k)
                for i in range(count):
                    _load(s, i, width, inputs, dy, b, t + i * pace, first)
                _enter(s, width, first, count, kept[chunk, b], inputs, b, t, pace)
                for i in range(count - 1, -1, -1):
                    at = t + i * pace
                    for n in range(N):
                        Bn = inputs.B.data[index(b * inputs.B.row + at * inputs.B.step + n)]
                        Cn = inputs.C.data[index(b * inputs.C.row + at * inputs.C.step + n)]
                        dB, dC = _back(s, i, n, N, width, Bn, Cn)
                        sums.B[b, at, n] += dB
                        sums.C[b, at, n] += dC
                        if cuts.size and cuts[b, at]:
                            _clear(s, _STATES + 3 * n + _G)
                    _inputs(s, i, width, inputs, b, at, first, written)
                    if inputs.z.data.size:
                        _gate(s, i, width, dy, inputs.z, b, at, first, written.z)
            _states(s, width, first, _G, states[b], True)
        _end(s, width, first, sums)


@inlined
def _begin(s: Floats, width: int, first: int, inputs: Inputs) -> None:
    _states(s, width, first, _A, inputs.A, False)
    for d in range(width):
        s[_BIAS * TILE + d] = inputs.bias[first + d]
        s[_SKIP * TILE + d] = inputs.D[first + d]
    _clear(s, _D_BIAS)
    _clear(s, _D_SKIP)
    for n in range(len(inputs.A)):
        _clear(s, _STATES + 3 * n + _D_A)


@inlined
def _end(s: Floats, width: int, first: int, sums: Sums) -> None:
    for d in range(width):
        sums.bias[first + d] += s[_D_BIAS * TILE + d]
        sums.D[first + d] += s[_D_SKIP * TILE + d]
        for n in range(len(sums.A)):
            sums.A[n, first + d] += s[(_STATES + 3 * n + _D_A) * TILE + d]


@inlined
def _states(s: Floats, width: int, first: int, kind: int, states: Floats, out: bool) -> None:
    """Into a tile's lines from (N, D), or back."""
    for n in range(len(states)):
        line, start = index((_STATES + 3 * n + kind) * TILE), index(first)
        for d in range(index(width)):
            if out:
                states[n, start + d] = s[line + d]
            else:
                s[line + d] = states[n, start + d]


@inlined
def _clear(s: Floats, line: int) -> None:
    s[line * TILE : (line + 1) * TILE] = np.float32(0)


@inlined
def _load(
    s: Floats, i: int, width: int, inputs: Inputs, dy: Rows, b: int, t: int, first: int
) -> None:
    u, delta, z = inputs.u, inputs.delta, inputs.z
    line = index((_POSITIONS + 6 * i) * TILE)
    raw, x = index(b * delta.row + t * delta.step + first), index(b * u.row + t * u.step + first)
    grad, gate = index(b * dy.row + t * dy.step + first), index(b * z.row + t * z.step + first)
    for d in range(index(width)):
        step = delta.data[raw + d] + s[d + index(_BIAS * TILE)]
        step = softplus(step) if inputs.softplus else step
        s[line + d] = step
        s[line + d + index(_WEIGHTED * TILE)] = step * u.data[x + d]
        s[line + d + index(_DY * TILE)] = dy.data[grad + d]
    for d in range(index(width)):
        s[line + d + index(_Y * TILE)] = s[d + index(_SKIP * TILE)] * u.data[x + d]
        s[line + d + index(_D_WEIGHTED * TILE)] = np.float32(0)
        s[line + d + index(_D_STEP * TILE)] = np.float32(0)
    if z.data.size:
        for d in range(index(width)):
            g = z.data[gate + d]
            s[line + d + index(_DY * TILE)] *= g * sigmoid(g)


@inlined
def _enter(
    s: Floats, width: int, first: int, count: int, start: Floats, inputs: Inputs, b: int, t: int,
    pace: int,
) -> None:  # fmt: skip
    """The states that enter each position of the chunk."""
    N, B, cuts = len(start), inputs.B, inputs.cuts
    entering = _STATES + 3 * N
    for n in range(N):
        line, begin = index((entering + n) * TILE), index(first)
        for d in range(index(width)):
            s[line + d] = start[n, begin + d]
        if cuts.size and cuts[b, t]:
            _clear(s, entering + n)
        A = index((_STATES + 3 * n + _A) * TILE)
        for i in range(count - 1):
            line, h = index((_POSITIONS + 6 * i) * TILE), index((entering + i * N + n) * TILE)
            after = index((entering + (i + 1) * N + n) * TILE)
            if cuts.size and cuts[b, t + (i + 1) * pace]:
                _clear(s, entering + (i + 1) * N + n)
                continue
            Bn = B.data[index(b * B.row + (t + i * pace) * B.step + n)]
            _pass(s, line, A, h, after, width, Bn)


@inlined
def _pass(
    s: Floats, line: np.uintp, A: np.uintp, before: np.uintp, after: np.uintp, width: int,
    B: np.float32,
) -> None:  # fmt: skip
    """A state from one position to the next."""
    for d in range(index(width)):
        state = exp2(s[line + d] * s[A + d]) * s[before + d]
        s[after + d] = state + s[line + d + index(_WEIGHTED * TILE)] * B


@summing
def _back(
    s: Floats, i: int, n: int, N: int, width: int, B: np.float32, C: np.float32
) -> tuple[np.float32, np.float32]:
    """One position of one state, backwards; the gradients of its B and C."""
    line, state = index((_POSITIONS + 6 * i) * TILE), index((_STATES + 3 * n) * TILE)
    entering = index((_STATES + 3 * N + i * N + n) * TILE)
    dB, dC = np.float32(0), np.float32(0)
    for d in range(index(width)):
        step, A, before = s[line + d], s[state + d], s[entering + d]
        weighted, dy = s[line + d + index(_WEIGHTED * TILE)], s[line + d + index(_DY * TILE)]
        decay = exp2(step * A)
        after = decay * before + weighted * B
        s[line + d + index(_Y * TILE)] += C * after
        dC += after * dy
        g = s[state + d + index(_G * TILE)] + C * dy
        dB += g * weighted
        s[line + d + index(_D_WEIGHTED * TILE)] += g * B
        g *= decay
        s[state + d + index(_G * TILE)] = g
        g *= before
        s[state + d + index(_D_A * TILE)] += g * step
        s[line + d + index(_D_STEP * TILE)] += g * A
    return dB, dC


@inlined
def _inputs(
    s: Floats, i: int, width: int, inputs: Inputs, b: int, t: int, first: int, written: Written
) -> None:
    """The gradients of u and delta at a position, D's and the bias's share."""
    u, delta, du, d_delta = inputs.u, inputs.delta, written.u, written.delta
    line = index((_POSITIONS + 6 * i) * TILE)
    raw, x = index(b * delta.row + t * delta.step + first), index(b * u.row + t * u.step + first)
    out = index(b * d_delta.row + t * d_delta.step + first)
    for d in range(index(width)):
        grad = s[line + d + index(_D_STEP * TILE)] * _LN_2
        grad += s[line + d + index(_D_WEIGHTED * TILE)] * u.data[x + d]
        if inputs.softplus:
            grad *= sigmoid(delta.data[raw + d] + s[d + index(_BIAS * TILE)])
        s[d + index(_D_BIAS * TILE)] += grad
        d_delta.data[out + d] = grad
    out = index(b * du.row + t * du.step + first)
    for d in range(index(width)):
        dy = s[line + d + index(_DY * TILE)]
        grad = s[line + d + index(_D_WEIGHTED * TILE)] * s[line + d]
        du.data[out + d] = grad + dy * s[d + index(_SKIP * TILE)]
        s[d + index(_D_SKIP * TILE)] += dy * u.data[x + d]


@inlined
def _gate(
    s: Floats, i: int, width: int, dy: Rows, z: Rows, b: int, t: int, first: int, dz: Rows
) -> None:
    line = index((_POSITIONS + 6 * i + _Y) * TILE)
    grad, gate = index(b * dy.row + t * dy.step + first), index(b * z.row + t * z.step + first)
    out = index(b * dz.row + t * dz.step + first)
    one = np.float32(1)
    for d in range(index(width)):
        g = z.data[gate + d]
        open_ = sigmoid(g)
        slope = open_ * (one + g * (one - open_))
        dz.data[out + d] = dy.data[grad + d] * s[line + d] * slope
