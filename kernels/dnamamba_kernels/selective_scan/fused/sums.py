"""Sums of the adjoint's tiles (N, D), over channels for dB and dC, over states for du and dΔ.

Summed one by one, eight tensors take three shuffles each over eight lanes, and every lane ends up
with every sum. Here the sums are shared out while they are made: in each round a lane hands over
the half that it will not keep and adds what it is handed, 4 + 2 + 1 shuffles instead of 24, and
ends with one sum of the eight, which is how they are stored. For this the tile must lie as the
adjoint's does: a thread holds 4 neighbouring channels of every 4th state, 8 lanes follow one
another along the channels, 4 such rows along the states. A tile that lies otherwise gives NaN.
"""

# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
# mypy: disable-error-code="assignment, var-annotated"

import triton
import triton.language as tl

from dnamamba_kernels.selective_scan.fused.rows import tile_of

# out = kept + what the lane at a distance sends; NaN where the lane is not where it should be.
_FOLD = tl.constexpr("""{
    .reg .pred upper, lost;
    .reg .b32 bit, lane;
    .reg .f32 sent, kept;
    and.b32 bit, $3, $4;
    setp.ne.u32 upper, bit, 0;
    selp.f32 sent, $1, $2, upper;
    selp.f32 kept, $2, $1, upper;
    shfl.sync.bfly.b32 sent, sent, $5, 0x1f, 0xffffffff;
    add.f32 kept, kept, sent;
    mov.u32 lane, %laneid;
    shr.u32 lane, lane, $6;
    xor.b32 lane, lane, $3;
    and.b32 lane, lane, $7;
    setp.ne.u32 lost, lane, 0;
    selp.f32 $0, 0f7FFFFFFF, kept, lost;
}""")


@triton.jit
def _fold(x, y, at, BIT: tl.constexpr, SHIFT: tl.constexpr, CHECKED: tl.constexpr):
    """x and y added up over two lanes each: y's sum where ``at`` has BIT, x's where it has not.

    ``at`` is the lane's place along the axis, which starts at bit SHIFT of its number; its bits
    CHECKED are held against that number.
    """
    return tl.inline_asm_elementwise(
        _FOLD, "=f,f,f,r,r,r,r,r", [x, y, at, BIT, BIT << SHIFT, SHIFT, CHECKED],
        dtype=tl.float32, is_pure=True, pack=1,
    )  # fmt: skip


@triton.jit
def _along_channels(x):
    """(N, D) -> (N, D / 4), within threads."""
    return tl.sum(tl.reshape(x, (x.shape[0], x.shape[1] // 4, 4)), 2)


@triton.jit
def _along_states(x):
    """(N, D) -> (4, D), within threads."""
    return tl.sum(tl.reshape(x, (x.shape[0] // 4, 4, x.shape[1])), 0)


@triton.jit
def sums_over_channels(b0, b1, b2, b3, c0, c1, c2, c3, FOLDED: tl.constexpr):
    """Eight tiles (N, D) -> (N, 8): column i is the sum of tile i over D."""
    if FOLDED:
        at = tl.arange(0, 8)[None, :]
        b = _fold(
            _fold(_along_channels(b0), _along_channels(b1), at, 1, 0, 0),
            _fold(_along_channels(b2), _along_channels(b3), at, 1, 0, 0),
            at, 2, 0, 0,
        )  # fmt: skip
        c = _fold(
            _fold(_along_channels(c0), _along_channels(c1), at, 1, 0, 0),
            _fold(_along_channels(c2), _along_channels(c3), at, 1, 0, 0),
            at, 2, 0, 0,
        )  # fmt: skip
        return _fold(b, c, at, 4, 0, 7)
    b = tile_of(tl.sum(b0, 1), tl.sum(b1, 1), tl.sum(b2, 1), tl.sum(b3, 1))
    c = tile_of(tl.sum(c0, 1), tl.sum(c1, 1), tl.sum(c2, 1), tl.sum(c3, 1))
    both = tl.permute(tl.join(b, c), (1, 2, 0))  # (N, 2, 4)
    return tl.reshape(both, (b0.shape[0], 8))


@triton.jit
def sums_over_states(x0, x1, x2, x3, FOLDED: tl.constexpr):
    """Four tiles (N, D) -> (4, D): row i is the sum of tile i over N."""
    if FOLDED:
        at = tl.arange(0, 4)[:, None]
        low = _fold(_along_states(x0), _along_states(x1), at, 1, 3, 0)
        high = _fold(_along_states(x2), _along_states(x3), at, 1, 3, 0)
        return _fold(low, high, at, 2, 3, 3)
    return tile_of(tl.sum(x0, 0), tl.sum(x1, 0), tl.sum(x2, 0), tl.sum(x3, 0))
