"""The convolution as a sliding window, one position at a time; autograd differentiates it."""

import torch
from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels.causal_conv1d.convolution import Convolution
from dnamamba_kernels.checks import compute_dtype

__all__ = ["causal_conv1d_reference"]


def causal_conv1d_reference(conv: Convolution) -> tuple[Tensor, Tensor]:
    x, weight, resets = conv.x, conv.weight, conv.resets
    dtype = compute_dtype(x.dtype)
    batch, length, channels = x.shape
    state = x.new_zeros(batch, channels, conv.taps)
    if conv.initial_state is not None:
        state = conv.initial_state

    # By position at once: a slice at a time, the backward would be quadratic in L.
    inputs, outputs = x.unbind(1), [x.new_empty(0)] * length
    for t in reversed(range(length)) if conv.reverse else range(length):
        # From the right, a step into t leaves t + 1 and crosses the mark there.
        mark = t + 1 if conv.reverse else t
        if resets is not None and mark < length:
            state = torch.where(resets[:, mark, None, None], 0.0, state)
        window = torch.cat([state, inputs[t][:, :, None]], -1)  # (B, D, W), oldest first
        outputs[t] = (window.to(dtype) * weight.to(dtype)).sum(-1)
        state = window[..., 1:]
    if resets is not None and conv.reverse:
        state = torch.where(resets[:, 0, None, None], 0.0, state)

    y = torch.stack(outputs, 1)
    if conv.bias is not None:
        y = y + conv.bias.to(dtype)
    return F.silu(y).to(x.dtype), state
