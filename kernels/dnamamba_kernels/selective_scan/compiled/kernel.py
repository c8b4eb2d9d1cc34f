"""The kernel: rows one after the other, of each four positions at a time, tiles of channels.

    h_n = 2^(Δ A_n) h_n + Δ u B_n        y = Σ_n C_n h_n + D u, gated

A tile's inputs, outputs, states and decays lie in one array, as lines of ``TILE`` floats: LLVM then
knows that no two of them overlap, and need not check it before every loop. Channels run along the
vector lanes. A state and its A are read once for four positions, whose softplus, products and gates
take a loop each; what bounds it all are the 12 multiply-adds and their like that a state takes.
"""

import numpy as np
from numpy.typing import NDArray

from dnamamba_kernels.compiled.jit import entry, inlined
from dnamamba_kernels.compiled.math import exp2, silu, softplus
from dnamamba_kernels.compiled.rows import Rows
from dnamamba_kernels.selective_scan.compiled.operands import Floats, Inputs

__all__ = ["CHUNK", "TILE", "scan_rows"]

# An index without a sign needs no check for negative ones.
index = np.uintp

TILE = 256
# Positions of a chunk, of which a backward needs the state at the start; a multiple of four.
CHUNK = 16
# Lines of a tile: Δ, Δ u and y of four positions, what is added to delta, D; then h and A by state.
_STEPS, _WEIGHTED, _OUTPUTS, _BIAS, _SKIP, _STATES = 0, 4, 8, 12, 13, 14


