"""A fused block over a piece of a sequence as autograd sees it: a Function, for it calls others."""

from typing import Any

import torch
from torch import Tensor

from dnamamba_kernels.block.fused.backward import backward
from dnamamba_kernels.block.fused.forward import branch_of, entrance, forward
from dnamamba_kernels.block.fused.parts import Inside, Kept
from dnamamba_kernels.block.fused.piece import Piece, Shared, halos_before, states_of
from dnamamba_kernels.block.fused.widths import widened
from dnamamba_kernels.block.layer import Layer, flat
from dnamamba_kernels.causal_conv1d.fused import launch as conv
from dnamamba_kernels.operators import differentiable, present
from dnamamba_kernels.pieces import Pieces
from dnamamba_kernels.selective_scan.fused import ahead

__all__ = ["block_in_pieces"]


def block_in_pieces(
    pieces: Pieces, x: Tensor, residual: Tensor | None, layer: Layer, recompute: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Branch, stream and both states, without a meaning where there are two directions.

    x, ``residual``, ``resets``, ``lengths``, branch and stream are of this process's piece; states
    go in and out as those of ``pieces.causal_conv1d`` and ``pieces.selective_scan``.

    Raises:
        ValueError: the pieces agreed on other sizes, or one is shorter than W - 1.
    """
    op = "mamba_block" if len(layer.directions) == 1 else "bidirectional_block"
    pieces.check(op, x)
    pieces.check_taps(op, layer.directions[0].conv_weight.shape[1] - 1)
    channels, keep = layer.out_weight.shape[1], differentiable(x, residual, *flat(layer))
    inputs = (x, residual, *flat(widened(layer)))
    branch, stream, tail, final = _Block.apply(pieces, channels, keep, not recompute, *inputs)
    return branch, stream, tail, final


class _Block(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, pieces: Pieces, channels: int, keep: bool, keep_inside: bool, *inputs: Any
    ) -> tuple[Tensor, ...]:
        x, residual, *values = inputs
        shared = Shared(pieces, Layer.of(values), channels)
        outputs, kept, of_sides = _forward(shared, x, residual, keep, keep and keep_inside)
        if keep:
            *tensors, eps = values
            ctx.set_materialize_grads(False)
            if len(shared.layer.directions) > 1:
                ctx.mark_non_differentiable(*outputs[2:])
            ctx.save_for_backward(*tensors, *of_sides, *flat(kept))
            ctx.modes = pieces, channels, eps, x.dtype, residual is not None
            ctx.counts = len(tensors), len(of_sides)
        return outputs

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *incoming: Tensor | None) -> tuple[Tensor | None, ...]:
        pieces, channels, eps, dtype, has_residual = ctx.modes
        (size, more), saved = ctx.counts, ctx.saved_tensors
        tensors, of_sides, kept = saved[:size], saved[size : size + more], saved[size + more :]
        shared = Shared(pieces, Layer.of([*tensors, eps]), channels)
        dbranch, dstream, *of_states = incoming
        ends = Piece(shared, of_sides[::3], of_sides[1::3], of_sides[2::3], *of_states)
        every = backward(dbranch, dstream, ends, Kept.of(kept), dtype, has_residual)
        exists = [x is not None for x in tensors[:-2]]
        if not shared.first(ends.sides[0]):
            exists[-2:] = False, False  # the sequence's states enter the first piece
        of_inputs = present(every, (True, has_residual, *exists))
        return (None, None, None, None, *of_inputs, None, None, None)


def _forward(
    shared: Shared, x: Tensor, residual: Tensor | None, keep_states: bool, keep_inside: bool
) -> tuple[tuple[Tensor, ...], Kept, list[Tensor | None]]:
    """The outputs, what is kept, and of each side its halo, every piece's product, its reach."""
    layer = shared.layer
    if not x.numel():  # nobody has a row
        branch, stream, tail, final, *others = forward(x, residual, layer, keep_states, keep_inside)
        outputs = branch, stream, shared.narrowed(tail), shared.narrowed(final)
        return outputs, Kept.of([stream, *others]), [None] * (3 * len(layer.directions))
    stream, h, i, z = entrance(x, residual, layer)
    halos = halos_before(shared, i)
    sides, read, begun = shared.sides(halos), list[tuple[Tensor, Tensor]](), list[ahead.Begun]()
    for side in sides:
        u = conv.convolve(side.convolution(i))
        selected = side.select(u)
        gate = z if side is sides[-1] else None  # the last gates the sum
        begun.append(ahead.begin(side.scan(u, side.delta(selected), selected, gate)))
        read.append((u, selected))
    total, inside, of_sides = None, list[Inside](), list[Tensor | None]()
    entered = states_of(shared, sides, begun)
    for side, halo, (entering, around) in zip(sides, halos, entered, strict=True):
        reach = begun[0].reach() if keep_states and not shared.first(side) else None
        total, _, states = ahead.finish(begun.pop(0), entering, keep_states, total)
        inside.append(Inside(states, *read.pop(0)))
        of_sides += [halo, around.products, reach]
    assert total is not None
    branch, kept = branch_of(total, layer, x.shape[2]), Kept(stream, h, tuple(inside))
    # Behind the sequence; of two directions it means nothing.
    tail, final = shared.narrowed(halos[-1]).clone(), around.behind
    return (branch, stream, tail, final), kept if keep_inside else kept.without_inside(), of_sides
