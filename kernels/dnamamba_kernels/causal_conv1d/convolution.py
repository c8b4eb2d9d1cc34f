"""The convolution's arguments as one value: listed and checked here, handed on everywhere else."""

from typing import NamedTuple

import torch
from torch import Tensor

from dnamamba_kernels.checks import expect

__all__ = ["Convolution"]


class Convolution(NamedTuple):
    """What ``causal_conv1d`` takes; the tensors that take a gradient come first."""

    x: Tensor  # (B, L, D)
    weight: Tensor  # (D, W)
    bias: Tensor | None  # (D,)
    initial_state: Tensor | None  # (B, D, W-1)
    resets: Tensor | None  # (B, L)
    reverse: bool

    def check(self) -> None:
        """Raises:
        ValueError: a shape, dtype or device does not fit; names the argument.
        """
        op, x, weight = "causal_conv1d", self.x, self.weight
        if x.dim() != 3 or weight.dim() != 2:
            raise ValueError(
                f"{op}: x must have shape (B, L, D) and weight (D, W), "
                f"got {tuple(x.shape)} and {tuple(weight.shape)}"
            )
        (batch, length, channels), taps = x.shape, weight.shape[1]
        if length < 1 or channels < 1 or not 2 <= taps <= 4:
            raise ValueError(
                f"{op}: L and D must be at least 1 and W from 2 to 4, "
                f"got L = {length}, D = {channels}, W = {taps}"
            )
        state = (batch, channels, taps - 1)
        expect(op, "x", x, "B, L, D", (batch, length, channels), x.device)
        expect(op, "weight", weight, "D, W", (channels, taps), x.device)
        expect(op, "bias", self.bias, "D", (channels,), x.device)
        expect(op, "initial_state", self.initial_state, "B, D, W-1", state, x.device, x.dtype)
        expect(op, "resets", self.resets, "B, L", (batch, length), x.device, torch.bool)

    @property
    def taps(self) -> int:
        """W - 1: how many inputs before its own an output sees."""
        return self.weight.shape[1] - 1

    def outputs(self) -> tuple[Tensor, Tensor]:
        """Room for y and the final state."""
        batch, _, channels = self.x.shape
        return self.x.new_empty(self.x.shape), self.x.new_empty(batch, channels, self.taps)

    def gradients(self, dx: Tensor | None = None) -> list[Tensor]:
        """Room for those of x, ``dx`` if given, to initial_state; empty for one left out."""
        empty = self.x.new_empty
        dx = empty(self.x.shape) if dx is None else dx
        return [dx, *(empty(0) if t is None else t.new_empty(t.shape) for t in self[1:4])]
