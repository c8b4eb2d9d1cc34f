"""Add, then normalise by the root of the mean square; autograd differentiates it."""

from torch import Tensor

from dnamamba_kernels.add_rms_norm.norm import Norm
from dnamamba_kernels.checks import compute_dtype

__all__ = ["add_rms_norm_reference"]


def add_rms_norm_reference(norm: Norm) -> tuple[Tensor, Tensor]:
    exact = compute_dtype(norm.x.dtype)
    x = norm.x.to(exact)
    total = x if norm.residual is None else norm.residual.to(exact) + x
    scale = (total.square().mean(-1, keepdim=True) + norm.eps).rsqrt()
    return (total * scale * norm.weight.to(exact)).to(norm.dtype), total
