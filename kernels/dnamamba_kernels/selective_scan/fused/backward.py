"""The backward kernels of the scan: the sweep forward that prepares, the sweep back that adjoins.

``kernels/README.md`` derives both. Positions are counted in scan order (``s``); ``t`` is the row in
memory. A workspace spans the chunks from ``first`` on.
"""

# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
# mypy: disable-error-code="assignment, index, misc, var-annotated"

import triton
import triton.language as tl

from dnamamba_kernels.fused_math import sigmoid, softplus_and_slope
from dnamamba_kernels.selective_scan.fused.rows import (
    cut_at,
    fetch_tile,
    maps_of,
    offset,
    origin,
    program_tile,
    row,
    rows_of,
    rows_of_pair,
    word_of,
)
from dnamamba_kernels.selective_scan.fused.sums import sums_over_channels, sums_over_states

LN2 = tl.constexpr(0.6931471805599453)


@triton.jit
def adjoint_tile(
    h, g, da, maps, step4, dout4, u4, u, delta, dy, z, packed, before, word,
    a, borders, nd, tile, dbc, zero, length, real, pair,
    N: tl.constexpr, CHANNELS: tl.constexpr, FOLDED: tl.constexpr, U_ROW: tl.constexpr,
    DELTA_ROW: tl.constexpr, DY_ROW: tl.constexpr, Z_ROW: tl.constexpr, REVERSE: tl.constexpr,
    WHOLE: tl.constexpr,
):  # fmt: skip
    """Four positions of ``adjoint_kernel``, marked where there is a ``word``.

    Reads the rows and the border of the tile before, too.
    """
    bs, cs = maps_of(maps)
    maps = fetch_tile(packed, before, length, pair >= 0, 2 * N, REVERSE, WHOLE)
    deltas = fetch_tile(delta, before, length, real, DELTA_ROW, REVERSE, WHOLE)
    us = fetch_tile(u, before, length, real, U_ROW, REVERSE, WHOLE)
    dys = fetch_tile(dy, before, length, real, DY_ROW, REVERSE, WHOLE)
    zs = dys
    if z is not None:
        zs = fetch_tile(z, before, length, real, Z_ROW, REVERSE, WHOLE)
    made, dos = rows_of_pair(step4, dout4)
    xs = rows_of(step4 * u4)
    hs, dcs, dbs = (), (), ()
    for i in tl.static_range(4):
        if word is not None:
            h = tl.where(cut_at(word, i), 0.0, h)
        hs += (h,)
        e = tl.exp2(a * made[i][None, :])
        h = e * h + bs[i][:, None] * xs[i][None, :]
        dcs += (h * dos[i][None, :],)
    dxs, das = (), ()
    for i in tl.static_range(3, -1, -1):
        g += cs[i][:, None] * dos[i][None, :]
        dbs += (g * xs[i][None, :],)
        dxs += (g * bs[i][:, None],)
        if i < 3:
            # Not those above, for all the compiler knows: keeping more than one would spill.
            e = tl.exp2(a * (made[i] + zero)[None, :])
        g *= e
        if word is not None:
            g = tl.where(cut_at(word, i), 0.0, g)
        if i == 0:
            # The border once more, from the cache: registers until now held the others.
            again = borders + (tile * N * CHANNELS + zero)
            v = g * tl.load(again + nd, mask=real[None, :], other=0.0)
        else:
            v = g * hs[i]
        da += v * made[i][None, :]
        das += (v * a,)
    next_tile = tl.maximum(tile - 1, 0) * N * CHANNELS
    h = tl.load(borders + next_tile + nd, mask=real[None, :], other=0.0)
    # Stored once a tile: nothing overlaps across a store.
    shares = sums_over_channels(
        dbs[3], dbs[2], dbs[1], dbs[0], dcs[0], dcs[1], dcs[2], dcs[3], FOLDED
    )
    tl.store(dbc + tile * (8 * N), shares)
    dx4 = sums_over_states(dxs[3], dxs[2], dxs[1], dxs[0], FOLDED)
    da4 = sums_over_states(das[3], das[2], das[1], das[0], FOLDED)
    return h, g, da, maps, dx4, da4, us, deltas, dys, zs


