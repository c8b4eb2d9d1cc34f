"""The norm of a residual stream, which also adds to it."""

import torch
from torch import Tensor, nn

from dnamamba_kernels import add_rms_norm

__all__ = ["RMSNorm"]


class RMSNorm(nn.Module):
    """Adds a branch's output to the residual stream and normalises the sum."""

    def __init__(self, d_model: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(
        self, x: Tensor, residual: Tensor | None, dtype: torch.dtype | None = None
    ) -> tuple[Tensor, Tensor]:
        """x (..., d_model), residual the same in fp32 or None -> (normalised sum, sum in fp32).

        The normalised sum is of ``dtype``, x's if that is None.
        """
        return add_rms_norm(x, residual, self.weight, self.eps, dtype=dtype)
