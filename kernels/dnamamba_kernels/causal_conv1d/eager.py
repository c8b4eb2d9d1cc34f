"""The causal convolution in PyTorch: one multiply-add over the whole sequence per tap."""

import torch
from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels.checks import compute_dtype

__all__ = ["causal_conv1d_eager"]


def causal_conv1d_eager(
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
    width = weight.shape[1]
    if initial_state is None:
        initial_state = x.new_zeros(batch, channels, width - 1)
    carried = initial_state.transpose(1, 2)  # (B, W-1, D)
    padded = torch.cat([x, carried.flip(1)] if reverse else [carried, x], 1)
    segment = None if resets is None else _segments(resets, width, reverse)

    y = x.new_zeros(batch, length, channels, dtype=dtype)
    for k in range(width):
        back = width - 1 - k
        start = back if reverse else k
        tap = padded[:, start : start + length]
        if segment is not None and back:
            here = 0 if reverse else width - 1
            same = segment[:, start : start + length] == segment[:, here : here + length]
            tap = torch.where(same[:, :, None], tap, 0.0)
        y = torch.addcmul(y, tap.to(dtype), weight[:, k].to(dtype))
    if bias is not None:
        y = y + bias.to(dtype)
    if activation == "silu":
        y = F.silu(y)
    return y.to(x.dtype), _final_state(padded, segment, resets, width, reverse)


def _segments(resets: Tensor, width: int, reverse: bool) -> Tensor:
    """The segment's number at each padded position; the carried inputs continue at their end."""
    number = resets.long().cumsum(1)
    if reverse:
        return torch.cat([number, number[:, -1:].expand(-1, width - 1)], 1)
    return F.pad(number, (width - 1, 0))


def _final_state(
    padded: Tensor, segment: Tensor | None, resets: Tensor | None, width: int, reverse: bool
) -> Tensor:
    last = slice(0, width - 1) if reverse else slice(padded.shape[1] - width + 1, None)
    state = padded[:, last]
    if segment is not None and resets is not None:
        edge = segment[:, :1] if reverse else segment[:, -1:]
        kept = segment[:, last] == edge
        if reverse:
            kept = kept & ~resets[:, :1]
        state = torch.where(kept[:, :, None], state, 0.0)
    if reverse:
        state = state.flip(1)
    return state.transpose(1, 2)
