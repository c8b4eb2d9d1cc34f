"""A fused block as autograd and torch.compile see it: a pair of opaque operators for each kind."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from dnamamba_kernels.block.fused.backward import backward, gradients
from dnamamba_kernels.block.fused.ends import Whole
from dnamamba_kernels.block.fused.forward import forward, outputs
from dnamamba_kernels.block.fused.parts import Kept
from dnamamba_kernels.block.fused.widths import narrowed, widened
from dnamamba_kernels.block.layer import Layer, flat
from dnamamba_kernels.operators import (
    Operator,
    arguments,
    differentiable,
    opaque,
    operator,
    present,
)

__all__ = ["OPERATORS", "block_fused"]


def block_fused(
    x: Tensor, residual: Tensor | None, layer: Layer, recompute: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Branch, stream and both states, without a meaning where there are two directions."""
    channels, values = layer.out_weight.shape[1], (x, residual, *flat(layer))
    layer, keep = widened(layer), differentiable(*values)
    if opaque(*values):
        block = OPERATORS[len(layer.directions)]
        results = block(x, residual, *flat(layer), keep, keep and not recompute)
    else:
        results = forward(x, residual, layer, False, False)
    branch, stream, tail, final, *_ = results
    return branch, stream, narrowed(tail, channels), narrowed(final, channels)


def _register(name: str, sides: Sequence[str]) -> Operator:
    """The forward, differentiable, of a layer with a direction for each of ``sides``."""
    of_layer, of_kept = arguments(Layer, each=sides), arguments(Kept, each=sides)
    size = len(of_layer.split(", "))
    results = ", ".join(["Tensor"] * (3 + len(of_kept.split(", "))))

    @operator(
        name,
        f"(Tensor x, Tensor? residual, {of_layer}, bool keep_states, bool keep_inside) "
        f"-> ({results})",
    )
    def block(*inputs: Any) -> tuple[Tensor, ...]:
        x, residual, *layer, keep_states, keep_inside = inputs
        return forward(x, residual, Layer.of(layer), keep_states, keep_inside)

    @block.register_fake
    def _(*inputs: Any) -> tuple[Tensor, ...]:
        x, _, *layer, keep_states, keep_inside = inputs
        return outputs(x, Layer.of(layer), keep_states, keep_inside)

    @operator(
        f"{name}_backward",
        "(Tensor? dbranch, Tensor? dstream, Tensor? dtail, Tensor? dfinal, "
        f"{of_layer}, {of_kept}, ScalarType dtype, bool has_residual) -> Tensor[]",
    )
    def adjoint(*inputs: Any) -> list[Tensor]:
        dbranch, dstream, *of_states = inputs[:4]
        layer, kept, dtype, has_residual = _parts(inputs[4:], size)
        ends = Whole(layer, *of_states)
        return backward(dbranch, dstream, ends, kept, dtype, has_residual)

    @adjoint.register_fake
    def _(*inputs: Any) -> list[Tensor]:
        return gradients(*_parts(inputs[4:], size))

    def differentiate(ctx: Any, *incoming: Tensor | None) -> tuple[Tensor | None, ...]:
        return _differentiate(adjoint, ctx, *incoming)

    block.register_autograd(differentiate, setup_context=_save)
    adjoint.refuse_autograd()
    return block


def _parts(inputs: Sequence[Any], size: int) -> tuple[Layer, Kept, torch.dtype, bool]:
    """What the backward takes beside the gradients that come in; ``size`` of it are the layer."""
    *values, dtype, has_residual = inputs
    return Layer.of(values[:size]), Kept.of(values[size:]), dtype, has_residual


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, residual, *values, eps, _, _ = inputs
    one = len(Layer.of([*values, eps]).directions) == 1
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*output[4 if one else 2 :])
    ctx.save_for_backward(*values, output[1], *output[4:])
    ctx.modes = len(values), eps, x.dtype, residual is not None


def _differentiate(
    adjoint: Callable[..., list[Tensor]], ctx: Any, *incoming: Tensor | None
) -> tuple[Tensor | None, ...]:
    count, eps, dtype, has_residual = ctx.modes
    of_inputs: list[Tensor | None] = [None] * count  # x and residual, but not resets and lengths
    if any(x is not None for x in incoming[:4]):
        layer, kept = (*ctx.saved_tensors[:count], eps), ctx.saved_tensors[count:]
        every = adjoint(*incoming[:4], *layer, *kept, dtype, has_residual)
        exists = (True, has_residual, *(x is not None for x in layer[: count - 2]))
        of_inputs = present(every, exists)
    return (*of_inputs, None, None, None, None, None)


OPERATORS = {
    1: _register("mamba_block", [""]),
    2: _register("bidirectional_block", ["forward_", "reverse_"]),
}
"""By how many directions a layer has."""
