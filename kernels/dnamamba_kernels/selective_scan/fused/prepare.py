"""The kernel that prepares the backward of the scan: the sweep forward.

``kernels/README.md`` derives both sweeps. Positions are counted in scan order (``s``); ``t`` is the
row in memory. A workspace spans the chunks from ``first`` on.
"""

# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
# mypy: disable-error-code="assignment, index, misc, var-annotated"

import triton
import triton.language as tl

from dnamamba_kernels.fused_math import sigmoid, softplus
from dnamamba_kernels.selective_scan.fused.rows import (
    cut_at,
    fetch,
    fetch_tile,
    maps_of,
    next_maps,
    offset,
    origin,
    program_tile,
    widened,
    word_of,
)


@triton.jit
def prepared(
    h, maps, following, sums, dthrough, us, deltas, zs, dys, others, word,
    a, shift, through, s0, length, dz,
    N: tl.constexpr, SOFTPLUS: tl.constexpr, REVERSE: tl.constexpr, WHOLE: tl.constexpr,
):  # fmt: skip
    """A tile of ``prepare_kernel``, marked where there is a ``word``."""
    bs, cs = maps_of(maps)
    maps = next_maps(following, N, REVERSE, WHOLE)
    dzs, ys = (), ()
    for i in tl.static_range(len(us)):
        step = deltas[i] + shift
        if SOFTPLUS:
            step = softplus(step)
        if not WHOLE:
            step = tl.where(s0 + i < length, step, 0.0)
        e = tl.exp2(a * step[None, :])
        value, dout = us[i], dys[i]
        if word is not None:
            h = tl.where(cut_at(word, i), 0.0, h)
        h = e * h + bs[i][:, None] * (step * value)[None, :]
        if len(zs) > 0:
            out = tl.sum(cs[i][:, None] * h, 0) + through * value
            if len(others) > 0:
                out += others[i]
            gate = zs[i]
            open_ = sigmoid(gate)
            if dz is not None:
                dzs += (dout * out * open_ * (1.0 + gate * (1.0 - open_)),)
                out *= gate * open_
            ys += (out,)
            dout *= gate * open_
        passed, adjoint = sums
        if word is not None:
            passed = tl.where(cut_at(word, i), 0.0, passed)
        passed = e * passed
        sums = passed, adjoint + passed * (cs[i][:, None] * dout[None, :])
        dthrough += dout * value
    return h, maps, sums, dthrough, ys, dzs


