"""Residual add and RMSNorm by PyTorch's own fused normalisation."""

from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels.checks import compute_dtype

__all__ = ["add_rms_norm_eager"]


def add_rms_norm_eager(
    x: Tensor, residual: Tensor | None, weight: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    dtype = compute_dtype(x.dtype)
    total = x.to(dtype) if residual is None else residual + x
    y = F.rms_norm(total, total.shape[-1:], weight.to(dtype), eps)
    return y.to(x.dtype), total
