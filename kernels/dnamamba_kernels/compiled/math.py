"""Scalar functions of fp32 that LLVM spreads over a CPU's vector lanes: no branch, no call."""

import math

from numpy import float32 as f32
from numpy import int32 as i32

from dnamamba_kernels.compiled.jit import inlined

__all__ = ["LOG2_E", "exp2", "sigmoid", "silu", "softplus"]

LOG2_E = f32(math.log2(math.e))
_ZERO, _ONE, _TWO = f32(0), f32(1), f32(2)
# Added and taken away again, it rounds to an integer, which meanwhile stands in the lowest bits.
_ROUND = f32(3 << 22)
# Where 2^x is 0, and where infinity: the exponent's bits are then all 0, or all 1.
_LOWEST, _HIGHEST = f32(-127), f32(128)
# 2^r on [-1/2, 1/2] is 1 + r (E1 + r (E2 + ...)) within 2e-9.
_E1, _E2, _E3, _E4, _E5, _E6 = (
    f32(c)
    for c in (
        0.6931472028553465,
        0.24022647913603837,
        0.055503324704674985,
        0.009618437358708747,
        0.001339887468909522,
        0.00015353362230602297,
    )
)
# atanh(s) on [0, 1/3] is s + s^3 (L1 + s^2 (L2 + ...)) within 2e-10 of itself.
_L1, _L2, _L3, _L4, _L5 = (
    f32(c)
    for c in (
        0.3333333775035341,
        0.19999444159788093,
        0.14308298922625973,
        0.10715363687529714,
        0.1214480655711201,
    )
)


@inlined
def exp2(x: f32) -> f32:
    """2^x within 1.1 roundings; 0 or nearly where that is below fp32's normal numbers."""
    # Comparisons that leave NaN as it is.
    x = _HIGHEST if x > _HIGHEST else x
    x = _LOWEST if x < _LOWEST else x
    shifted = x + _ROUND
    r = x - (shifted - _ROUND)
    p = _E6 * r + _E5
    p = p * r + _E4
    p = p * r + _E3
    p = p * r + _E2
    p = p * r + _E1
    p = p * r + _ONE
    exponent = i32(f32(shifted).view(i32) << i32(23))
    return i32(f32(p).view(i32) + exponent).view(f32)


@inlined
def softplus(x: f32) -> f32:
    """log(1 + e^x) as max(x, 0) + log(1 + e^-|x|), the latter 2 atanh(e / (2 + e)).

    Far on the left its relative error is that of |x| rounded once.
    """
    e = exp2(-abs(x) * LOG2_E)
    s = e / (_TWO + e)
    q = s * s
    p = _L5 * q + _L4
    p = p * q + _L3
    p = p * q + _L2
    p = p * q + _L1
    s = s + s
    return (_ZERO if x < _ZERO else x) + (s + s * (q * p))


@inlined
def silu(x: f32) -> f32:
    return x / (_ONE + exp2(-x * LOG2_E))


@inlined
def sigmoid(x: f32) -> f32:
    return _ONE / (_ONE + exp2(-x * LOG2_E))
