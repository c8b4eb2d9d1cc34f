"""The forward of a fused block."""

import torch
from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels.block.fused.padding import fill_padding
from dnamamba_kernels.block.fused.parts import Inside, Kept, add_and_norm, sides_of
from dnamamba_kernels.block.layer import Layer, flat
from dnamamba_kernels.causal_conv1d import causal_conv1d_tail
from dnamamba_kernels.causal_conv1d.fused import launch as conv
from dnamamba_kernels.causal_conv1d.state import final_state
from dnamamba_kernels.selective_scan.fused import launch as scan

__all__ = ["branch_of", "entrance", "forward", "outputs"]


def outputs(x: Tensor, layer: Layer, keep_states: bool, keep_inside: bool) -> tuple[Tensor, ...]:
    """Room for branch, stream, both states and ``Kept`` but its stream, empty where not kept.

    Without a meaning are the states of a layer of two directions.
    """
    new, (batch, length, width) = layer.in_weight.new_empty, x.shape
    stream = x.new_empty(x.shape, dtype=torch.float32)
    wide, (channels, taps) = layer.in_weight.shape[1], layer.directions[0].conv_weight.shape
    u = new(batch, length, channels)
    inside = []
    for direction in layer.directions:
        _, final, states = scan.outputs(u, direction.A, keep_states)
        selected = new(batch, length, direction.x_weight.shape[0])
        inside.append(Inside(states, new(u.shape), selected))
    kept = Kept(stream, new(batch, length, wide), tuple(inside))
    if not keep_inside:
        kept = kept.without_inside()
    branch = new(batch, length, layer.out_weight.shape[0])[..., :width]
    return branch, stream, new(batch, channels, taps - 1), final, *flat(kept)[1:]


def entrance(
    x: Tensor, residual: Tensor | None, layer: Layer
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The stream, h, what enters the convolutions, and z."""
    stream = x.new_empty(x.shape, dtype=torch.float32)
    h = add_and_norm(x, residual, layer, stream)
    i, z = F.linear(h, layer.in_weight).chunk(2, -1)
    fill_padding(i, layer.lengths, 0.0)
    return stream, h, i, z


def branch_of(total: Tensor, layer: Layer, width: int) -> Tensor:
    """Of the gated sum of the sides, which it changes where rows are padded."""
    fill_padding(total, layer.lengths, 0.0)
    return F.linear(total, layer.out_weight)[..., :width]


def forward(
    x: Tensor, residual: Tensor | None, layer: Layer, keep_states: bool, keep_inside: bool
) -> tuple[Tensor, ...]:
    """``outputs``, filled."""
    stream, h, i, z = entrance(x, residual, layer)
    total: Tensor | None = None
    inside: list[Inside] = []
    sides = sides_of(layer)
    for side in sides:
        convolution = side.convolution(i)
        u = conv.convolve(convolution)
        selected = side.select(u)
        gate = z if side is sides[-1] else None  # the last gates the sum
        of_scan = side.scan(u, side.delta(selected), selected, gate)
        total, final, states = scan.forward(of_scan, keep_states, total)
        inside.append(Inside(states, u, selected))
    assert total is not None
    if layer.lengths is None:
        tail = final_state(convolution)
    else:
        taps, state, marks = convolution.taps, layer.conv_state, layer.resets
        tail = causal_conv1d_tail(i, taps, state, marks, layer.lengths).contiguous()
    branch = branch_of(total, layer, x.shape[2])
    kept = Kept(stream, h, tuple(inside))
    if not keep_inside:
        kept = kept.without_inside()
    return branch, stream, tail, final, *flat(kept)[1:]
