"""Residual add and RMSNorm in PyTorch; the backward keeps the sum, which lives on anyway."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dnamamba_kernels.checks import compute_dtype

__all__ = ["add_rms_norm_eager"]


def add_rms_norm_eager(
    x: Tensor, residual: Tensor | None, weight: Tensor, eps: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    return _AddRMSNorm.apply(x, residual, weight, eps, dtype)


class _AddRMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        residual: Tensor | None,
        weight: Tensor,
        eps: float,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        exact = compute_dtype(x.dtype)
        total = x.to(exact, copy=True) if residual is None else residual + x
        norm = torch.linalg.vector_norm(total, dim=-1, keepdim=True)
        scale = norm.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(total, scale, weight)
        ctx.dtype = x.dtype
        return (total * scale).mul_(weight.to(exact)).to(dtype), total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_total: Tensor) -> tuple[Tensor | None, ...]:
        total, scale, weight = ctx.saved_tensors
        unit, grad_y = total * scale, grad_y.to(total.dtype)
        grad_weight = (grad_y * unit).sum_to_size(weight.shape)
        grad_unit = grad_y * weight.to(total.dtype)
        # d unit / d total keeps what is orthogonal to unit.
        along = torch.linalg.vecdot(grad_unit, unit).div_(total.shape[-1])[..., None]
        grad = grad_unit.addcmul_(unit, along, value=-1).mul_(scale).add_(grad_total)
        grad_residual = grad if ctx.needs_input_grad[1] else None
        return grad.to(ctx.dtype), grad_residual, grad_weight.to(weight.dtype), None, None
