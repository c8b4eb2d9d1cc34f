"""Residual add and RMSNorm in one: the public op and the choice of backend."""

import torch
from torch import Tensor

from dnamamba_kernels.add_rms_norm.eager import add_rms_norm_eager
from dnamamba_kernels.add_rms_norm.reference import add_rms_norm_reference
from dnamamba_kernels.backend import choose
from dnamamba_kernels.checks import compute_dtype, expect

__all__ = ["add_rms_norm"]


def add_rms_norm(
    x: Tensor,
    residual: Tensor | None,
    weight: Tensor,
    eps: float,
    *,
    dtype: torch.dtype | None = None,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Add ``x`` to the residual stream and normalise the sum.

    ::

        r = residual + x
        y = r / sqrt(mean(r²) + eps) * weight

    The mean runs over the last dimension. RMSNorm: Zhang and Sennrich 2019 (arXiv:1910.07467),
    eq. 4, with ε as in Gu and Dao's code. Differentiable in x, residual and weight, through both
    outputs.

    Args:
        x: (..., D); fp32, bf16, fp16 or fp64.
        residual: (..., D), fp32 (fp64 if x is fp64); None is zero.
        weight: (D,).
        eps: ε, added to the mean square.
        dtype: of y; None is x's.
        backend: "triton", "torch" or "reference"; None chooses by device
            (see ``dnamamba_kernels.backend``).

    Returns:
        y (..., D), and r (..., D) in fp32 (fp64 if x is fp64).

    Raises:
        ValueError: a shape, dtype or device does not fit; names the argument.
    """
    op, shape = "add_rms_norm", tuple(x.shape)
    if not shape or shape[-1] < 1:
        raise ValueError(f"{op}: x must have shape (..., D) with D at least 1, got {shape}")
    expect(op, "x", x, "..., D", shape, x.device)
    expect(op, "residual", residual, "..., D", shape, x.device, compute_dtype(x.dtype))
    expect(op, "weight", weight, "D", shape[-1:], x.device)
    dtype = dtype or x.dtype
    match choose(backend, x.device):
        case "triton":
            from dnamamba_kernels.add_rms_norm.fused import add_rms_norm_fused

            return add_rms_norm_fused(x, residual, weight, eps, dtype)
        case "torch":
            return add_rms_norm_eager(x, residual, weight, eps, dtype)
        case _:
            return add_rms_norm_reference(x, residual, weight, eps, dtype)
