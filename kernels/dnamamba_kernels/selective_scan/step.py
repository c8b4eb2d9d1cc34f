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
    *,
    dt_weight: Tensor | None = None,
    log_A: bool = False,
    in_place: bool = False,
) -> tuple[Tensor, Tensor]:
    """``selective_scan`` for a single position: the same recurrence, arguments without L.

    Args:
        state: h before this position (B, D, N), fp32 (fp64 for fp64 inputs).
        u, delta, z: (B, D).
        A: (D, N); log(-A) with ``log_A``, as a model stores it.
        B, C: (B, N).
        D, delta_bias: (D,).
        delta_softplus: whether Δ goes through softplus.
        dt_weight: (D, R), which makes delta of the (B, R) that then stand in its place; one launch
            less, and not rounded in between.
        log_A: whether ``A`` holds log(-A).
        in_place: replace ``state``, which must lie dense, by the new state; where no gradient is
            asked for.

    Returns:
        y (B, D) in u's dtype, and the new state (B, D, N): ``state`` itself with ``in_place``,
        else another tensor.
    """
    tensors = (state, u, delta, A, B, C, D, z, delta_bias, dt_weight)
    if fuses_step(*tensors):
        from dnamamba_kernels.selective_scan.fused.step import selective_scan_step_fused

        held = state if in_place else state.clone(memory_format=torch.contiguous_format)
        return selective_scan_step_fused(held, *tensors[1:], delta_softplus, log_A), held
    dtype = state.dtype
    x = u.to(dtype)
    delta = delta.to(dtype)
    if dt_weight is not None:
        delta = F.linear(delta, dt_weight.to(dtype))
    if delta_bias is not None:
        delta = delta + delta_bias.to(dtype)
    if delta_softplus:
        delta = F.softplus(delta)
    rate = -torch.exp(A.to(dtype)) if log_A else A.to(dtype)
    decay = torch.exp(delta[:, :, None] * rate)  # (B, D, N)
    new = decay * state + (delta * x)[:, :, None] * B.to(dtype)[:, None, :]
    y = torch.einsum("bdn,bn->bd", new, C.to(dtype))
    if D is not None:
        y = y + D.to(dtype) * x
    if z is not None:
        y = y * F.silu(z.to(dtype))
    return y.to(u.dtype), state.copy_(new) if in_place else new
