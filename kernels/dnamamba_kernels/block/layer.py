"""A layer's tensors as one value: listed and checked here, handed on everywhere else."""

from typing import NamedTuple

import torch
from torch import Tensor

from dnamamba_kernels.checks import compute_dtype, expect

__all__ = ["Layer"]


class Layer(NamedTuple):
    """What ``mamba_block`` takes but x and residual; M is d_model, R the rank of Δ.

    The tensors that take a gradient come first.
    """

    norm_weight: Tensor  # (M,)
    in_weight: Tensor  # (2 D, M)
    conv_weight: Tensor  # (D, W)
    conv_bias: Tensor | None  # (D,)
    x_weight: Tensor  # (R + 2 N, D)
    dt_weight: Tensor  # (D, R)
    dt_bias: Tensor | None  # (D,)
    A: Tensor  # (D, N)
    D: Tensor  # (D,)
    out_weight: Tensor  # (M, D)
    conv_state: Tensor | None  # (B, D, W-1)
    ssm_state: Tensor | None  # (B, D, N)
    resets: Tensor | None  # (B, L)
    eps: float

    def check(self, x: Tensor, residual: Tensor | None) -> None:
        """Raises:
        ValueError: a shape, dtype or device does not fit; names the argument.
        """
        op, (batch, length, width), (channels, taps), states = self._sizes(x)
        device, dtype = x.device, self.in_weight.dtype
        rank = self.dt_weight.shape[-1]
        expect(op, "x", x, "B, L, M", (batch, length, width), device)
        exact = compute_dtype(x.dtype)
        expect(op, "residual", residual, "B, L, M", (batch, length, width), device, exact)
        expect(op, "norm_weight", self.norm_weight, "M", (width,), device)
        expect(op, "in_weight", self.in_weight, "2 D, M", (2 * channels, width), device)
        expect(op, "conv_weight", self.conv_weight, "D, W", (channels, taps), device)
        expect(op, "conv_bias", self.conv_bias, "D", (channels,), device)
        rows = (rank + 2 * states, channels)
        expect(op, "x_weight", self.x_weight, "R + 2 N, D", rows, device, dtype)
        expect(op, "dt_weight", self.dt_weight, "D, R", (channels, rank), device, dtype)
        expect(op, "dt_bias", self.dt_bias, "D", (channels,), device)
        expect(op, "A", self.A, "D, N", (channels, states), device)
        expect(op, "D", self.D, "D", (channels,), device)
        expect(op, "out_weight", self.out_weight, "M, D", (width, channels), device, dtype)
        state = (batch, channels, taps - 1)
        expect(op, "conv_state", self.conv_state, "B, D, W-1", state, device, dtype)
        state, exact = (batch, channels, states), compute_dtype(dtype)
        expect(op, "ssm_state", self.ssm_state, "B, D, N", state, device, exact)
        expect(op, "resets", self.resets, "B, L", (batch, length), device, torch.bool)

    def _sizes(self, x: Tensor) -> tuple[str, torch.Size, torch.Size, int]:
        op, conv, A = "mamba_block", self.conv_weight, self.A
        if x.dim() != 3 or conv.dim() != 2 or A.dim() != 2:
            raise ValueError(
                f"{op}: x must have shape (B, L, M), conv_weight (D, W) and A (D, N), "
                f"got {tuple(x.shape)}, {tuple(conv.shape)} and {tuple(A.shape)}"
            )
        if min(*x.shape[1:], *conv.shape) < 1 or not 2 <= conv.shape[1] <= 4:
            raise ValueError(
                f"{op}: L, M and D must be at least 1 and W from 2 to 4, got L = {x.shape[1]}, "
                f"M = {x.shape[2]}, D = {conv.shape[0]}, W = {conv.shape[1]}"
            )
        if not 1 <= A.shape[1] <= 256:
            raise ValueError(f"{op}: N must be from 1 to 256, got N = {A.shape[1]}")
        return op, x.shape, conv.shape, A.shape[1]

    def select(self, selected: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What Δ is projected from, B and C, side by side in (..., R + 2 N)."""
        rank, states = self.dt_weight.shape[1], self.A.shape[1]
        s, B, C = selected.split((rank, states, states), -1)
        return s, B, C
