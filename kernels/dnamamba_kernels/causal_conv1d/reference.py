"""The convolution as a sliding window, one position at a time; autograd differentiates it."""

import torch
from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels.checks import compute_dtype

__all__ = ["causal_conv1d_reference"]


def causal_conv1d_reference(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    activation: str | None,
    initial_state: Tensor | None,
    resets: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    dtype = compute_dtype(x.dtype)
    batch, length, channels = x.shape
    state = x.new_zeros(batch, channels, weight.shape[1] - 1)
    if initial_state is not None:
        state = initial_state

    outputs = [x.new_empty(0)] * length
    for t in reversed(range(length)) if reverse else range(length):
        # From the right, a step into t leaves t + 1 and crosses the mark there.
        mark = t + 1 if reverse else t
        if resets is not None and mark < length:
            state = torch.where(resets[:, mark, None, None], 0.0, state)
        window = torch.cat([state, x[:, t, :, None]], -1)  # (B, D, W), oldest first
        outputs[t] = (window.to(dtype) * weight.to(dtype)).sum(-1)
        state = window[..., 1:]
    if resets is not None and reverse:
        state = torch.where(resets[:, 0, None, None], 0.0, state)

    y = torch.stack(outputs, 1)
    if bias is not None:
        y = y + bias.to(dtype)
    if activation == "silu":
        y = F.silu(y)
    return y.to(x.dtype), state
