"""Which channels and rows of a fused scan are real, and reading a few rows ahead of their use.

Positions are counted in scan order (``s``); ``t`` is the row in memory.
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
def crosses(resets, t, length, REVERSE: tl.constexpr):
    """Whether the step into position t crosses a mark: t's own, or from the right that of t + 1."""
    mark = t + 1 if REVERSE else t
    return tl.load(resets + mark, mask=(mark >= 0) & (mark < length), other=0) != 0


@triton.jit
def existing(d, CHANNELS: tl.constexpr, BLOCK_D: tl.constexpr):
    """Which of a block's channels exist; all, and known so when compiled, where blocks fit."""
    return tl.full((BLOCK_D,), True, tl.int1) if CHANNELS % BLOCK_D == 0 else d < CHANNELS


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
        for i in tl.static_range(STEPS):
            here = real if WHOLE else real & (s0 + i < length)
            rows += (tl.load(x + row(s0 + i, length, REVERSE) * ROW, mask=here, other=0.0),)
    return rows
