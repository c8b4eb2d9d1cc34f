"""The recurrence as it stands in the paper, one position at a time; autograd differentiates it."""

import torch
from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels.checks import compute_dtype
from dnamamba_kernels.selective_scan.scan import Scan

__all__ = ["selective_scan_reference"]


def selective_scan_reference(scan: Scan) -> tuple[Tensor, Tensor]:
    dtype = compute_dtype(scan.u.dtype)
    x, delta, A, B, C = (tensor.to(dtype) for tensor in scan[:5])
    if scan.delta_bias is not None:
        delta = delta + scan.delta_bias.to(dtype)
    if scan.delta_softplus:
        delta = F.softplus(delta)

    batch, length, channels = x.shape
    state = x.new_zeros(batch, channels, A.shape[1])
    if scan.initial_state is not None:
        state = scan.initial_state.to(dtype)

    # By position at once: a slice at a time, the backward would be quadratic in L.
    us, steps, Bs, Cs = (tensor.unbind(1) for tensor in (x, delta, B, C))
    outputs = [x.new_empty(0)] * length
    for t in reversed(range(length)) if scan.reverse else range(length):
        # From the right, a step into t leaves t + 1 and crosses the mark there.
        mark = t + 1 if scan.reverse else t
        if scan.resets is not None and mark < length:
            state = torch.where(scan.resets[:, mark, None, None], 0.0, state)
        decay = torch.exp(steps[t][:, :, None] * A)  # (B, D, N)
        state = decay * state + (steps[t] * us[t])[:, :, None] * Bs[t][:, None, :]
        outputs[t] = (state * Cs[t][:, None, :]).sum(-1)

    y = torch.stack(outputs, 1)
    if scan.D is not None:
        y = y + scan.D.to(dtype) * x
    if scan.z is not None:
        y = y * F.silu(scan.z.to(dtype))
    return y.to(scan.u.dtype), scan.leave(state)
