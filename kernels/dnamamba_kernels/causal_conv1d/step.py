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
    *,
    in_place: bool = False,
) -> tuple[Tensor, Tensor]:
    """``causal_conv1d`` for a single position: the same sum, arguments without L.

    Args:
        state: the W - 1 inputs before this position, oldest first (B, D, W-1), in x's dtype.
        x: (B, D).
        weight: (D, W), oldest input first.
        bias: (D,), or None.
        activation: "silu" or None.
        in_place: replace ``state``, which must lie dense, by the new state; where no gradient is
            asked for.

    Returns:
        y (B, D) in x's dtype, and the new state (B, D, W-1): ``state`` itself with ``in_place``,
        else another tensor.
    """
    if fuses_step(state, x, weight, bias):
        from dnamamba_kernels.causal_conv1d.fused.step import causal_conv1d_step_fused

        held = state if in_place else state.clone(memory_format=torch.contiguous_format)
        return causal_conv1d_step_fused(held, x, weight, bias, activation == "silu"), held
    dtype = torch.promote_types(x.dtype, torch.float32)
    window = torch.cat([state, x[:, :, None]], -1)  # (B, D, W)
    y = (window.to(dtype) * weight.to(dtype)).sum(-1)
    if bias is not None:
        y = y + bias.to(dtype)
    if activation == "silu":
        y = F.silu(y)
    new = window[:, :, 1:]
    return y.to(x.dtype), state.copy_(new) if in_place else new
