"""Functions of one number that the fused kernels share: fp32 accuracy in few instructions."""

# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disable-error-code="assignment"

import triton
import triton.language as tl

LOG2E = tl.constexpr(1.4426950408889634)


@triton.jit
def log1p_unit(v):
    """log(1 + v) for v in [0, 1], relative error below 2e-7, on the FMA pipe alone.

    log(1 + v) / v by a polynomial of degree 8, minimax in relative error.
    """
    p = tl.fma(v, 0.0052326927, -0.0295052323)
    p = tl.fma(v, p, 0.0782259405)
    p = tl.fma(v, p, -0.136632442)
    p = tl.fma(v, p, 0.191060066)
    p = tl.fma(v, p, -0.24842982)
    p = tl.fma(v, p, 0.333190978)
    p = tl.fma(v, p, -0.499994934)
    p = tl.fma(v, p, 0.99999994)
    return v * p


@triton.jit
def exp2_fma(x):
    """2^x on the FMA pipe alone, relative error below 2e-7; 2^-126 for all that is less.

    2^f for f in [-1/2, 1/2] by a polynomial of degree 5, minimax in relative error with p(0) = 1.
    """
    # In this order: a GPU's minimum of NaN and 128 is 128, and infinity hides nothing.
    x = tl.maximum(tl.minimum(x, 128.0), -126.0)
    shifted = x + 12582912.0  # 1.5 * 2^23: x, rounded, stands in the last bits of the mantissa
    f = x - (shifted - 12582912.0)
    p = tl.fma(f, 0.00132647273, 0.00967151299)
    p = tl.fma(f, p, 0.0555073358)
    p = tl.fma(f, p, 0.240222424)
    p = tl.fma(f, p, 0.693147004)
    p = tl.fma(f, p, 1.0)
    bits = p.to(tl.int32, bitcast=True) + (shifted.to(tl.int32, bitcast=True) << 23)
    return bits.to(tl.float32, bitcast=True)


@triton.jit
def exp2_of_states(x, n, SPREAD: tl.constexpr):
    """2^x for x (N, D) with states n (N, 1); with SPREAD that of state 0 on the FMA pipe.

    One of 16 is what a sweep bound by the special-function unit has free issue slots for.
    """
    if SPREAD:
        return tl.where(n == 0, exp2_fma(x), tl.exp2(x))
    return tl.exp2(x)


@triton.jit
def softplus(x):
    """log(1 + exp(x)), accurate in both tails; 0 at -inf."""
    return tl.maximum(x, 0.0) + log1p_unit(tl.exp2(-tl.abs(x) * LOG2E))


@triton.jit
def softplus_and_slope(x):
    """softplus(x) and its derivative sigmoid(x), from one exponential."""
    v = tl.exp2(-tl.abs(x) * LOG2E)
    r = tl.rsqrt(1.0 + v)
    return tl.maximum(x, 0.0) + log1p_unit(v), tl.where(x >= 0.0, 1.0, v) * r * r


@triton.jit
def sigmoid(x):
    # 1 / w as rsqrt(w)²: w >= 1, so the range checks of a division are not needed.
    r = tl.rsqrt(1.0 + tl.exp2(-x * LOG2E))
    return r * r
