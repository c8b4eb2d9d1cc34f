"""One position of the selective scan, for recurrent decoding."""

import torch
from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels.backend import fuses_step

__all__ = ["selective_scan_step"]


def selective_scan_step(
    state: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = True,
) -> tuple[Tensor, Tensor]:
    """``selective_scan`` for a single position: the same recurrence, arguments without L.

    Args:
        state: h before this position (B, D, N), fp32 (fp64 for fp64 inputs).
        u, delta, z: (B, D).
        A: (D, N).
        B, C: (B, N).
        D, delta_bias: (D,).
        delta_softplus: whether Δ goes through softplus.

    Returns:
        y (B, D) in u's dtype, and the new state (B, D, N); ``state`` itself is left as it is.
    """
    tensors = (state, u, delta, A, B, C, D, z, delta_bias)
    if fuses_step(*tensors):
        from dnamamba_kernels.selective_scan.fused_step import selective_scan_step_fused

        return selective_scan_step_fused(*tensors, delta_softplus)
    dtype = state.dtype
    x = u.to(dtype)
    delta = delta.to(dtype)
    if delta_bias is not None:
        delta = delta + delta_bias.to(dtype)
    if delta_softplus:
        delta = F.softplus(delta)
    decay = torch.exp(delta[:, :, None] * A.to(dtype))  # (B, D, N)
    state = decay * state + (delta * x)[:, :, None] * B.to(dtype)[:, None, :]
    y = torch.einsum("bdn,bn->bd", state, C.to(dtype))
    if D is not None:
        y = y + D.to(dtype) * x
    if z is not None:
        y = y * F.silu(z.to(dtype))
    return y.to(u.dtype), state
