"""The state of a convolution over padded rows: the inputs before each row's own end."""

import torch
from torch import Tensor

__all__ = ["add_through_tail", "causal_conv1d_tail"]


def causal_conv1d_tail(
    x: Tensor, taps: int, state: Tensor | None, resets: Tensor | None, lengths: Tensor
) -> Tensor:
    """The last ``taps`` inputs before each row's length, oldest first; differentiable.

    What ``causal_conv1d`` returns as its final state, had each row ended there. Positions before x
    come from ``state``; those before a row's last mark are zeros.

    Args:
        x: inputs (B, L, D).
        taps: W - 1.
        state: the inputs before x (B, D, W-1); None is zero.
        resets: (B, L) bool, the first base of each packed segment, none in the padding.
        lengths: (B,) integers from 0 to L.

    Returns:
        (B, D, W-1).
    """
    at, kept = _positions(x, taps, resets, lengths)
    D = x.shape[2]
    inside = x.gather(1, at.clamp(min=0)[..., None].expand(-1, -1, D)).transpose(1, 2)
    if state is None:
        before = torch.zeros_like(inside)
    else:
        before = state.gather(2, (at + taps).clamp(max=taps - 1)[:, None].expand(-1, D, -1))
    tail = torch.where((at >= 0)[:, None], inside, before)
    return tail if resets is None else tail.masked_fill(~kept[:, None], 0.0)


def add_through_tail(
    dtail: Tensor, resets: Tensor | None, lengths: Tensor, dx: Tensor, dstate: Tensor | None
) -> None:
    """Add to dx (B, L, D) and dstate (B, D, W-1) what comes through ``causal_conv1d_tail``."""
    taps = dtail.shape[2]
    at, kept = _positions(dx, taps, resets, lengths)
    rows = torch.arange(len(dx), device=dx.device)
    for k in range(taps):  # of each at most one place a row: nothing is added twice at a time
        own, inside = at[:, k], (kept & (at >= 0))[:, k, None]
        dx[rows, own.clamp(min=0)] += torch.where(inside, dtail[:, :, k], 0.0)
        if dstate is not None:
            before = (kept & (at < 0))[:, k, None]
            place = (own + taps).clamp(max=taps - 1)
            dstate[rows, :, place] += torch.where(before, dtail[:, :, k], 0.0)


def _positions(
    x: Tensor, taps: int, resets: Tensor | None, lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """Where each of a row's last inputs lies, negative before x; and which no mark cuts off."""
    lengths = lengths.clamp(0, x.shape[1])
    at = lengths[:, None] - taps + torch.arange(taps, device=x.device)  # (B, taps)
    if resets is None:
        return at, torch.ones_like(at, dtype=torch.bool)
    positions = torch.arange(1, x.shape[1] + 1, device=x.device)
    last = (resets * positions).amax(dim=1)[:, None] - 1  # -1: no reset
    return at, (at >= last) | (last < 0)
