"""The final state of a convolution: its last inputs, which PyTorch takes for every backend."""

import torch
from torch import Tensor

from dnamamba_kernels.causal_conv1d.convolution import Convolution

__all__ = ["add_through_final_state", "final_state"]


def final_state(conv: Convolution) -> Tensor:
    """The last inputs in scan order (B, D, W-1), oldest first; zeros before a mark."""
    x, resets = conv.x, conv.resets
    batch, length, channels = x.shape
    inside = min(conv.taps, length)
    state = x[:, :inside].flip(1) if conv.reverse else x[:, length - inside :]
    if resets is not None:
        state = torch.where(_crossed(resets, inside, conv.reverse), 0.0, state)
    if inside < conv.taps:
        carried = x.new_zeros(batch, conv.taps - inside, channels)
        if conv.initial_state is not None:
            carried = conv.initial_state[:, :, inside:].transpose(1, 2)
            if resets is not None:
                carried = torch.where(resets.any(1)[:, None, None], 0.0, carried)
        state = torch.cat([carried, state], 1)
    return state.transpose(1, 2).clone(memory_format=torch.contiguous_format)


def add_through_final_state(
    conv: Convolution, dfinal: Tensor, dx: Tensor, dstate: Tensor | None
) -> None:
    """Add to dx (B, L, D) and dstate (B, D, W-1) what comes through the final state."""
    resets, length = conv.resets, conv.x.shape[1]
    inside = min(conv.taps, length)
    last = dfinal[:, :, conv.taps - inside :].transpose(1, 2)
    if resets is not None:
        last = last.masked_fill(_crossed(resets, inside, conv.reverse), 0.0)
    if conv.reverse:
        dx[:, :inside] += last.flip(1)
    else:
        dx[:, length - inside :] += last
    if dstate is not None and inside < conv.taps:
        carried = dfinal[:, :, : conv.taps - inside]
        if resets is not None:
            carried = carried.masked_fill(resets.any(1)[:, None, None], 0.0)
        dstate[:, :, inside:] += carried


def _crossed(resets: Tensor, inside: int, reverse: bool) -> Tensor:
    """(B, inside, 1): which of the last inputs, oldest first, a mark parts from the scan's end."""
    if reverse:  # a mark at 0 lies before the end too
        return resets[:, :inside].long().cumsum(1).flip(1)[:, :, None] > 0
    marks = resets[:, resets.shape[1] - inside :].flip(1).long()
    return (marks.cumsum(1) - marks).flip(1)[:, :, None] > 0
