"""One position of the convolution in one launch: recurrent decoding is bound by launches."""

# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
# mypy: disable-error-code="assignment"

import triton
import triton.language as tl
from torch import Tensor

from dnamamba_kernels.dense import dense
from dnamamba_kernels.fused_math import sigmoid
from dnamamba_kernels.operators import operator

__all__ = ["causal_conv1d_step_fused"]


@triton.jit
def step_kernel(
    state, x, weight, bias, y, channels, n_blocks,
    x_batch, weight_channel, weight_tap,
    W: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """One block of channels of one row; the state moves on by one input where it lies."""
    pid = tl.program_id(0).to(tl.int64)
    d = (pid % n_blocks) * BLOCK_D + tl.arange(0, BLOCK_D)
    batch = pid // n_blocks
    real = d < channels
    at = (batch * channels + d) * (W - 1)
    now = tl.load(x + batch * x_batch + d, mask=real, other=0.0)
    tap = tl.load(weight + d * weight_channel + (W - 1) * weight_tap, mask=real, other=0.0)
    out = now.to(tl.float32) * tap.to(tl.float32)
    if bias is not None:
        out += tl.load(bias + d, mask=real, other=0.0).to(tl.float32)
    for k in tl.static_range(W - 1):
        before = tl.load(state + at + k, mask=real, other=0.0)
        tap = tl.load(weight + d * weight_channel + k * weight_tap, mask=real, other=0.0)
        out += before.to(tl.float32) * tap.to(tl.float32)
        if k > 0:
            tl.store(state + at + (k - 1), before, mask=real)
    tl.store(state + at + (W - 2), now, mask=real)
    tl.store(y + batch * channels + d, out * sigmoid(out), mask=real)


# The state is replaced where it lies.
@operator(
    "causal_conv1d_step", "(Tensor(a!) state, Tensor x, Tensor weight, Tensor? bias) -> Tensor"
)
def causal_conv1d_step_fused(
    state: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    """``causal_conv1d_step`` in place and without gradients; ``state`` lies dense."""
    y = x.new_empty(x.shape)
    if not x.numel():
        return y
    batch, channels = x.shape
    x, block = dense(x), 128  # a thread for each channel: none reads what another replaces
    n_blocks = triton.cdiv(channels, block)
    step_kernel[(n_blocks * batch,)](
        state, x, weight, dense(bias), y, channels, n_blocks,
        x.stride(0), *weight.stride(), W=weight.shape[1], BLOCK_D=block, num_warps=4,
    )  # fmt: skip
    return y


@causal_conv1d_step_fused.register_fake
def _(state: Tensor, x: Tensor, *others: Tensor | None) -> Tensor:
    return x.new_empty(x.shape)