@entry
def scan_rows(inputs: Inputs, y: Rows, states: Floats, kept: Floats) -> None:
    """Fill ``y`` and take ``states`` (B, N, D) from the start to the end.

    ``kept`` (chunks, B, N, D), unless it has no chunks, takes the state that enters each chunk.
    """
    batch, N, channels = states.shape
    length, reverse, cuts = inputs.length, inputs.reverse, inputs.cuts
    size = (_STATES + 2 * N) * TILE
    tiles = np.empty(-(-channels // TILE) * size, np.float32)
    _constants(tiles, size, inputs)
    for b in range(batch):
        _copy_states(tiles, size, states[b], False)
        k = 0
        while k < length:
            t = length - 1 - k if reverse else k
            pace = -1 if reverse else 1
            if len(kept) and k % CHUNK == 0:
                _copy_states(tiles, size, kept[k // CHUNK, b], True)
            if cuts.size and cuts[b, t]:
                _clear_states(tiles, size, N)
            count = _run(cuts, b, t, pace, min(length - k, CHUNK - k % CHUNK))
            for first in range(0, channels, TILE):
                tile, width = first // TILE * size, min(TILE, channels - first)
                for i in range(count):
                    at = t + i * pace
                    _load(tiles, tile, i, width, inputs, b, at, first)
                for n in range(N):
                    _advance(tiles, tile, n, width, count, inputs, b, t, pace)
                for i in range(count):
                    _store(tiles, tile, i, width, y, inputs.z, b, t + i * pace, first)
            k += count
        _copy_states(tiles, size, states[b], True)


@inlined
def _run(cuts: NDArray[np.bool_], b: int, t: int, pace: int, left: int) -> int:
    """How many positions from t on go together: four if as many are left and no cut is inside."""
    if left < 4:
        return 1
    if cuts.size and (cuts[b, t + pace] or cuts[b, t + 2 * pace] or cuts[b, t + 3 * pace]):
        return 1
    return 4


@inlined
def _load(
    s: Floats, tile: int, i: int, width: int, inputs: Inputs, b: int, t: int, first: int
) -> None:
    u, delta = inputs.u, inputs.delta
    at, line = index(tile), index(tile + i * TILE)
    raw, x = index(b * delta.row + t * delta.step + first), index(b * u.row + t * u.step + first)
    if inputs.softplus:
        for d in range(index(width)):
            s[line + d] = softplus(delta.data[raw + d] + s[at + d + index(_BIAS * TILE)])
    else:
        for d in range(index(width)):
            s[line + d] = delta.data[raw + d] + s[at + d + index(_BIAS * TILE)]
    for d in range(index(width)):
        s[line + d + index(_WEIGHTED * TILE)] = s[line + d] * u.data[x + d]
        s[line + d + index(_OUTPUTS * TILE)] = s[at + d + index(_SKIP * TILE)] * u.data[x + d]


@inlined
def _advance(
    s: Floats, tile: int, n: int, width: int, count: int, inputs: Inputs, b: int, t: int, pace: int
) -> None:
    """State n over one position, or over four."""
    B, C = inputs.B, inputs.C
    at, h = index(tile), index(tile + (_STATES + 2 * n) * TILE)
    in_B, in_C = b * B.row + t * B.step + n, b * C.row + t * C.step + n
    to_B, to_C = pace * B.step, pace * C.step
    B0, C0 = B.data[index(in_B)], C.data[index(in_C)]
    if count == 1:
        for d in range(index(width)):
            state = _step(s, at + d, s[h + d], s[h + d + index(TILE)], B0, C0)
            s[h + d] = state
        return
    B1, C1 = B.data[index(in_B + to_B)], C.data[index(in_C + to_C)]
    B2, C2 = B.data[index(in_B + 2 * to_B)], C.data[index(in_C + 2 * to_C)]
    B3, C3 = B.data[index(in_B + 3 * to_B)], C.data[index(in_C + 3 * to_C)]
    for d in range(index(width)):
        state, A = s[h + d], s[h + d + index(TILE)]
        state = _step(s, at + d, state, A, B0, C0)
        state = _step(s, at + d + index(TILE), state, A, B1, C1)
        state = _step(s, at + d + index(2 * TILE), state, A, B2, C2)
        state = _step(s, at + d + index(3 * TILE), state, A, B3, C3)
        s[h + d] = state


@inlined
def _step(
    s: Floats, at: np.uintp, state: np.float32, A: np.float32, B: np.float32, C: np.float32
) -> np.float32:
    """One state of one channel after one position, whose y it is added to."""
    state = exp2(s[at] * A) * state + s[at + index(_WEIGHTED * TILE)] * B
    s[at + index(_OUTPUTS * TILE)] += C * state
    return state


@inlined
def _store(
    s: Floats, tile: int, i: int, width: int, y: Rows, z: Rows, b: int, t: int, first: int
) -> None:
    line = index(tile + (_OUTPUTS + i) * TILE)
    out, gate = index(b * y.row + t * y.step + first), index(b * z.row + t * z.step + first)
    if z.data.size:
        for d in range(index(width)):
            y.data[out + d] = s[line + d] * silu(z.data[gate + d])
    else:
        for d in range(index(width)):
            y.data[out + d] = s[line + d]


@inlined
def _constants(tiles: Floats, size: int, inputs: Inputs) -> None:
    A, bias, D = inputs.A, inputs.bias, inputs.D
    for d in range(A.shape[1]):
        at = d // TILE * size + d % TILE
        tiles[at + _BIAS * TILE], tiles[at + _SKIP * TILE] = bias[d], D[d]
        for n in range(A.shape[0]):
            tiles[at + (_STATES + 2 * n + 1) * TILE] = A[n, d]


@inlined
def _copy_states(tiles: Floats, size: int, states: Floats, out: bool) -> None:
    """Into the tiles from (N, D), or back."""
    N, channels = states.shape
    for first in range(0, channels, TILE):
        for n in range(N):
            line = index(first // TILE * size + (_STATES + 2 * n) * TILE)
            start = index(first)
            for d in range(index(min(TILE, channels - first))):
                if out:
                    states[n, start + d] = tiles[line + d]
                else:
                    tiles[line + d] = states[n, start + d]


@inlined
def _clear_states(tiles: Floats, size: int, N: int) -> None:
    for tile in range(0, len(tiles), size):
        for n in range(N):
            at = tile + (_STATES + 2 * n) * TILE
            tiles[at : at + TILE] = np.float32(0)