@triton.jit
def adjoint_kernel(
    u, delta, bias, decay, packed, cuts, length, zero, n_blocks,
    u_batch, delta_batch, cuts_batch,
    skip, z, z_batch,
    chunk, first, n_chunks, all_chunks, dy, dy_batch,
    leaving, borders, dbc, block_stride, ddecay, dbias, du, du_batch, ddelta, ddelta_batch,
    N: tl.constexpr, CHANNELS: tl.constexpr, BLOCK_D: tl.constexpr,
    U_ROW: tl.constexpr, DELTA_ROW: tl.constexpr, SOFTPLUS: tl.constexpr, REVERSE: tl.constexpr,
    Z_ROW: tl.constexpr, WHOLE: tl.constexpr, DY_ROW: tl.constexpr,
    DU_ROW: tl.constexpr, DDELTA_ROW: tl.constexpr, FOLDED: tl.constexpr,
):  # fmt: skip
    """One chunk swept backwards: every gradient, from the adjoint that leaves the chunk.

    Four positions at a time: forward from their border, keeping the states in registers, then
    back. The tile lies over lanes in both directions, because both are summed over: N for du and
    dΔ, CHANNELS for dB and dC, of which each block of CHANNELS writes its own share (no atomics).
    """
    batch, k, d, real, pair, nd, a, shift, through = program_tile(
        bias, skip, decay, 0, n_chunks, n_blocks, N, CHANNELS, BLOCK_D
    )
    n = tl.arange(0, N)
    block = tl.program_id(0).to(tl.int64) % n_blocks
    if bias is not None:
        shift = shift[None, :]
    if skip is not None:
        through = through[None, :]

    # Rows of four positions at a time: one access and one change of layout serve them all.
    i4 = tl.arange(0, 4)[:, None]
    u += batch * u_batch + origin(length, U_ROW, REVERSE) + d[None, :]
    delta += batch * delta_batch + origin(length, DELTA_ROW, REVERSE) + d[None, :]
    du += batch * du_batch + origin(length, DU_ROW, REVERSE) + d[None, :]
    ddelta += batch * ddelta_batch + origin(length, DDELTA_ROW, REVERSE) + d[None, :]
    packed += batch * length * (2 * N) + origin(length, 2 * N, REVERSE) + pair[None, :]
    dy += batch * dy_batch + origin(length, DY_ROW, REVERSE) + d[None, :]
    if z is not None:
        z += batch * z_batch + origin(length, Z_ROW, REVERSE) + d[None, :]
    chunk_states = (batch * n_chunks + k) * N * CHANNELS
    per_chunk = chunk // 4
    column = tl.arange(0, 8)
    dbc += block * block_stride + (batch * n_chunks + k) * per_chunk * (8 * N)
    dbc += n[:, None] * 8 + column[None, :]
    g = tl.load(leaving + chunk_states + nd, mask=real[None, :], other=0.0)
    da = tl.zeros((N, BLOCK_D), tl.float32)
    dshift = tl.zeros((4, BLOCK_D), tl.float32)
    start = (first + k) * chunk
    n_tiles = tl.cdiv(tl.minimum(chunk, length - start), 4)
    last = start + (n_tiles - 1) * 4
    borders += chunk_states * per_chunk
    if cuts is not None:
        cuts += batch * cuts_batch
    h = tl.load(borders + (n_tiles - 1) * N * CHANNELS + nd, mask=real[None, :], other=0.0)
    deltas = fetch_tile(delta, last, length, real, DELTA_ROW, REVERSE, WHOLE)
    deltas = deltas.to(tl.float32) + shift
    us = fetch_tile(u, last, length, real, U_ROW, REVERSE, WHOLE).to(tl.float32)
    dys = fetch_tile(dy, last, length, real, DY_ROW, REVERSE, WHOLE).to(tl.float32)
    zs = dys
    if z is not None:
        zs = fetch_tile(z, last, length, real, Z_ROW, REVERSE, WHOLE).to(tl.float32)
    maps = fetch_tile(packed, last, length, pair >= 0, 2 * N, REVERSE, WHOLE)
    for j in range(n_tiles):
        tile = n_tiles - 1 - j
        s0 = start + tile * 4
        inside4 = WHOLE | (s0 + i4 < length)
        inside = real[None, :] & inside4
        step4, slope4 = deltas, deltas
        if SOFTPLUS:
            step4, slope4 = softplus_and_slope(deltas)
        step4 = step4 if WHOLE else tl.where(inside, step4, 0.0)
        u4, dout4 = us, dys
        if z is not None:
            dout4 *= zs * sigmoid(zs)
        before = tl.maximum(s0 - 4, start)
        word = word_of(cuts, s0) if cuts is not None else None
        if word is None or word == 0:
            h, g, da, maps, dx4, da4, next_us, next_deltas, next_dys, next_zs = adjoint_tile(
                h, g, da, maps, step4, dout4, u4, u, delta, dy, z, packed, before, None,
                a, borders, nd, tile, dbc, zero, length, real, pair,
                N, CHANNELS, FOLDED, U_ROW, DELTA_ROW, DY_ROW, Z_ROW, REVERSE, WHOLE,
            )  # fmt: skip
        else:
            h, g, da, maps, dx4, da4, next_us, next_deltas, next_dys, next_zs = adjoint_tile(
                h, g, da, maps, step4, dout4, u4, u, delta, dy, z, packed, before, word,
                a, borders, nd, tile, dbc, zero, length, real, pair,
                N, CHANNELS, FOLDED, U_ROW, DELTA_ROW, DY_ROW, Z_ROW, REVERSE, WHOLE,
            )  # fmt: skip
        dstep4 = da4 * LN2 + dx4 * u4
        if SOFTPLUS:
            dstep4 *= slope4
        if not WHOLE:
            dstep4 = tl.where(inside, dstep4, 0.0)
        dshift += dstep4
        tl.store(
            du + offset(s0, DU_ROW, REVERSE) + offset(i4, DU_ROW, REVERSE),
            dx4 * step4 + through * dout4,
            mask=inside,
        )
        tl.store(
            ddelta + offset(s0, DDELTA_ROW, REVERSE) + offset(i4, DDELTA_ROW, REVERSE),
            dstep4,
            mask=inside,
        )
        # Waited for together, as in ``widened``.
        deltas = next_deltas.to(tl.float32) + shift
        us, dys = next_us.to(tl.float32), next_dys.to(tl.float32)
        if z is not None:
            zs = next_zs.to(tl.float32)
    share = (batch * all_chunks + first + k) * CHANNELS
    tl.store(ddecay + share * N + nd, da, mask=real[None, :])
    if bias is not None:
        tl.store(dbias + share + d, tl.sum(dshift, 0), mask=real)


