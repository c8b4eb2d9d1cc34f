"""Add, then normalise by the root of the mean square; autograd differentiates it."""

import torch
from torch import Tensor

from dnamamba_kernels.checks import compute_dtype

__all__ = ["add_rms_norm_reference"]


def add_rms_norm_reference(
    x: Tensor, residual: Tensor | None, weight: Tensor, eps: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    exact = compute_dtype(x.dtype)
    total = x.to(exact) if residual is None else residual.to(exact) + x.to(exact)
    scale = (total.square().mean(-1, keepdim=True) + eps).rsqrt()
    return (total * scale * weight.to(exact)).to(dtype), total
