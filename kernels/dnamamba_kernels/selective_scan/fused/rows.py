"""Rows of a fused scan: which are a program's, which are real, reading four ahead of their use.

Positions are counted in scan order (``s``); ``t`` is the row in memory. Pointers stand at the row
that is scanned first, so that a position is a constant times ``s`` from there, whichever way.
"""

# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
# mypy: disable-error-code="assignment, var-annotated"

import triton
import triton.language as tl


@triton.jit
def row(s, length, REVERSE: tl.constexpr):
    """Where scan position s lies in memory."""
    return length - 1 - s if REVERSE else s


@triton.jit
def origin(length, ROW: tl.constexpr, REVERSE: tl.constexpr):
    """Where the row that is scanned first begins."""
    return tl.cast(length - 1, tl.int64) * ROW if REVERSE else 0


@triton.jit
def offset(s, ROW: tl.constexpr, REVERSE: tl.constexpr):
    """Where the row of scan position s begins, seen from the origin; a sum of them, of a sum."""
    return s * (-ROW) if REVERSE else s * ROW


@triton.jit
def crosses(resets, s, length, real, REVERSE: tl.constexpr):
    """Whether the step into position s crosses a mark: its own, or from the right the one before.

    ``resets`` stands at the beginning of a row in memory; ``real`` says whether there is one.
    """
    mark = length - s if REVERSE else s
    return tl.load(resets + mark, mask=real & (s < length) & (mark < length), other=0) != 0


@triton.jit
def cut_at(word, i: tl.constexpr):
    """Whether the step into position i of a tile crosses a mark, by the tile's word."""
    return (word >> i) & 1 != 0


@triton.jit
def word_of(cuts, s0):
    """The word of the tile that begins at scan position s0."""
    return tl.load(cuts + (s0 >> 2)).to(tl.int32)


@triton.jit
def existing(d, CHANNELS: tl.constexpr, BLOCK_D: tl.constexpr):
    """Which of a block's channels exist; all, and known so when compiled, where blocks fit."""
    return tl.full((BLOCK_D,), True, tl.int1) if CHANNELS % BLOCK_D == 0 else d < CHANNELS


@triton.jit
def program_tile(
    bias, skip, decay, zero, n_pieces, n_blocks,
    N: tl.constexpr, CHANNELS: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """What a program walks: a row of the batch, a piece of the sequence, a block of channels.

    Returns the row and the piece; the channels and which of them exist; the columns of a row of B_t
    and C_t side by side; the offsets of the tile in a tensor of states (N, D); and what stays the
    same all the way, in fp32: the tile's decay, the bias of Δ and the skip of u, 0 where absent.
    """
    pid = tl.program_id(0).to(tl.int64)
    d = (pid % n_blocks) * BLOCK_D + tl.arange(0, BLOCK_D)
    piece = pid // n_blocks % n_pieces
    batch = pid // n_blocks // n_pieces
    real = existing(d, CHANNELS, BLOCK_D)
    pair = tl.arange(0, 2 * N)
    nd = tl.arange(0, N)[:, None] * CHANNELS + d[None, :] + zero
    a = tl.load(decay + nd, mask=real[None, :], other=0.0)
    shift = tl.load(bias + d, mask=real, other=0.0).to(tl.float32) if bias is not None else 0.0
    through = tl.load(skip + d, mask=real, other=0.0).to(tl.float32) if skip is not None else 0.0
    return batch, piece, d, real, pair, nd, a, shift, through


@triton.jit
def fetch(
    x, s0, length, real,
    ROW: tl.constexpr, STEPS: tl.constexpr, REVERSE: tl.constexpr, WHOLE: tl.constexpr,
):  # fmt: skip
    """STEPS rows from scan position s0 on, as they lie in memory; nothing where x is None.

    Called for the next rows before the present ones are used: what comes back is carried through
    the loop, so that a load has as long to arrive as STEPS positions take.
    """
    rows = ()
    if x is not None:
        x += offset(s0, ROW, REVERSE)
        for i in tl.static_range(STEPS):
            inside = real if WHOLE else real & (s0 + i < length)
            rows += (tl.load(x + offset(i, ROW, REVERSE), mask=inside, other=0.0),)
    return rows


@triton.jit
def widened(rows):
    """Rows in fp32, all at once.

    Called at the end of a tile: the loads of the next one are then waited for together, after
    everything that could hide them, and not one by one among the steps, where each wait would also
    be for whatever else shares its scoreboard.
    """
    wide = ()
    for i in tl.static_range(len(rows)):
        wide += (rows[i].to(tl.float32),)
    return wide


@triton.jit
def fetch_tile(x, s0, length, real, ROW: tl.constexpr, REVERSE: tl.constexpr, WHOLE: tl.constexpr):
    """Four rows as one tile (4, columns); ``real`` says which columns exist."""
    i = tl.arange(0, 4)[:, None]
    inside = real[None, :] & (WHOLE | (s0 + i < length))
    return tl.load(x + offset(s0, ROW, REVERSE) + offset(i, ROW, REVERSE), mask=inside, other=0.0)


@triton.jit
def next_maps(following, N: tl.constexpr, REVERSE: tl.constexpr, WHOLE: tl.constexpr):
    """The maps of the tile that comes next, as ``fetch_tile`` reads them."""
    packed, s0, length, pair = following
    return fetch_tile(packed, s0, length, pair >= 0, 2 * N, REVERSE, WHOLE)


@triton.jit
def rows_of(x):
    """A tile of four rows as four vectors."""
    even, odd = tl.split(tl.permute(tl.reshape(x, (2, 2, x.shape[1])), (2, 0, 1)))
    r0, r2 = tl.split(even)
    r1, r3 = tl.split(odd)
    return r0, r1, r2, r3


@triton.jit
def rows_of_pair(x, y):
    """Two such tiles through one change of layout."""
    pair = tl.reshape(tl.join(x, y), (2, 2, x.shape[1], 2))
    even, odd = tl.split(tl.permute(pair, (2, 3, 0, 1)))
    r0, r2 = tl.split(even)
    r1, r3 = tl.split(odd)
    x0, y0 = tl.split(r0)
    x1, y1 = tl.split(r1)
    x2, y2 = tl.split(r2)
    x3, y3 = tl.split(r3)
    return (x0, x1, x2, x3), (y0, y1, y2, y3)


@triton.jit
def tile_of(r0, r1, r2, r3):
    """Four vectors as a tile of four rows."""
    x = tl.join(tl.join(r0, r2), tl.join(r1, r3))
    return tl.reshape(tl.permute(x, (1, 2, 0)), (4, r0.shape[0]))


@triton.jit
def maps_of(tile):
    """Four rows of B_t and C_t side by side -> four vectors B_t, four vectors C_t.

    One change of layout serves the tile, after which every thread holds the states that it needs.
    """
    b, c = tl.split(tl.permute(tl.reshape(tile, (4, 2, tile.shape[1] // 2)), (0, 2, 1)))
    return rows_of_pair(b, c)
