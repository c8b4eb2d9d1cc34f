"""One position of the scan in one launch: recurrent decoding is bound by launches."""

# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
# mypy: disable-error-code="assignment, index"

from typing import Any

import triton
import triton.language as tl
from torch import Tensor

from dnamamba_kernels.dense import dense
from dnamamba_kernels.fused_math import LOG2E, sigmoid, softplus
from dnamamba_kernels.operators import arguments, operator
from dnamamba_kernels.selective_scan.scan import Step

__all__ = ["selective_scan_step_fused"]


@triton.jit
def step_kernel(
    state, u, delta, a, b, c, skip, z, bias, dt_weight, y, batch, channels, n_states, n_blocks,
    u_batch, delta_batch, b_batch, c_batch, z_batch, rank,
    N: tl.constexpr, RANK: tl.constexpr, BLOCK_D: tl.constexpr, ROWS: tl.constexpr,
    SOFTPLUS: tl.constexpr, LOG_A: tl.constexpr,
):  # fmt: skip
    """ROWS rows of the batch for a block of channels; the state is replaced where it lies.

    With ``dt_weight``, (channels, rank), ``delta`` holds a row of rank numbers to be projected.
    """
    pid = tl.program_id(0).to(tl.int64)
    d = (pid % n_blocks) * BLOCK_D + tl.arange(0, BLOCK_D)
    n = tl.arange(0, N)[None, :]
    real = d < channels
    inside = real[:, None] & (n < n_states)
    dn = d[:, None] * n_states + n
    rate = tl.load(a + dn, mask=inside, other=0.0).to(tl.float32)
    if LOG_A:
        rate = -tl.exp2(rate * LOG2E)
    rate *= LOG2E
    shift = tl.load(bias + d, mask=real, other=0.0).to(tl.float32) if bias is not None else 0.0
    through = tl.load(skip + d, mask=real, other=0.0).to(tl.float32) if skip is not None else 0.0
    r = tl.arange(0, RANK)[None, :]
    to_step = tl.zeros((BLOCK_D, RANK), tl.float32)
    if dt_weight is not None:
        known = real[:, None] & (r < rank)
        to_step = tl.load(dt_weight + d[:, None] * rank + r, mask=known, other=0.0).to(tl.float32)
    first = pid // n_blocks * ROWS
    for row in range(first, tl.minimum(first + ROWS, batch)):
        at = state + row * channels * n_states + dn
        before = tl.load(at, mask=inside, other=0.0)
        if dt_weight is not None:
            low = tl.load(delta + row * delta_batch + r, mask=r < rank, other=0.0).to(tl.float32)
            step = tl.sum(to_step * low, 1)
        else:
            step = tl.load(delta + row * delta_batch + d, mask=real, other=0.0).to(tl.float32)
        step += shift
        if SOFTPLUS:
            step = softplus(step)
        x = tl.load(u + row * u_batch + d, mask=real, other=0.0).to(tl.float32)
        b_row = tl.load(b + row * b_batch + n, mask=n < n_states, other=0.0).to(tl.float32)
        c_row = tl.load(c + row * c_batch + n, mask=n < n_states, other=0.0).to(tl.float32)
        h = tl.exp2(step[:, None] * rate) * before + (step * x)[:, None] * b_row
        out = tl.sum(h * c_row, 1) + through * x
        if z is not None:
            gate = tl.load(z + row * z_batch + d, mask=real, other=0.0).to(tl.float32)
            out *= gate * sigmoid(gate)
        tl.store(at, h, mask=inside)
        tl.store(y + row * channels + d, out, mask=real)


# The state, which is the first argument, is replaced where it lies.
@operator(
    "selective_scan_step",
    f"({arguments(Step).replace('Tensor', 'Tensor(a!)', 1)}) -> Tensor",
)
def selective_scan_step_fused(*inputs: Any) -> Tensor:
    """y of a ``Step``, without gradients; ``state`` lies dense."""
    state, u, delta, A, B, C, D, z, delta_bias, dt_weight, softplus, logarithmic = Step(*inputs)
    y = u.new_empty(u.shape)
    if not state.numel():
        return y
    batch, channels, n_states = state.shape
    u, delta, B, C, z = dense(u), dense(delta), dense(B), dense(C), dense(z)
    states = triton.next_power_of_2(n_states)
    rank = 1 if dt_weight is None else dt_weight.shape[1]
    height = triton.next_power_of_2(rank)
    # Of few rows narrow blocks: more multiprocessors take part. Else what registers hold.
    wide = 64 if batch * channels >= 64 * 132 else 16
    block = max(1, min(wide, 2048 // states, 4096 // height))
    n_blocks = triton.cdiv(channels, block)
    rows = 4 if batch * n_blocks >= 4096 else 1  # A is read once for them all
    # No more threads than elements: a second thread of one could read it after it was replaced.
    warps = max(1, min(4, block * states // 32))
    step_kernel[(n_blocks * triton.cdiv(batch, rows),)](
        state, u, delta, A.contiguous(), B, C, dense(D), z, dense(delta_bias),
        None if dt_weight is None else dt_weight.contiguous(), y,
        batch, channels, n_states, n_blocks,
        u.stride(0), delta.stride(0), B.stride(0), C.stride(0), 0 if z is None else z.stride(0),
        rank, N=states, RANK=height, BLOCK_D=block, ROWS=rows,
        SOFTPLUS=softplus, LOG_A=logarithmic, num_warps=warps,
    )  # fmt: skip
    return y


@selective_scan_step_fused.register_fake
def _(*inputs: Any) -> Tensor:
    u = Step(*inputs).u
    return u.new_empty(u.shape)
