"""What a fused block's forward and backward have in common: its ops as the kernels take them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels.add_rms_norm import fused as norm
from dnamamba_kernels.add_rms_norm.norm import Norm
from dnamamba_kernels.block.fused.padding import fill_padding
from dnamamba_kernels.block.layer import Direction, Layer
from dnamamba_kernels.causal_conv1d.convolution import Convolution
from dnamamba_kernels.selective_scan.scan import Scan

__all__ = [
    "Inside",
    "Kept",
    "Side",
    "add_and_norm",
    "inputs_of",
    "sides_of",
]


class Inside(NamedTuple):
    """What is kept of a direction; the last two empty to be computed again."""

    states: Tensor  # those that enter each chunk of the scan
    u: Tensor  # (B, L, D), what leaves the convolution
    selected: Tensor  # (B, L, R + 2 N), the rank of Δ, B and C


class Kept(NamedTuple):
    """What autograd keeps beside the layer."""

    stream: Tensor  # (B, L, M), x in it
    h: Tensor  # (B, L, M), what leaves the norm, M perhaps padded; empty to be computed again
    inside: tuple[Inside, ...]  # of each direction

    def without_inside(self) -> "Kept":
        """The same, to compute the rest again."""
        none = self.h.new_empty
        inside = tuple(Inside(each.states, none(0), none(0)) for each in self.inside)
        return Kept(self.stream, none(0), inside)

    @classmethod
    def of(cls, values: Sequence[Tensor]) -> "Kept":
        """What was kept, from its ``flat``."""
        stream, h, *each = values
        size = len(Inside._fields)
        inside = (Inside._make(each[k : k + size]) for k in range(0, len(each), size))
        return cls(stream, h, tuple(inside))


def add_and_norm(x: Tensor, residual: Tensor | None, layer: Layer, stream: Tensor | None) -> Tensor:
    """h, as wide as ``in_weight`` takes it; fills ``stream``."""
    h = layer.in_weight.new_empty(*x.shape[:2], layer.in_weight.shape[1])
    norm.run_forward(Norm(x, residual, layer.norm_weight, layer.eps, h.dtype), h, stream)
    return h


def inputs_of(layer: Layer, h: Tensor) -> Tensor:
    """What enters the convolutions."""
    i = F.linear(h, layer.in_weight.chunk(2)[0])
    fill_padding(i, layer.lengths, 0.0)  # which reaches no tap
    return i


class Side(NamedTuple):
    """One direction of a layer at work: its ops as the kernels take them."""

    layer: Layer
    direction: Direction
    reverse: bool
    conv_state: Tensor | None  # (B, D, W-1), what enters its convolution
    ssm_state: Tensor | None  # (B, D, N), what enters its scan

    def convolution(self, i: Tensor) -> Convolution:
        weight, bias = self.direction.conv_weight, self.direction.conv_bias
        return Convolution(i, weight, bias, self.conv_state, self.layer.resets, self.reverse)

    def select(self, u: Tensor) -> Tensor:
        """(B, L, R + 2 N)."""
        return F.linear(u, self.direction.x_weight)

    def delta(self, selected: Tensor) -> Tensor:
        """Δ before bias and softplus; where it is -inf, a state stays as it is."""
        delta = F.linear(self.direction.select(selected)[0], self.direction.dt_weight)
        fill_padding(delta, self.layer.lengths, -math.inf)
        return delta

    def scan(self, u: Tensor, delta: Tensor, selected: Tensor, z: Tensor | None) -> Scan:
        direction, (_, B, C) = self.direction, self.direction.select(selected)
        return Scan(
            u, delta, direction.A, B, C, direction.D, z, direction.dt_bias, self.ssm_state,
            self.layer.resets, delta_softplus=True, reverse=self.reverse,
        )  # fmt: skip


def sides_of(layer: Layer) -> list[Side]:
    """A layer's directions, the layer's states entering each."""
    return [
        Side(layer, direction, bool(k), layer.conv_state, layer.ssm_state)
        for k, direction in enumerate(layer.directions)
    ]
