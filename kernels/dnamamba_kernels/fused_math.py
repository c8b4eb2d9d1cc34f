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
    """2^x on the FMA and integer pipes alone, relative error below 2e-7; exactly 1 at 0.

    x = n + f with f in [-1/2, 1/2]: 2^f is a polynomial of degree 5, n goes into the exponent.
    Below 2^-126 it stays there, and from 2^128 on it is infinite.
    """
    x = tl.minimum(tl.maximum(x, -126.0), 128.0)
    rounded = x + 12582912.0  # 1.5 * 2^23: the sum's last bits are n
    f = x - (rounded - 12582912.0)
    p = tl.fma(f, 0.00132647273, 0.00967151299)
    p = tl.fma(f, p, 0.0555073358)
    p = tl.fma(f, p, 0.240222424)
    p = tl.fma(f, p, 0.693147004)
    p = tl.fma(f, p, 1.0)
    exponent = rounded.to(tl.int32, bitcast=True) << 23
    return (p.to(tl.int32, bitcast=True) + exponent).to(tl.float32, bitcast=True)


@triton.jit
def softplus(x):
    """log(1 + exp(x)), accurate in both tails; 0 at -inf."""
    return tl.maximum(x, 0.0) + log1p_unit(tl.exp2(-tl.abs(x) * LOG2E))


@triton.jit
def sigmoid(x):
    # 1 / w as rsqrt(w)²: w >= 1, so the range checks of a division are not needed.
    r = tl.rsqrt(1.0 + tl.exp2(-x * LOG2E))
    return r * r
