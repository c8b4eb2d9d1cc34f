"""The norm's arguments as one value: listed and checked here, handed on everywhere else."""

from typing import NamedTuple

import torch
from torch import Tensor

from dnamamba_kernels.checks import compute_dtype, expect

__all__ = ["Norm", "Sums"]


class Norm(NamedTuple):
    """What ``add_rms_norm`` takes; ``dtype`` is that of y."""

    x: Tensor  # (..., D)
    residual: Tensor | None  # (..., D)
    weight: Tensor  # (D,)
    eps: float
    dtype: torch.dtype

    def check(self) -> None:
        """Raises:
        ValueError: a shape, dtype or device does not fit; names the argument.
        """
        op, shape, device = "add_rms_norm", tuple(self.x.shape), self.x.device
        if not shape or shape[-1] < 1:
            raise ValueError(f"{op}: x must have shape (..., D) with D at least 1, got {shape}")
        expect(op, "x", self.x, "..., D", shape, device)
        expect(op, "residual", self.residual, "..., D", shape, device, compute_dtype(self.x.dtype))
        expect(op, "weight", self.weight, "D", shape[-1:], device)


class Sums(NamedTuple):
    """What the backward makes gradients of: the sums, and what was done with them."""

    total: Tensor  # (..., D), residual and x added up
    scale: Tensor  # (..., 1), what total was multiplied by; empty to be computed again
    weight: Tensor  # (D,)
    eps: float
    dtype: torch.dtype  # of x
    apart: bool  # whether residual's gradient is a tensor of its own: else it is x's, or none

    def gradients(self) -> tuple[Tensor, Tensor, Tensor]:
        """Room for those of x, of residual if ``apart``, else empty, and of weight."""
        total, weight = self.total, self.weight
        return (
            total.new_empty(total.shape, dtype=self.dtype),
            total.new_empty(total.shape if self.apart else (0,)),
            weight.new_empty(weight.shape),
        )