@triton.jit
def unpack_kernel(
    dbc, db, dc, length, start, n_tiles, all_tiles, n_blocks, n_states, block_stride,
    db_batch, db_row, dc_batch, dc_row,
    N: tl.constexpr, TILES: tl.constexpr, REVERSE: tl.constexpr,
):  # fmt: skip
    """The shares of all blocks of channels, added up in their order: the gradients of B and C.

    A tile's shares are (N, 8): dB of its four positions, from scan position ``start`` on, then dC.
    """
    tile = tl.program_id(0).to(tl.int64) * TILES + tl.arange(0, TILES)
    real = tile < all_tiles
    share = dbc + tile[:, None] * (8 * N) + tl.arange(0, 8 * N)[None, :]
    total = tl.zeros((TILES, 8 * N), tl.float32)
    for _ in range(n_blocks):
        total += tl.load(share, mask=real[:, None], other=0.0)
        share += block_stride
    maps = tl.permute(tl.reshape(total, (TILES, N, 2, 4)), (0, 3, 1, 2))  # (TILES, 4, N, 2)
    of_b, of_c = tl.split(tl.reshape(maps, (TILES * 4, N, 2)))
    place = tl.program_id(0).to(tl.int64) * (TILES * 4) + tl.arange(0, TILES * 4)
    batch, s = place // (n_tiles * 4), start + place % (n_tiles * 4)
    t = row(s, length, REVERSE)
    n = tl.arange(0, N)[None, :]
    mask = ((place < all_tiles * 4) & (s < length))[:, None] & (n < n_states)
    tl.store(db + (batch * db_batch + t * db_row)[:, None] + n, of_b, mask=mask)
    tl.store(dc + (batch * dc_batch + t * dc_row)[:, None] + n, of_c, mask=mask)
