"""A Mamba layer as autograd and torch.compile see it: a pair of opaque operators.

What the backward needs and nobody kept it computes again.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels.add_rms_norm import fused as norm
from dnamamba_kernels.add_rms_norm.norm import Norm, Sums
from dnamamba_kernels.block.layer import Layer
from dnamamba_kernels.causal_conv1d.convolution import Convolution
from dnamamba_kernels.causal_conv1d.fused import launch as conv
from dnamamba_kernels.operators import arguments, differentiable, present
from dnamamba_kernels.selective_scan.fused import launch as scan
from dnamamba_kernels.selective_scan.scan import Scan

__all__ = ["mamba_block_fused"]


def mamba_block_fused(
    x: Tensor, residual: Tensor | None, layer: Layer, recompute: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    keep = differentiable(x, residual, *layer)
    branch, stream, tail, final, *_ = _forward(x, residual, *layer, keep, keep and not recompute)
    return branch, stream, tail, final


class _Kept(NamedTuple):
    """What autograd keeps beside the layer. The last three are empty to be computed again."""

    stream: Tensor  # (B, L, M), x in it
    states: Tensor  # those that enter each chunk of the scan
    h: Tensor  # (B, L, M), what leaves the norm
    u: Tensor  # (B, L, D), what leaves the convolution
    selected: Tensor  # (B, L, R + 2 N), the rank of Δ, B and C


@torch.library.custom_op(
    "dnamamba::mamba_block",
    mutates_args=(),
    schema=f"(Tensor x, Tensor? residual, {arguments(Layer)}, bool keep_states, bool keep_inside) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _forward(*inputs: Any) -> tuple[Tensor, ...]:
    """Branch, stream, both states; and for the backward, or empty, ``_Kept`` but its stream."""
    x, residual, *fields, keep_states, keep_inside = inputs
    layer = Layer(*fields)
    h, stream, _ = norm.forward(
        Norm(x, residual, layer.norm_weight, layer.eps, layer.in_weight.dtype)
    )
    i, z = F.linear(h, layer.in_weight).chunk(2, -1)
    u, tail = conv.forward(_convolution(layer, i))
    selected = F.linear(u, layer.x_weight)
    delta = F.linear(layer.select(selected)[0], layer.dt_weight)
    y, final, states = scan.forward(_scan(layer, u, delta, selected, z), keep_states)
    branch = F.linear(y, layer.out_weight)
    if not keep_inside:
        h, u, selected = (h.new_empty(0) for _ in range(3))
    return branch, stream, tail, final, states, h, u, selected


@_forward.register_fake
def _(*inputs: Any) -> tuple[Tensor, ...]:
    x, _, *fields, keep_states, keep_inside = inputs
    layer = Layer(*fields)
    channels, taps = layer.conv_weight.shape
    rows = x.shape[:2]
    u = layer.in_weight.new_empty(*rows, channels)
    _, final, states = scan.outputs(u, layer.A, keep_states)
    inside = [u.new_empty(x.shape), u, u.new_empty(*rows, layer.x_weight.shape[0])]
    if not keep_inside:
        inside = [u.new_empty(0) for _ in inside]
    return (
        u.new_empty(*rows, layer.out_weight.shape[0]), x.new_empty(x.shape, dtype=torch.float32),
        u.new_empty(x.shape[0], channels, taps - 1), final, states, *inside,
    )  # fmt: skip


def _convolution(layer: Layer, i: Tensor) -> Convolution:
    return Convolution(i, layer.conv_weight, layer.conv_bias, layer.conv_state, layer.resets, False)


def _scan(layer: Layer, u: Tensor, delta: Tensor, selected: Tensor, z: Tensor) -> Scan:
    _, B, C = layer.select(selected)
    return Scan(
        u, delta, layer.A, B, C, layer.D, z, layer.dt_bias, layer.ssm_state, layer.resets,
        delta_softplus=True, reverse=False,
    )  # fmt: skip


@torch.library.custom_op(
    "dnamamba::mamba_block_backward",
    mutates_args=(),
    schema="(Tensor? dbranch, Tensor? dstream, Tensor? dtail, Tensor? dfinal, "
    f"{arguments(Layer)}, {arguments(_Kept)}, ScalarType dtype, bool has_residual) -> Tensor[]",
)
def _backward(*inputs: Any) -> list[Tensor]:
    """The gradient of every input from x, of ``dtype``, to ssm_state; empty where absent."""
    dbranch, dstream, dtail, dfinal, layer, kept, dtype, has_residual = _parts(inputs)
    if not kept.stream.numel():
        return [x.zero_() for x in _gradients(layer, kept, dtype, has_residual)]
    # Memory is at its peak during the scan. So what only the projections want comes after it, if
    # need be once more, and gradients take the place of what they are gradients of where it can
    # be had again: a program reads a tile of both before it writes there.
    du, dselected, both, of_scan = _through_scan(layer, kept, dbranch, dfinal)
    h, of_conv = _through_convolution(layer, kept, du, dselected, both, dtail)
    del du, dselected
    din_weight, dh = _product(both, h), both @ layer.in_weight
    del both
    sums = Sums(kept.stream, h.new_empty(0), layer.norm_weight, layer.eps, dtype, has_residual)
    dx, dresidual, dnorm = norm.backward(sums, dh, dstream)
    ddt_weight, dbias, dA, dD, dout, dssm = of_scan
    dconv_weight, dconv_bias, dx_weight, dconv_state = of_conv
    return [
        dx, dresidual, dnorm, din_weight, dconv_weight, dconv_bias, dx_weight, ddt_weight, dbias,
        dA, dD, dout, dconv_state, dssm,
    ]  # fmt: skip


def _parts(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    kept = 4 + len(Layer._fields)
    return (*inputs[:4], Layer(*inputs[4:kept]), _Kept(*inputs[kept:-2]), *inputs[-2:])


def _through_scan(
    layer: Layer, kept: _Kept, dbranch: Tensor | None, dfinal: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
    """From the branch to what leaves the convolution.

    Gives the gradients of u and of ``selected``; room for those of i and z side by side, of which
    z's is filled; and those of dt_weight, dt_bias, A, D, out_weight and ssm_state.
    """
    u, selected, z = _scanned(layer, kept)
    dselected = torch.empty_like(selected)
    (s, *_), (ds, dB, dC) = layer.select(selected), layer.select(dselected)
    delta = F.linear(s, layer.dt_weight)
    ddelta, du = delta, torch.empty_like(u) if kept.u.numel() else u
    # The gradients of i and z side by side, for one product of both with h and one with in_weight.
    # Until y has served its own product it stands where that of i will.
    both = u.new_empty(*u.shape[:2], 2 * u.shape[2])
    di, dz = both.chunk(2, -1)
    y = None if dbranch is None else di
    values = _scan(layer, u, delta, selected, z)
    out = values.gradients(layer.ssm_state is not None, u=du, delta=ddelta, B=dB, C=dC, z=dz)
    dy = torch.zeros_like(u) if dbranch is None else dbranch @ layer.out_weight
    scan.run_backward(values, kept.states, dy, dfinal, out, y)
    del dy
    dout = torch.zeros_like(layer.out_weight) if y is None else _product(dbranch, y)
    torch.mm(ddelta.flatten(0, 1), layer.dt_weight, out=ds.flatten(0, 1))
    ddt_weight = _product(ddelta, s)
    du.flatten(0, 1).addmm_(dselected.flatten(0, 1), layer.x_weight)
    _, _, dA, _, _, dD, _, dbias, dssm = out
    return du, dselected, both, [ddt_weight, dbias, dA, dD, dout, dssm]


def _scanned(layer: Layer, kept: _Kept) -> tuple[Tensor, Tensor, Tensor]:
    """u, ``selected`` and z, kept or made again."""
    to_i, to_z = layer.in_weight.chunk(2)
    if kept.h.numel():
        return kept.u, kept.selected, F.linear(kept.h, to_z)
    h = _normed(layer, kept)
    u = conv.convolve(_convolution(layer, F.linear(h, to_i)))
    return u, F.linear(u, layer.x_weight), F.linear(h, to_z)


def _normed(layer: Layer, kept: _Kept) -> Tensor:
    h = layer.in_weight.new_empty(kept.stream.shape)
    norm.run_forward(Norm(kept.stream, None, layer.norm_weight, layer.eps, h.dtype), h, None)
    return h


def _through_convolution(
    layer: Layer, kept: _Kept, du: Tensor, dselected: Tensor, both: Tensor, dtail: Tensor | None
) -> tuple[Tensor, list[Tensor]]:
    """On to what enters the convolution: fills the first half of ``both``.

    Gives h, and the gradients of conv_weight, conv_bias, x_weight and conv_state.
    """
    h = kept.h if kept.h.numel() else _normed(layer, kept)
    values = _convolution(layer, F.linear(h, layer.in_weight.chunk(2)[0]))
    u = kept.u if kept.u.numel() else conv.convolve(values)
    dx_weight = _product(dselected, u)
    del u
    out = values.gradients(both.chunk(2, -1)[0])
    _, dweight, dbias, dstate = conv.run_backward(values, du, dtail, out)
    return h, [dweight, dbias, dx_weight, dstate]


def _product(dy: Tensor | None, x: Tensor) -> Tensor:
    """The gradient of the matrix that made y of x, summed over batch and positions."""
    assert dy is not None
    return dy.flatten(0, 1).t() @ x.flatten(0, 1)


@_backward.register_fake
def _(*inputs: Any) -> list[Tensor]:
    return _gradients(*_parts(inputs)[4:])


def _gradients(layer: Layer, kept: _Kept, dtype: torch.dtype, has_residual: bool) -> list[Tensor]:
    stream = kept.stream
    dx = stream.new_empty(stream.shape, dtype=dtype)
    dresidual = stream.new_empty(stream.shape if has_residual else (0,))
    others = [stream.new_empty(0) if x is None else x.new_empty(x.shape) for x in layer[:12]]
    return [dx, dresidual, *others]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, residual, *tensors, eps, _, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*output[4:])
    ctx.save_for_backward(*tensors, output[1], *output[4:])
    ctx.modes = eps, x.dtype, residual is not None


def _differentiate(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
    of_inputs: list[Tensor | None] = [None] * 14
    if any(x is not None for x in gradients[:4]):
        eps, dtype, has_residual = ctx.modes
        *tensors, stream, states, h, u, selected = ctx.saved_tensors
        layer, kept = Layer._make((*tensors, eps)), _Kept(stream, states, h, u, selected)
        exists = (True, has_residual, *(x is not None for x in layer[:12]))
        every = _backward(*gradients[:4], *layer, *kept, dtype, has_residual)
        of_inputs = present(every, exists)
    return (*of_inputs, None, None, None, None)


_forward.register_autograd(_differentiate, setup_context=_save)
