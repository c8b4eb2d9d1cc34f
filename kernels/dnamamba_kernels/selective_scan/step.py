"""One position of the selective scan, for recurrent decoding."""

import torch
from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels.backend import fuses_step
from dnamamba_kernels.selective_scan.scan import Step

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
    backend: str | None = None,
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
        in_place: replace ``state`` by the new state; where no gradient is asked for.
        backend: "triton", "numba", "torch" or "reference"; None chooses by device. The latter
            three are one, and a gradient always is PyTorch's.

    Returns:
        y (B, D) in u's dtype, and the new state (B, D, N), ``state`` itself with ``in_place``,
        else another tensor.

    Raises:
        ValueError: a shape, dtype or device does not fit; names the argument.
    """
    step = Step(state, u, delta, A, B, C, D, z, delta_bias, dt_weight, delta_softplus, log_A)
    step.check()
    if fuses_step(backend, *step[:10]):
        from dnamamba_kernels.selective_scan.fused.step import selective_scan_step_fused

        new = state.contiguous() if in_place else state.clone(memory_format=torch.contiguous_format)
        y = selective_scan_step_fused(*step._replace(state=new))
        return y, state.copy_(new) if in_place and new is not state else new
    y, new = _plain(step)
    return y, state.copy_(new) if in_place else new


def _plain(step: Step) -> tuple[Tensor, Tensor]:
    dtype = step.state.dtype
    x, delta, A, B, C = (tensor.to(dtype) for tensor in step[1:6])
    if step.dt_weight is not None:
        delta = F.linear(delta, step.dt_weight.to(dtype))
    if step.delta_bias is not None:
        delta = delta + step.delta_bias.to(dtype)
    if step.delta_softplus:
        delta = F.softplus(delta)
    rate = -torch.exp(A) if step.logarithmic else A
    decay = torch.exp(delta[:, :, None] * rate)  # (B, D, N)
    new = decay * step.state + (delta * x)[:, :, None] * B[:, None, :]
    y = torch.einsum("bdn,bn->bd", new, C)
    if step.D is not None:
        y = y + step.D.to(dtype) * x
    if step.z is not None:
        y = y * F.silu(step.z.to(dtype))
    return y.to(step.u.dtype), new
