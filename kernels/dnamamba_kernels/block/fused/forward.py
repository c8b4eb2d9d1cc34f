"""The forward of a fused block."""

import torch
from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels.block.fused.padding import fill_padding
from dnamamba_kernels.block.fused.parts import (
    Inside,
    Kept,
    add_and_norm,
    convolution_of,
    delta_of,
    scan_of,
)
from dnamamba_kernels.block.layer import Layer, flat
from dnamamba_kernels.causal_conv1d import causal_conv1d_tail
from dnamamba_kernels.causal_conv1d.fused import launch as conv
from dnamamba_kernels.causal_conv1d.state import final_state
from dnamamba_kernels.selective_scan.fused import launch as scan

__all__ = ["forward", "outputs"]


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
        kept = _without_inside(kept)
    branch = new(batch, length, layer.out_weight.shape[0])[..., :width]
    return branch, stream, new(batch, channels, taps - 1), final, *flat(kept)[1:]


def _without_inside(kept: Kept) -> Kept:
    none = kept.h.new_empty
    inside = tuple(Inside(each.states, none(0), none(0)) for each in kept.inside)
    return Kept(kept.stream, none(0), inside)


def forward(
    x: Tensor, residual: Tensor | None, layer: Layer, keep_states: bool, keep_inside: bool
) -> tuple[Tensor, ...]:
    """``outputs``, filled."""
    stream = x.new_empty(x.shape, dtype=torch.float32)
    h = add_and_norm(x, residual, layer, stream)
    i, z = F.linear(h, layer.in_weight).chunk(2, -1)
    fill_padding(i, layer.lengths, 0.0)
    total: Tensor | None = None
    inside: list[Inside] = []
    for k, direction in enumerate(layer.directions):
        convolution = convolution_of(layer, direction, i, bool(k))
        u = conv.convolve(convolution)
        selected = F.linear(u, direction.x_weight)
        delta = delta_of(layer, direction, selected)
        gate = z if k == len(layer.directions) - 1 else None  # the last gates the sum
        of_scan = scan_of(layer, direction, u, delta, selected, gate, bool(k))
        total, final, states = scan.forward(of_scan, keep_states, total)
        inside.append(Inside(states, u, selected))
    assert total is not None
    fill_padding(total, layer.lengths, 0.0)
    if layer.lengths is None:
        tail = final_state(convolution)
    else:
        taps, state, marks = convolution.taps, layer.conv_state, layer.resets
        tail = causal_conv1d_tail(i, taps, state, marks, layer.lengths).contiguous()
    branch = F.linear(total, layer.out_weight)[..., : x.shape[2]]
    kept = Kept(stream, h, tuple(inside))
    if not keep_inside:
        kept = _without_inside(kept)
    return branch, stream, tail, final, *flat(kept)[1:]
