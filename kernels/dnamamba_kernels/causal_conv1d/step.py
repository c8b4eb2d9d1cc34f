"""One position of the causal convolution, for recurrent decoding."""

import torch
from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels.backend import fuses_step

__all__ = ["causal_conv1d_step"]


def causal_conv1d_step(
    state: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    activation: str | None = "silu",
) -> tuple[Tensor, Tensor]:
    """``causal_conv1d`` for a single position: the same sum, arguments without L.

    Args:
        state: the W - 1 inputs before this position, oldest first (B, D, W-1), in x's dtype.
        x: (B, D).
        weight: (D, W), oldest input first.
        bias: (D,), or None.
        activation: "silu" or None.

    Returns:
        y (B, D) in x's dtype, and the new state (B, D, W-1); ``state`` itself is left as it is.
    """
    if fuses_step(state, x, weight, bias):
        from dnamamba_kernels.causal_conv1d.fused_step import causal_conv1d_step_fused

        return causal_conv1d_step_fused(state, x, weight, bias, activation == "silu")
    dtype = torch.promote_types(x.dtype, torch.float32)
    window = torch.cat([state, x[:, :, None]], -1)  # (B, D, W)
    y = (window.to(dtype) * weight.to(dtype)).sum(-1)
    if bias is not None:
        y = y + bias.to(dtype)
    if activation == "silu":
        y = F.silu(y)
    return y.to(x.dtype), window[:, :, 1:]
