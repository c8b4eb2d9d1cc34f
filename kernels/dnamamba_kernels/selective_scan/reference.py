"""The recurrence as it stands in the paper, one position at a time; autograd differentiates it."""

import torch
from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels.checks import compute_dtype

__all__ = ["selective_scan_reference"]


def selective_scan_reference(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
    initial_state: Tensor | None,
    resets: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    dtype = compute_dtype(u.dtype)
    x, delta, A, B, C = (tensor.to(dtype) for tensor in (u, delta, A, B, C))
    if delta_bias is not None:
        delta = delta + delta_bias.to(dtype)
    if delta_softplus:
        delta = F.softplus(delta)

    batch, length, channels = x.shape
    state = x.new_zeros(batch, channels, A.shape[1])
    if initial_state is not None:
        state = initial_state.to(dtype)

    outputs = [x.new_empty(0)] * length
    for t in reversed(range(length)) if reverse else range(length):
        # From the right, a step into t leaves t + 1 and crosses the mark there.
        mark = t + 1 if reverse else t
        if resets is not None and mark < length:
            state = torch.where(resets[:, mark, None, None], 0.0, state)
        decay = torch.exp(delta[:, t, :, None] * A)  # (B, D, N)
        state = decay * state + (delta[:, t] * x[:, t])[:, :, None] * B[:, t, None, :]
        outputs[t] = (state * C[:, t, None, :]).sum(-1)
    if resets is not None and reverse:
        state = torch.where(resets[:, 0, None, None], 0.0, state)

    y = torch.stack(outputs, 1)
    if D is not None:
        y = y + D.to(dtype) * x
    if z is not None:
        y = y * F.silu(z.to(dtype))
    return y.to(u.dtype), state
