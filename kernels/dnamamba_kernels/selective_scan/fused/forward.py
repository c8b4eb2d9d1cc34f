"""The forward kernels of the scan: packing, span summaries, the carry, outputs.

One thread owns one channel with all its N states (tile [N, BLOCK_D], N in registers), so that the
sum over N needs no exchange. Tensors of states are (..., N, D). ``zero`` is always 0 and hides
from the compiler how states are aligned: knowing it, it would spread N over lanes to get wider
accesses to the few states that a span reads and writes, and pay in every step. Parameters that
several kernels share come first, in the order of ``walk``.

Positions are counted in scan order (``s``); ``t`` is the row in memory.
"""

# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
# mypy: disable-error-code="assignment, index, var-annotated"

import triton
import triton.language as tl

from dnamamba_kernels.fused_math import exp2_of_states, sigmoid, softplus
from dnamamba_kernels.selective_scan.fused.rows import (
    crosses,
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
def pack_kernel(
    b, c, packed, resets, cuts, rows, length, n_states, tiles,
    b_batch, b_row, b_state, c_batch, c_row, c_state,
    N: tl.constexpr, ROWS: tl.constexpr, REVERSE: tl.constexpr,
):  # fmt: skip
    """B_t and C_t side by side in fp32, padded to N: four-wide loads, nothing to unpack.

    And of each tile of four positions, if any are marked, a word: bit i, whether a mark lies
    between the i-th and what is scanned before it.
    """
    r = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    n = tl.arange(0, N)[None, :]
    batch, t = r // length, r % length
    inside = (r < rows) & (n < n_states)
    b_values = tl.load(b + batch * b_batch + t * b_row + n * b_state, mask=inside, other=0.0)
    c_values = tl.load(c + batch * c_batch + t * c_row + n * c_state, mask=inside, other=0.0)
    out = packed + r * (2 * N) + n
    written = (r < rows) & (n < N)
    tl.store(out, b_values.to(tl.float32), mask=written)
    tl.store(out + N, c_values.to(tl.float32), mask=written)
    if resets is not None:
        # No more tiles than rows: these programs are enough.
        tile = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
        of_row, s0 = tile // tiles, tile % tiles * 4
        real = of_row < rows // length
        word = tl.zeros((ROWS,), tl.int32)
        for i in tl.static_range(4):
            cut = real & crosses(resets + of_row * length, s0 + i, length, real, REVERSE)
            word |= cut.to(tl.int32) << i
        tl.store(cuts + tile, word.to(tl.uint8), mask=real)


@triton.jit
def summed_up(
    h, total, uncut, maps, following, us, deltas, word, a, shift, n, s0, length,
    N: tl.constexpr, SOFTPLUS: tl.constexpr, REVERSE: tl.constexpr, WHOLE: tl.constexpr,
    SPREAD: tl.constexpr,
):  # fmt: skip
    """A tile of ``summary_kernel``, marked where there is a ``word``.

    Reads the maps of the tile that is following; the tiles of other kernels do, too.
    """
    bs, _ = maps_of(maps)
    maps = next_maps(following, N, REVERSE, WHOLE)
    for i in tl.static_range(len(us)):
        step = deltas[i] + shift
        if SOFTPLUS:
            step = softplus(step)
        if not WHOLE:
            step = tl.where(s0 + i < length, step, 0.0)
        if word is not None:
            cut = cut_at(word, i)
            h = tl.where(cut, 0.0, h)
            uncut = tl.where(cut, 0.0, uncut)
        x = step * us[i]
        e = exp2_of_states(a * step[None, :], n[:, None], SPREAD)
        h = e * h + bs[i][:, None] * x[None, :]
        total += step
    return h, total, uncut, maps


@triton.jit(do_not_specialize=["zero"])
def summary_kernel(
    u, delta, bias, decay, packed, cuts, length, zero, n_blocks,
    u_batch, delta_batch, cuts_batch,
    span, n_spans, local, product,
    N: tl.constexpr, CHANNELS: tl.constexpr, BLOCK_D: tl.constexpr,
    U_ROW: tl.constexpr, DELTA_ROW: tl.constexpr, SOFTPLUS: tl.constexpr, REVERSE: tl.constexpr,
    WHOLE: tl.constexpr, STEPS: tl.constexpr, SPREAD: tl.constexpr,
):  # fmt: skip
    """Of each span its end state from zero, and the product of its decays.

    With ``WHOLE`` every one is as long as they are: all but the last.
    """
    batch, k, d, real, pair, nd, a, shift, _through = program_tile(
        bias, None, decay, zero, n_spans, n_blocks, N, CHANNELS, BLOCK_D
    )
    n = tl.arange(0, N)
    u += batch * u_batch + origin(length, U_ROW, REVERSE) + d
    delta += batch * delta_batch + origin(length, DELTA_ROW, REVERSE) + d
    packed += batch * length * (2 * N) + origin(length, 2 * N, REVERSE) + pair[None, :]
    h = tl.zeros((N, BLOCK_D), tl.float32)
    total = tl.zeros((BLOCK_D,), tl.float32)
    uncut = 1.0
    start = k * span
    if cuts is not None:
        cuts += batch * cuts_batch
    end = start + span
    if not WHOLE:
        end = tl.minimum(end, length)
    last = start + (tl.cdiv(end - start, STEPS) - 1) * STEPS
    us = widened(fetch(u, start, length, real, U_ROW, STEPS, REVERSE, WHOLE))
    deltas = widened(fetch(delta, start, length, real, DELTA_ROW, STEPS, REVERSE, WHOLE))
    maps = fetch_tile(packed, start, length, pair >= 0, 2 * N, REVERSE, WHOLE)
    for s0 in range(start, end, STEPS):
        after = tl.minimum(s0 + STEPS, last)
        next_us = fetch(u, after, length, real, U_ROW, STEPS, REVERSE, WHOLE)
        next_deltas = fetch(delta, after, length, real, DELTA_ROW, STEPS, REVERSE, WHOLE)
        word = word_of(cuts, s0) if cuts is not None else None
        following = packed, after, length, pair
        if word is None or word == 0:
            h, total, uncut, maps = summed_up(
                h, total, uncut, maps, following, us, deltas, None, a, shift, n, s0, length,
                N, SOFTPLUS, REVERSE, WHOLE, SPREAD,
            )  # fmt: skip
        else:
            h, total, uncut, maps = summed_up(
                h, total, uncut, maps, following, us, deltas, word, a, shift, n, s0, length,
                N, SOFTPLUS, REVERSE, WHOLE, SPREAD,
            )  # fmt: skip
        us, deltas = widened(next_us), widened(next_deltas)
    out = (batch * n_spans + k) * N * CHANNELS + nd
    tl.store(local + out, h, mask=real[None, :])
    tl.store(product + out, tl.exp2(a * total[None, :]) * uncut, mask=real[None, :])


@triton.jit
def carry_kernel(
    local, product, first, carried, last,
    width, n_in, n_out,
    BACKWARD: tl.constexpr, BLOCK: tl.constexpr, LINKS: tl.constexpr,
):  # fmt: skip
    """What enters each of a row of pieces: x_{k+1} = product_k x_k + local_k, from ``first``.

    ``width`` = N·D columns. ``n_in`` pieces are summarised, ``n_out`` states are written, if any:
    one more forward, where nobody asks what leaves the last span; as many backward, from right to
    left. ``last`` receives what leaves the last piece that is walked.
    """
    columns = (width + BLOCK - 1) // BLOCK
    pid = tl.program_id(0).to(tl.int64)
    batch = pid // columns
    column = (pid % columns) * BLOCK + tl.arange(0, BLOCK)
    real = column < width
    x = tl.zeros((BLOCK,), tl.float32)
    if first is not None:
        x = tl.load(first + batch * width + column, mask=real, other=0.0)
    row = n_in - 1 if BACKWARD else 0
    local += (batch * n_in + row) * width + column
    product += (batch * n_in + row) * width + column
    if carried is not None:
        carried += (batch * n_out + row) * width + column
    stride = -width if BACKWARD else width
    for j0 in range(0, n_out, LINKS):
        # Nothing here waits for the chain: these loads are all in flight before its first link.
        products, locals_ = (), ()
        for i in tl.static_range(LINKS):
            inside = real & (j0 + i < n_in)
            products += (tl.load(product + i * stride, mask=inside, other=1.0),)
            locals_ += (tl.load(local + i * stride, mask=inside, other=0.0),)
        for i in tl.static_range(LINKS):
            if carried is not None:
                tl.store(carried + i * stride, x, mask=real & (j0 + i < n_out))
            # A state of zero stays zero, even where a growing product has overflowed.
            x = tl.where(x == 0.0, 0.0, products[i] * x) + locals_[i]
        local += LINKS * stride
        product += LINKS * stride
        if carried is not None:
            carried += LINKS * stride
    if last is not None:
        tl.store(last + batch * width + column, x, mask=real)


@triton.jit
def outputs_of(
    h, maps, following, us, deltas, zs, others, word, a, shift, through, n, s0, length,
    N: tl.constexpr, SOFTPLUS: tl.constexpr, REVERSE: tl.constexpr, WHOLE: tl.constexpr,
    SPREAD: tl.constexpr,
):  # fmt: skip
    """A tile of ``output_kernel``, marked where there is a ``word``."""
    bs, cs = maps_of(maps)
    maps = next_maps(following, N, REVERSE, WHOLE)
    ys = ()
    for i in tl.static_range(len(us)):
        step = deltas[i] + shift
        if SOFTPLUS:
            step = softplus(step)
        if not WHOLE:
            step = tl.where(s0 + i < length, step, 0.0)
        if word is not None:
            h = tl.where(cut_at(word, i), 0.0, h)
        e = exp2_of_states(a * step[None, :], n[:, None], SPREAD)
        h = e * h + bs[i][:, None] * (step * us[i])[None, :]
        out = tl.sum(cs[i][:, None] * h, 0) + through * us[i]
        if len(others) > 0:
            out += others[i]
        if len(zs) > 0:
            out *= zs[i] * sigmoid(zs[i])
        ys += (out,)
    return h, maps, ys


@triton.jit(do_not_specialize=["zero"])
def output_kernel(
    u, delta, bias, decay, packed, cuts, length, zero, n_blocks,
    u_batch, delta_batch, cuts_batch,
    skip, z, z_batch,
    chunk, span, n_spans, carried, y, y_batch, final, states,
    N: tl.constexpr, CHANNELS: tl.constexpr, BLOCK_D: tl.constexpr,
    U_ROW: tl.constexpr, DELTA_ROW: tl.constexpr, SOFTPLUS: tl.constexpr, REVERSE: tl.constexpr,
    Z_ROW: tl.constexpr, WHOLE: tl.constexpr,
    Y_ROW: tl.constexpr, STEPS: tl.constexpr, SPREAD: tl.constexpr, ADD: tl.constexpr,
):  # fmt: skip
    """y of one span from the state that enters it; the last span leaves the final state.

    With ``ADD`` what stands in the place of y is the output of another scan, before its gate, and
    is added before that of this one.

    ``states`` keeps the state that enters each chunk, for the backward; spans are whole chunks.
    """
    batch, k, d, real, pair, nd, a, shift, through = program_tile(
        bias, skip, decay, zero, n_spans, n_blocks, N, CHANNELS, BLOCK_D
    )
    n = tl.arange(0, N)
    u += batch * u_batch + origin(length, U_ROW, REVERSE) + d
    delta += batch * delta_batch + origin(length, DELTA_ROW, REVERSE) + d
    y += batch * y_batch + origin(length, Y_ROW, REVERSE) + d
    packed += batch * length * (2 * N) + origin(length, 2 * N, REVERSE) + pair[None, :]
    if z is not None:
        z += batch * z_batch + origin(length, Z_ROW, REVERSE) + d
    if cuts is not None:
        cuts += batch * cuts_batch
    h = tl.zeros((N, BLOCK_D), tl.float32)
    if carried is not None:
        entering = carried + (batch * n_spans + k) * N * CHANNELS + nd
        h = tl.load(entering, mask=real[None, :], other=0.0)
    if states is not None:
        states += (batch * tl.cdiv(length, chunk) + k * (span // chunk)) * N * CHANNELS
    end = tl.minimum((k + 1) * span, length)
    last = k * span + (tl.cdiv(end - k * span, STEPS) - 1) * STEPS
    us = widened(fetch(u, k * span, length, real, U_ROW, STEPS, REVERSE, WHOLE))
    deltas = widened(fetch(delta, k * span, length, real, DELTA_ROW, STEPS, REVERSE, WHOLE))
    zs = widened(fetch(z, k * span, length, real, Z_ROW, STEPS, REVERSE, WHOLE))
    others = ()
    if ADD:
        others = widened(fetch(y, k * span, length, real, Y_ROW, STEPS, REVERSE, WHOLE))
    maps = fetch_tile(packed, k * span, length, pair >= 0, 2 * N, REVERSE, WHOLE)
    for s0 in range(k * span, end, STEPS):
        if states is not None:
            # Before any load, since none moves across a store; and under a mask, since nothing at
            # all moves across a branch.
            enters = (s0 & (chunk - 1)) == 0
            tl.store(states + nd, h, mask=real[None, :] & enters)
            states += tl.where(enters, N * CHANNELS, 0)
        after = tl.minimum(s0 + STEPS, last)
        next_us = fetch(u, after, length, real, U_ROW, STEPS, REVERSE, WHOLE)
        next_deltas = fetch(delta, after, length, real, DELTA_ROW, STEPS, REVERSE, WHOLE)
        next_zs = fetch(z, after, length, real, Z_ROW, STEPS, REVERSE, WHOLE)
        if ADD:
            next_others = fetch(y, after, length, real, Y_ROW, STEPS, REVERSE, WHOLE)
        word = word_of(cuts, s0) if cuts is not None else None
        following = packed, after, length, pair
        if word is None or word == 0:
            h, maps, ys = outputs_of(
                h, maps, following, us, deltas, zs, others, None, a, shift, through, n,
                s0, length, N, SOFTPLUS, REVERSE, WHOLE, SPREAD,
            )  # fmt: skip
        else:
            h, maps, ys = outputs_of(
                h, maps, following, us, deltas, zs, others, word, a, shift, through, n,
                s0, length, N, SOFTPLUS, REVERSE, WHOLE, SPREAD,
            )  # fmt: skip
        out_row = y + offset(s0, Y_ROW, REVERSE)
        for i in tl.static_range(STEPS):
            inside = real if WHOLE else real & (s0 + i < length)
            tl.store(out_row + offset(i, Y_ROW, REVERSE), ys[i], mask=inside)
        us, deltas, zs = widened(next_us), widened(next_deltas), widened(next_zs)
        if ADD:
            others = widened(next_others)
    if k == n_spans - 1:
        tl.store(final + batch * N * CHANNELS + nd, h, mask=real[None, :])
