"""Add, then normalise by the root of the mean square; autograd differentiates it."""

from torch import Tensor

from dnamamba_kernels.checks import compute_dtype

__all__ = ["add_rms_norm_reference"]


def add_rms_norm_reference(
    x: Tensor, residual: Tensor | None, weight: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    dtype = compute_dtype(x.dtype)
    total = x.to(dtype) if residual is None else residual.to(dtype) + x.to(dtype)
    scale = (total.square().mean(-1, keepdim=True) + eps).rsqrt()
    return (total * scale * weight.to(dtype)).to(x.dtype), total
