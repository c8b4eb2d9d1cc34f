"""Which channels and steps of a fused scan are real."""

# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False

import triton
import triton.language as tl


@triton.jit
def crosses(resets, t, length, REVERSE: tl.constexpr):
    """Whether the step into position t crosses a mark: t's own, or from the right that of t + 1."""
    mark = t + 1 if REVERSE else t
    return tl.load(resets + mark, mask=(mark >= 0) & (mark < length), other=0) != 0


@triton.jit
def existing(d, CHANNELS: tl.constexpr, BLOCK_D: tl.constexpr):
    """Which of a block's channels exist; all, and known so when compiled, where blocks fit."""
    return tl.full((BLOCK_D,), True, tl.int1) if CHANNELS % BLOCK_D == 0 else d < CHANNELS
