"""The scan's idea on one page of Triton, slow and whole; ``fused`` is the same idea, fast.

    h_t = exp(Δ_t A) h_{t-1} + Δ_t u_t B_t        y_t = C_t · h_t

A step turns one state into the next, h -> a h + x, and two steps in a row are again such a step:
(a, x) then (b, y) is (b a, b x + y). This operator is associative (Blelloch 1990, "Prefix sums and
their applications", section 1.4), so that steps may be joined in any order: here by
``tl.associative_scan``, in ``fused`` span by span. The adjoint of a state obeys the same recurrence
from the right, g_t = C_t dy_t + exp(Δ_{t+1} A) g_{t+1}: the backward is the scan reversed. Beyond
the end of the sequence Δ = 0 makes the step that changes nothing, (1, 0), so any length will do.

A program owns one channel of one row, and takes its N states one after the other. A, B and C serve
many programs: each writes its share of their gradients, and PyTorch adds the shares up.
"""

# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["selective_scan_simple"]


@triton.jit
def then(a, x, b, y):
    return b * a, b * x + y


@triton.jit
def forward_kernel(u, delta, A, B, C, y, L, D, N, BLOCK: tl.constexpr):
    row, d = tl.program_id(0).to(tl.int64), tl.program_id(1)
    t = tl.arange(0, BLOCK)
    real, at = t < L, (row * L + t) * D + d
    step = tl.load(delta + at, mask=real, other=0.0)
    x = step * tl.load(u + at, mask=real, other=0.0)
    out = tl.zeros((BLOCK,), tl.float32)
    for n in range(N):
        a, maps = tl.load(A + d * N + n), (row * L + t) * N + n
        b, c = tl.load(B + maps, mask=real, other=0.0), tl.load(C + maps, mask=real, other=0.0)
        _, h = tl.associative_scan((tl.exp(step * a), x * b), 0, then)
        out += c * h
    tl.store(y + at, out, mask=real)


@triton.jit
def backward_kernel(
    u, delta, A, B, C, dy, du, ddelta, dA, dB, dC, L, D, N, BLOCK: tl.constexpr
):  # fmt: skip
    row, d = tl.program_id(0).to(tl.int64), tl.program_id(1)
    t = tl.arange(0, BLOCK)
    real, at = t < L, (row * L + t) * D + d
    step = tl.load(delta + at, mask=real, other=0.0)
    next_step = tl.load(delta + at + D, mask=t + 1 < L, other=0.0)
    value, dout = tl.load(u + at, mask=real, other=0.0), tl.load(dy + at, mask=real, other=0.0)
    x, dx, dstep = step * value, tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32)
    for n in range(N):
        a, maps = tl.load(A + d * N + n), (row * L + t) * N + n
        b, c = tl.load(B + maps, mask=real, other=0.0), tl.load(C + maps, mask=real, other=0.0)
        _, h = tl.associative_scan((tl.exp(step * a), x * b), 0, then)
        _, g = tl.associative_scan((tl.exp(next_step * a), c * dout), 0, then, reverse=True)
        exponent = g * (h - x * b)  # the gradient of Δ_t A, which is g_t exp(Δ_t A) h_{t-1}
        dx += g * b
        dstep += exponent * a
        tl.store(dA + (row * D + d) * N + n, tl.sum(exponent * step))
        tl.store(dB + maps * D + d, g * x, mask=real)
        tl.store(dC + maps * D + d, h * dout, mask=real)
    tl.store(du + at, dx * step, mask=real)
    tl.store(ddelta + at, dstep + dx * value, mask=real)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Tensor:
        u, _, A, *_ = inputs = tuple(x.contiguous() for x in inputs)
        ctx.save_for_backward(*inputs)
        (rows, L, D), N, y = u.shape, A.shape[1], torch.empty_like(u)
        forward_kernel[(rows, D)](*inputs, y, L, D, N, BLOCK=triton.next_power_of_2(L))
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, ...]:
        u, _, A, *_ = inputs = ctx.saved_tensors
        (rows, L, D), N = u.shape, A.shape[1]
        du, ddelta, dA = torch.empty_like(u), torch.empty_like(u), u.new_empty(rows, D, N)
        dB, dC = u.new_empty(rows, L, N, D), u.new_empty(rows, L, N, D)
        backward_kernel[(rows, D)](
            *inputs, dy.contiguous(), du, ddelta, dA, dB, dC, L, D, N,
            BLOCK=triton.next_power_of_2(L),
        )  # fmt: skip
        return du, ddelta, dA.sum(0), dB.sum(3), dC.sum(3)


def selective_scan_simple(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """y of the recurrence: u, delta and y (B, L, D), A (D, N), B and C (B, L, N), all fp32.

    ``delta`` is Δ itself. L is limited by what one program holds: some thousand positions.
    """
    y: Tensor = _Scan.apply(u, delta, A, B, C)
    return y
