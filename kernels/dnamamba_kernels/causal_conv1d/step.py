"""One position of the causal convolution, for recurrent decoding."""

import torch
from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels.backend import fuses_step
from dnamamba_kernels.checks import compute_dtype, expect

__all__ = ["causal_conv1d_step"]


def causal_conv1d_step(
    state: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    in_place: bool = False,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """``causal_conv1d`` for a single position: the same sum, arguments without L.

    Args:
        state: the W - 1 inputs before this position, oldest first (B, D, W-1), in x's dtype.
        x: (B, D).
        weight: (D, W), oldest input first, W from 2 to 4.
        bias: (D,), or None.
        in_place: replace ``state`` by the new state; where no gradient is asked for.
        backend: "triton", "numba", "torch" or "reference"; None chooses by device. The latter
            three are one, and a gradient always is PyTorch's.

    Returns:
        y (B, D) in x's dtype, and the new state (B, D, W-1), ``state`` itself with ``in_place``,
        else another tensor.

    Raises:
        ValueError: a shape, dtype or device does not fit; names the argument.
    """
    _check(state, x, weight, bias)
    if fuses_step(backend, state, x, weight, bias):
        from dnamamba_kernels.causal_conv1d.fused.step import causal_conv1d_step_fused

        new = state.contiguous() if in_place else state.clone(memory_format=torch.contiguous_format)
        y = causal_conv1d_step_fused(new, x, weight, bias)
        return y, state.copy_(new) if in_place and new is not state else new
    dtype = compute_dtype(x.dtype)
    window = torch.cat([state, x[:, :, None]], -1)  # (B, D, W)
    y = (window.to(dtype) * weight.to(dtype)).sum(-1)
    if bias is not None:
        y = y + bias.to(dtype)
    new = window[:, :, 1:]
    return F.silu(y).to(x.dtype), state.copy_(new) if in_place else new


def _check(state: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    op = "causal_conv1d_step"
    if x.dim() != 2 or weight.dim() != 2:
        raise ValueError(
            f"{op}: x must have shape (B, D) and weight (D, W), "
            f"got {tuple(x.shape)} and {tuple(weight.shape)}"
        )
    (batch, channels), width = x.shape, weight.shape[1]
    if not 2 <= width <= 4:
        raise ValueError(f"{op}: W must be from 2 to 4, got W = {width}")
    expect(op, "x", x, "B, D", (batch, channels), x.device)
    expect(op, "weight", weight, "D, W", (channels, width), x.device)
    expect(op, "bias", bias, "D", (channels,), x.device)
    expect(op, "state", state, "B, D, W-1", (batch, channels, width - 1), x.device, x.dtype)
