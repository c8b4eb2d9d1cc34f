"""The kernel that sums up a part's adjoint before anything else of its backward is computed.

``summary_kernel`` of the adjoint: where the sequence goes on in another process, what comes back
from there is known only once every part has said what it does to it.
"""

# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
# mypy: disable-error-code="assignment, index, var-annotated"

import triton
import triton.language as tl

from dnamamba_kernels.fused_math import exp2_of_states, sigmoid, softplus
from dnamamba_kernels.selective_scan.fused.rows import (
    cut_at,
    fetch,
    fetch_tile,
    maps_of,
    next_maps,
    origin,
    program_tile,
    widened,
    word_of,
)


@triton.jit
def summed_up(
    g, total, uncut, maps, following, deltas, zs, dys, word, a, shift, n, s0, length,
    N: tl.constexpr, SOFTPLUS: tl.constexpr, REVERSE: tl.constexpr, WHOLE: tl.constexpr,
    SPREAD: tl.constexpr,
):  # fmt: skip
    """A tile of ``adjoint_summary_kernel``, marked where there is a ``word``."""
    _, cs = maps_of(maps)
    maps = next_maps(following, N, REVERSE, WHOLE)
    for i in tl.static_range(len(dys) - 1, -1, -1):
        step, dout = deltas[i] + shift, dys[i]
        if SOFTPLUS:
            step = softplus(step)
        if not WHOLE:
            step = tl.where(s0 + i < length, step, 0.0)
        if len(zs) > 0:
            dout *= zs[i] * sigmoid(zs[i])
        e = exp2_of_states(a * step[None, :], n[:, None], SPREAD)
        g = e * (g + cs[i][:, None] * dout[None, :])
        if word is not None:
            cut = cut_at(word, i)
            g = tl.where(cut, 0.0, g)
            uncut = tl.where(cut, 0.0, uncut)
        total += step
    return g, total, uncut, maps


@triton.jit(do_not_specialize=["zero"])
def adjoint_summary_kernel(
    u, delta, bias, decay, packed, cuts, length, zero, n_blocks,
    u_batch, delta_batch, cuts_batch,
    skip, z, z_batch,
    span, n_spans, reach, dy, dy_batch, local, product,
    N: tl.constexpr, CHANNELS: tl.constexpr, BLOCK_D: tl.constexpr,
    U_ROW: tl.constexpr, DELTA_ROW: tl.constexpr, SOFTPLUS: tl.constexpr, REVERSE: tl.constexpr,
    Z_ROW: tl.constexpr, WHOLE: tl.constexpr, DY_ROW: tl.constexpr,
    STEPS: tl.constexpr, SPREAD: tl.constexpr,
):  # fmt: skip
    """Of each span the adjoint of the state that enters it, through y alone, and its decay.

    With a the adjoint of the state that leaves a span, that of the state that enters it is
    ``local + product * a``. Swept against the order of the scan, one thread a channel. Spans
    beyond the end of the row change nothing; ``WHOLE`` says that there are none, nor part of one
    tile. Of those that no channel of a block is within ``reach`` (B, D) of, if there is such a
    tensor, nothing is read, and they change nothing either.
    """
    batch, k, d, real, pair, nd, a, shift, _through = program_tile(
        bias, None, decay, zero, n_spans, n_blocks, N, CHANNELS, BLOCK_D
    )
    n = tl.arange(0, N)
    delta += batch * delta_batch + origin(length, DELTA_ROW, REVERSE) + d
    dy += batch * dy_batch + origin(length, DY_ROW, REVERSE) + d
    packed += batch * length * (2 * N) + origin(length, 2 * N, REVERSE) + pair[None, :]
    if z is not None:
        z += batch * z_batch + origin(length, Z_ROW, REVERSE) + d
    g = tl.zeros((N, BLOCK_D), tl.float32)
    total = tl.zeros((BLOCK_D,), tl.float32)
    uncut = 1.0
    start = k * span
    n_tiles = tl.cdiv(tl.maximum(tl.minimum(span, length - start), 0), STEPS)
    if reach is not None:
        within = tl.max(tl.load(reach + batch * CHANNELS + d, mask=real, other=0), 0)
        n_tiles = tl.where(k < within, n_tiles, 0)
    last = start + (n_tiles - 1) * STEPS
    if cuts is not None:
        cuts += batch * cuts_batch
    deltas = widened(fetch(delta, last, length, real, DELTA_ROW, STEPS, REVERSE, WHOLE))
    zs = widened(fetch(z, last, length, real, Z_ROW, STEPS, REVERSE, WHOLE))
    dys = widened(fetch(dy, last, length, real, DY_ROW, STEPS, REVERSE, WHOLE))
    maps = fetch_tile(packed, last, length, pair >= 0, 2 * N, REVERSE, WHOLE)
    for j in range(n_tiles):
        s0 = last - j * STEPS
        before = tl.maximum(s0 - STEPS, start)
        next_deltas = fetch(delta, before, length, real, DELTA_ROW, STEPS, REVERSE, WHOLE)
        next_zs = fetch(z, before, length, real, Z_ROW, STEPS, REVERSE, WHOLE)
        next_dys = fetch(dy, before, length, real, DY_ROW, STEPS, REVERSE, WHOLE)
        word = word_of(cuts, s0) if cuts is not None else None
        following = packed, before, length, pair
        if word is None or word == 0:
            g, total, uncut, maps = summed_up(
                g, total, uncut, maps, following, deltas, zs, dys, None, a, shift, n, s0, length,
                N, SOFTPLUS, REVERSE, WHOLE, SPREAD,
            )  # fmt: skip
        else:
            g, total, uncut, maps = summed_up(
                g, total, uncut, maps, following, deltas, zs, dys, word, a, shift, n, s0, length,
                N, SOFTPLUS, REVERSE, WHOLE, SPREAD,
            )  # fmt: skip
        deltas, zs, dys = widened(next_deltas), widened(next_zs), widened(next_dys)
    out = (batch * n_spans + k) * N * CHANNELS + nd
    tl.store(local + out, g, mask=real[None, :])
    tl.store(product + out, tl.exp2(a * total[None, :]) * uncut, mask=real[None, :])
