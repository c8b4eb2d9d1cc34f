"""A layer's tensors as one value: listed and checked here, handed on everywhere else."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dnamamba_kernels.checks import compute_dtype, expect

__all__ = ["Direction", "Layer", "flat"]


class Direction(NamedTuple):
    """What each direction of a layer has of its own; R is the rank of Δ.

    The second of two reads from the right.
    """

    conv_weight: Tensor  # (D, W)
    conv_bias: Tensor | None  # (D,)
    x_weight: Tensor  # (R + 2 N, D)
    dt_weight: Tensor  # (D, R)
    dt_bias: Tensor | None  # (D,)
    A: Tensor  # (D, N)
    D: Tensor  # (D,)

    def check(
        self, op: str, side: str, channels: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        """Raises:
        ValueError: see ``Layer.check``.
        """
        sizes = (channels, self.conv_weight.shape[1])
        states, rank = self.A.shape[1], self.dt_weight.shape[-1]
        expect(op, f"{side}conv_weight", self.conv_weight, "D, W", sizes, device)
        expect(op, f"{side}conv_bias", self.conv_bias, "D", (channels,), device)
        rows = (rank + 2 * states, channels)
        expect(op, f"{side}x_weight", self.x_weight, "R + 2 N, D", rows, device, dtype)
        expect(op, f"{side}dt_weight", self.dt_weight, "D, R", (channels, rank), device, dtype)
        expect(op, f"{side}dt_bias", self.dt_bias, "D", (channels,), device)
        expect(op, f"{side}A", self.A, "D, N", (channels, states), device)
        expect(op, f"{side}D", self.D, "D", (channels,), device)

    def select(self, selected: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What Δ is projected from, B and C, side by side in (..., R + 2 N)."""
        rank, states = self.dt_weight.shape[1], self.A.shape[1]
        s, B, C = selected.split((rank, states, states), -1)
        return s, B, C


class Layer(NamedTuple):
    """What a block takes but x and residual; M is d_model.

    The tensors that take a gradient come first. States are those of a layer of one direction.
    """

    norm_weight: Tensor  # (M,)
    in_weight: Tensor  # (2 D, M)
    directions: tuple[Direction, ...]
    out_weight: Tensor  # (M, D)
    conv_state: Tensor | None  # (B, D, W-1)
    ssm_state: Tensor | None  # (B, D, N)
    resets: Tensor | None  # (B, L)
    lengths: Tensor | None  # (B,)
    eps: float

    @classmethod
    def of(cls, values: Sequence[Any]) -> "Layer":
        """The layer whose ``flat`` these are."""
        (norm_weight, in_weight), last = values[:2], 2 - len(cls._fields) + 1
        each, size = values[2:last], len(Direction._fields)
        directions = tuple(Direction._make(each[k : k + size]) for k in range(0, len(each), size))
        return cls(norm_weight, in_weight, directions, *values[last:])

    def check(self, op: str, x: Tensor, residual: Tensor | None, sides: Sequence[str]) -> None:
        """``sides`` say of which direction an argument is.

        Raises:
        ValueError: a shape, dtype or device does not fit; names the argument.
        """
        self._check_sizes(op, x, sides)
        (batch, length, width), device, dtype = x.shape, x.device, self.in_weight.dtype
        channels, taps = self.directions[0].conv_weight.shape
        exact = compute_dtype(x.dtype)
        expect(op, "x", x, "B, L, M", (batch, length, width), device)
        expect(op, "residual", residual, "B, L, M", (batch, length, width), device, exact)
        expect(op, "norm_weight", self.norm_weight, "M", (width,), device)
        expect(op, "in_weight", self.in_weight, "2 D, M", (2 * channels, width), device)
        for side, direction in zip(sides, self.directions, strict=True):
            direction.check(op, side, channels, device, dtype)
        expect(op, "out_weight", self.out_weight, "M, D", (width, channels), device, dtype)
        state = (batch, channels, taps - 1)
        expect(op, "conv_state", self.conv_state, "B, D, W-1", state, device, dtype)
        state, exact = (batch, channels, self.directions[0].A.shape[1]), compute_dtype(dtype)
        expect(op, "ssm_state", self.ssm_state, "B, D, N", state, device, exact)
        expect(op, "resets", self.resets, "B, L", (batch, length), device, torch.bool)
        if self.lengths is not None:
            whole = self.lengths.dtype
            if whole not in (torch.int32, torch.int64):
                raise ValueError(f"{op}: lengths must have dtype int32 or int64, got {whole}")
            expect(op, "lengths", self.lengths, "B", (batch,), device, whole)

    def _check_sizes(self, op: str, x: Tensor, sides: Sequence[str]) -> None:
        for side, direction in zip(sides, self.directions, strict=True):
            conv, A = direction.conv_weight, direction.A
            if x.dim() != 3 or conv.dim() != 2 or A.dim() != 2:
                raise ValueError(
                    f"{op}: x must have shape (B, L, M), {side}conv_weight (D, W) and {side}A "
                    f"(D, N), got {tuple(x.shape)}, {tuple(conv.shape)} and {tuple(A.shape)}"
                )
            if min(*x.shape[1:], *conv.shape) < 1 or not 2 <= conv.shape[1] <= 4:
                raise ValueError(
                    f"{op}: L, M and D must be at least 1 and W from 2 to 4, got L = {x.shape[1]}, "
                    f"M = {x.shape[2]}, D = {conv.shape[0]}, W = {conv.shape[1]}"
                )
            if not 1 <= A.shape[1] <= 256:
                raise ValueError(f"{op}: N must be from 1 to 256, got N = {A.shape[1]}")

    def padding(self, length: int) -> Tensor | None:
        """(B, L): which of ``length`` positions are padding; None where none is."""
        if self.lengths is None:
            return None
        positions = torch.arange(length, device=self.lengths.device)
        return positions >= self.lengths[:, None]


def flat(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """What tuples hold, those within them too, in one."""
    return tuple(_leaves(values))


def _leaves(values: tuple[Any, ...]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, tuple):
            yield from _leaves(value)
        else:
            yield value
