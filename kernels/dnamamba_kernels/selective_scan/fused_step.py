"""One position of the scan in one launch: recurrent decoding is bound by launches."""

# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
# mypy: disable-error-code="assignment, index"

import torch
import triton
import triton.language as tl
from torch import Tensor

from dnamamba_kernels.dense import dense
from dnamamba_kernels.fused_math import LOG2E, sigmoid, softplus

__all__ = ["selective_scan_step_fused"]


@triton.jit
def step_kernel(
    state, u, delta, a, b, c, skip, z, bias, y, new_state, channels, n_states, n_blocks,
    u_batch, delta_batch, b_batch, c_batch, z_batch,
    N: tl.constexpr, BLOCK_D: tl.constexpr, SOFTPLUS: tl.constexpr,
):  # fmt: skip
    pid = tl.program_id(0).to(tl.int64)
    d = (pid % n_blocks) * BLOCK_D + tl.arange(0, BLOCK_D)
    batch = pid // n_blocks
    n = tl.arange(0, N)[None, :]
    real = d < channels
    inside = real[:, None] & (n < n_states)
    dn = d[:, None] * n_states + n
    step = tl.load(delta + batch * delta_batch + d, mask=real, other=0.0).to(tl.float32)
    if bias is not None:
        step += tl.load(bias + d, mask=real, other=0.0).to(tl.float32)
    if SOFTPLUS:
        step = softplus(step)
    x = tl.load(u + batch * u_batch + d, mask=real, other=0.0).to(tl.float32)
    rate = tl.load(a + dn, mask=inside, other=0.0).to(tl.float32) * LOG2E
    before = tl.load(state + batch * channels * n_states + dn, mask=inside, other=0.0)
    b_row = tl.load(b + batch * b_batch + n, mask=n < n_states, other=0.0).to(tl.float32)
    c_row = tl.load(c + batch * c_batch + n, mask=n < n_states, other=0.0).to(tl.float32)
    h = tl.exp2(step[:, None] * rate) * before + (step * x)[:, None] * b_row
    tl.store(new_state + batch * channels * n_states + dn, h, mask=inside)
    out = tl.sum(h * c_row, 1)
    if skip is not None:
        out += tl.load(skip + d, mask=real, other=0.0).to(tl.float32) * x
    if z is not None:
        gate = tl.load(z + batch * z_batch + d, mask=real, other=0.0).to(tl.float32)
        out *= gate * sigmoid(gate)
    tl.store(y + batch * channels + d, out, mask=real)


@torch.library.custom_op("dnamamba::selective_scan_step", mutates_args=())
def selective_scan_step_fused(
    state: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
) -> tuple[Tensor, Tensor]:
    """``selective_scan_step`` without gradients."""
    y, new_state = u.new_empty(u.shape), state.new_empty(state.shape)
    if not state.numel():
        return y, new_state
    batch, channels, n_states = state.shape
    u, delta, B, C = dense(u), dense(delta), dense(B), dense(C)
    z = None if z is None else dense(z)
    states = triton.next_power_of_2(n_states)
    block = max(1, min(64, 2048 // states))
    n_blocks = triton.cdiv(channels, block)
    step_kernel[(n_blocks * batch,)](
        state.contiguous(), u, delta, A.contiguous(), B, C, D, z, delta_bias, y, new_state,
        channels, n_states, n_blocks,
        u.stride(0), delta.stride(0), B.stride(0), C.stride(0), 0 if z is None else z.stride(0),
        N=states, BLOCK_D=block, SOFTPLUS=delta_softplus, num_warps=4,
    )  # fmt: skip
    return y, new_state


@selective_scan_step_fused.register_fake
def _(state: Tensor, u: Tensor, *others: Tensor | bool | None) -> tuple[Tensor, Tensor]:
    return u.new_empty(u.shape), state.new_empty(state.shape)