@triton.jit(do_not_specialize=["zero"])
def prepare_kernel(
    u, delta, bias, decay, packed, cuts, length, zero, n_blocks,
    u_batch, delta_batch, cuts_batch,
    skip, z, z_batch,
    chunk, first, n_chunks, all_chunks, dy, dy_batch,
    carried, borders, local, product, dskip, y, y_batch, dz, dz_batch,
    N: tl.constexpr, CHANNELS: tl.constexpr, BLOCK_D: tl.constexpr,
    U_ROW: tl.constexpr, DELTA_ROW: tl.constexpr, SOFTPLUS: tl.constexpr, REVERSE: tl.constexpr,
    Z_ROW: tl.constexpr, WHOLE: tl.constexpr, DY_ROW: tl.constexpr,
    Y_ROW: tl.constexpr, DZ_ROW: tl.constexpr, STEPS: tl.constexpr, ADD: tl.constexpr,
):  # fmt: skip
    """One chunk swept in scan order, one thread a channel.

    Writes the gate's gradient, y once more if there is a gate and anybody asks for it, the states
    that enter every STEPS positions, and the chunk's adjoint summary: with a that of the state that
    leaves, the adjoint of the one that enters is ``local + product * a``.
    Of a gated scan whose output is added to another's before the gate, the first of both has no
    ``dz``, and writes as y what comes before the gate; the second, with ``ADD``, adds that to its
    own, and makes of both the output and the gate's gradient.
    """
    batch, k, d, real, pair, nd, a, shift, through = program_tile(
        bias, skip, decay, zero, n_chunks, n_blocks, N, CHANNELS, BLOCK_D
    )
    u += batch * u_batch + origin(length, U_ROW, REVERSE) + d
    delta += batch * delta_batch + origin(length, DELTA_ROW, REVERSE) + d
    dy += batch * dy_batch + origin(length, DY_ROW, REVERSE) + d
    packed += batch * length * (2 * N) + origin(length, 2 * N, REVERSE) + pair[None, :]
    if z is not None:
        z += batch * z_batch + origin(length, Z_ROW, REVERSE) + d
    if dz is not None:
        dz += batch * dz_batch + origin(length, DZ_ROW, REVERSE) + d
    if y is not None:
        y += batch * y_batch + origin(length, Y_ROW, REVERSE) + d
    h = tl.zeros((N, BLOCK_D), tl.float32)
    if carried is not None:
        entering = carried + (batch * all_chunks + first + k) * N * CHANNELS + nd
        h = tl.load(entering, mask=real[None, :], other=0.0)
    per_chunk = chunk // STEPS
    border = borders + (batch * n_chunks + k) * per_chunk * N * CHANNELS + nd
    sums = tl.full((N, BLOCK_D), 1.0, tl.float32), tl.zeros((N, BLOCK_D), tl.float32)
    dthrough = tl.zeros((BLOCK_D,), tl.float32)
    start = (first + k) * chunk
    if cuts is not None:
        cuts += batch * cuts_batch
    end = tl.minimum(start + chunk, length)
    last = start + (tl.cdiv(end - start, STEPS) - 1) * STEPS
    us = widened(fetch(u, start, length, real, U_ROW, STEPS, REVERSE, WHOLE))
    deltas = widened(fetch(delta, start, length, real, DELTA_ROW, STEPS, REVERSE, WHOLE))
    zs = widened(fetch(z, start, length, real, Z_ROW, STEPS, REVERSE, WHOLE))
    dys = widened(fetch(dy, start, length, real, DY_ROW, STEPS, REVERSE, WHOLE))
    others = ()
    if ADD:
        others = widened(fetch(y, start, length, real, Y_ROW, STEPS, REVERSE, WHOLE))
    maps = fetch_tile(packed, start, length, pair >= 0, 2 * N, REVERSE, WHOLE)
    for s0 in range(start, end, STEPS):
        after = tl.minimum(s0 + STEPS, last)
        next_us = fetch(u, after, length, real, U_ROW, STEPS, REVERSE, WHOLE)
        next_deltas = fetch(delta, after, length, real, DELTA_ROW, STEPS, REVERSE, WHOLE)
        next_zs = fetch(z, after, length, real, Z_ROW, STEPS, REVERSE, WHOLE)
        next_dys = fetch(dy, after, length, real, DY_ROW, STEPS, REVERSE, WHOLE)
        if ADD:
            next_others = fetch(y, after, length, real, Y_ROW, STEPS, REVERSE, WHOLE)
        word = word_of(cuts, s0) if cuts is not None else None
        entered, following = h, (packed, after, length, pair)
        if word is None or word == 0:
            h, maps, sums, dthrough, ys, dzs = prepared(
                h, maps, following, sums, dthrough, us, deltas, zs, dys, others, None,
                a, shift, through, s0, length, dz, N, SOFTPLUS, REVERSE, WHOLE,
            )  # fmt: skip
        else:
            h, maps, sums, dthrough, ys, dzs = prepared(
                h, maps, following, sums, dthrough, us, deltas, zs, dys, others, word,
                a, shift, through, s0, length, dz, N, SOFTPLUS, REVERSE, WHOLE,
            )  # fmt: skip
        if z is not None:
            for i in tl.static_range(STEPS):
                inside = real if WHOLE else real & (s0 + i < length)
                if dz is not None:
                    tl.store(
                        dz + offset(s0, DZ_ROW, REVERSE) + offset(i, DZ_ROW, REVERSE),
                        dzs[i],
                        mask=inside,
                    )
                if y is not None:
                    tl.store(
                        y + offset(s0, Y_ROW, REVERSE) + offset(i, Y_ROW, REVERSE),
                        ys[i],
                        mask=inside,
                    )
        tl.store(border + ((s0 - start) // STEPS) * N * CHANNELS, entered, mask=real[None, :])
        us, deltas = widened(next_us), widened(next_deltas)
        zs, dys = widened(next_zs), widened(next_dys)
        if ADD:
            others = widened(next_others)
    out = (batch * n_chunks + k) * N * CHANNELS + nd
    passed, adjoint = sums
    tl.store(local + out, adjoint, mask=real[None, :])
    tl.store(product + out, passed, mask=real[None, :])
    if skip is not None:
        share = (batch * all_chunks + first + k) * CHANNELS
        tl.store(dskip + share + d, dthrough, mask=real)
