"""Residual add and RMSNorm in PyTorch; the backward keeps the sum, which lives on anyway."""

import torch
from torch import Tensor

from dnamamba_kernels.add_rms_norm.norm import Norm, Sums
from dnamamba_kernels.checks import compute_dtype

__all__ = ["backward", "forward", "outputs"]


def outputs(norm: Norm) -> tuple[Tensor, Tensor, Tensor]:
    """Room for y, the sum and the scale (..., 1) between them."""
    x, exact = norm.x, compute_dtype(norm.x.dtype)
    return (
        x.new_empty(x.shape, dtype=norm.dtype),
        x.new_empty(x.shape, dtype=exact),
        x.new_empty((*x.shape[:-1], 1), dtype=exact),
    )


def forward(norm: Norm) -> tuple[Tensor, Tensor, Tensor]:
    """``outputs``, filled."""
    x, residual, weight, eps, dtype = norm
    exact = compute_dtype(x.dtype)
    total = x.to(exact, copy=True) if residual is None else residual + x
    total = total.contiguous()
    length = torch.linalg.vector_norm(total, dim=-1, keepdim=True)
    scale = length.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
    return (total * scale).mul_(weight.to(exact)).to(dtype), total, scale


def backward(sums: Sums, dy: Tensor | None, dtotal: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, residual and weight; residual's only where x has another dtype."""
    total, scale, weight, _, dtype, apart = sums
    unit, dy = total * scale, torch.zeros_like(total) if dy is None else dy.to(total.dtype)
    dweight = (dy * unit).sum_to_size(weight.shape)
    dunit = dy.contiguous() * weight.to(total.dtype)
    # d unit / d total keeps what is orthogonal to unit.
    along = torch.linalg.vecdot(dunit, unit).div_(total.shape[-1])[..., None]
    grad = dunit.addcmul_(unit, along, value=-1).mul_(scale)
    if dtotal is not None:
        grad.add_(dtotal)
    return grad.to(dtype), grad if apart else grad.new_empty(0), dweight.to(weight.dtype)
