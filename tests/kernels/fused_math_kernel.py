"""A kernel that is nothing but one function, for its test: imported where Triton is there."""

# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False

import triton
import triton.language as tl

from dnamamba_kernels.fused_math import exp2_fma


@triton.jit
def power_kernel(x, y, length, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y + i, exp2_fma(tl.load(x + i, mask=i < length, other=0.0)), mask=i < length)
