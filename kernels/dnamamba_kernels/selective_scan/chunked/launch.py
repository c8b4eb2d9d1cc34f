"""The scan in PyTorch, with a backward of its own and no tensor of size (B, L, D, N).

Slabs of the sequence (``slab``) are worked on one after the other (``sweep``), rows or channels
side by side on the CPU's threads. For the backward stay the inputs and the state at each slab's
start. ``kernels/README.md``, "On the CPU", counts bytes and operations.

Forward and backward are operators of PyTorch's, so that a compiled model calls them as they are.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from dnamamba_kernels import parallel
from dnamamba_kernels.checks import compute_dtype
from dnamamba_kernels.selective_scan.chunked.panel import Gradients, Scan
from dnamamba_kernels.selective_scan.chunked.sweep import Plan, sweep, sweep_back

__all__ = ["selective_scan_chunked"]


def selective_scan_chunked(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
    initial_state: Tensor | None,
    resets: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    tensors = (u, delta, A, B, C, D, z, delta_bias, initial_state)
    differentiable = any(tensor is not None and tensor.requires_grad for tensor in tensors)
    keep = torch.is_grad_enabled() and differentiable
    y, final_state, _ = _forward(*tensors, resets, delta_softplus, reverse, keep)
    return y, final_state


@torch.library.custom_op("dnamamba::chunked_scan", mutates_args=())
def _forward(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    initial_state: Tensor | None,
    resets: Tensor | None,
    delta_softplus: bool,
    reverse: bool,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """y, the final state and, if kept, the states that enter each slab (slabs, B, N, D)."""
    scan = Scan(
        u, delta, A, B, C, D, z, delta_bias, delta_softplus, _cuts(resets, reverse), reverse
    )
    y, state, starts = _outputs(u, A, keep)
    if initial_state is None:
        state = torch.zeros_like(state.mT, memory_format=torch.contiguous_format)
    else:
        state = initial_state.mT.clone(memory_format=torch.contiguous_format)
    plan = Plan.of(u, A.shape[1])
    tasks = [
        partial(
            sweep,
            scan.part(block),
            plan,
            block.cut(y),
            block.cut(state),
            starts[:, block.rows, :, block.channels] if keep else None,
        )
        for block in parallel.blocks(u, A.shape[1])
    ]
    parallel.run(tasks)
    return y, _leave(state, resets, reverse).mT.contiguous(), starts


@_forward.register_fake
def _(
    u: Tensor, delta: Tensor, A: Tensor, *others: Tensor | bool | None
) -> tuple[Tensor, Tensor, Tensor]:
    return _outputs(u, A, bool(others[-1]))


def _outputs(u: Tensor, A: Tensor, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    batch, length, channels = u.shape
    dtype, states = compute_dtype(u.dtype), A.shape[1]
    slabs = Plan.of(u, states).slab_count(length) if keep else 0
    return (
        torch.empty_like(u, memory_format=torch.contiguous_format),
        u.new_empty(batch, channels, states, dtype=dtype),
        u.new_empty(slabs, batch, states, channels, dtype=dtype),
    )


@torch.library.custom_op("dnamamba::chunked_scan_backward", mutates_args=())
def _backward(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    resets: Tensor | None,
    delta_softplus: bool,
    reverse: bool,
    starts: Tensor,
    grad_y: Tensor,
    grad_final: Tensor | None,
) -> list[Tensor]:
    """The gradients of the tensors, in their order but for those left out, and the state's."""
    scan = Scan(
        u, delta, A, B, C, D, z, delta_bias, delta_softplus, _cuts(resets, reverse), reverse
    )
    grads = Gradients.empty(scan)
    grad_state = torch.zeros_like(starts[0])
    if grad_final is not None:
        grad_state.copy_(_leave(grad_final.mT, resets, reverse))
    blocks = parallel.blocks(u, A.shape[1])
    plan = Plan.of(u, A.shape[1])
    shares = [grads.share(block) for block in blocks]
    tasks = [
        partial(
            sweep_back,
            scan.part(block),
            plan,
            starts[:, block.rows, :, block.channels],
            block.cut(grad_y),
            block.cut(grad_state),
            share,
        )
        for block, share in zip(blocks, shares, strict=True)
    ]
    parallel.run(tasks)
    for block, share in zip(blocks, shares, strict=True):
        grads.add(block, share)
    return [*grads.like(scan), grad_state.mT.contiguous()]


@_backward.register_fake
def _(*arguments: Any) -> list[Tensor]:
    *tensors, _, _, _, starts, _, _ = arguments
    grads = [
        torch.empty_like(tensor, memory_format=torch.contiguous_format)
        for tensor in tensors
        if tensor is not None
    ]
    return [*grads, torch.empty_like(starts[0].mT, memory_format=torch.contiguous_format)]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, initial_state, resets, delta_softplus, reverse, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors, resets, output[2])
    ctx.delta_softplus, ctx.reverse = delta_softplus, reverse
    ctx.has_initial_state = initial_state is not None


def _differentiate(
    ctx: Any, grad_y: Tensor | None, grad_final: Tensor | None, _: Tensor | None
) -> tuple[Tensor | None, ...]:
    *tensors, resets, starts = ctx.saved_tensors
    if grad_y is None:
        grad_y = torch.zeros_like(tensors[0])
    given = (*tensors, resets, ctx.delta_softplus, ctx.reverse, starts, grad_y, grad_final)
    grads = iter(_backward(*given))
    inputs = [None if tensor is None else next(grads) for tensor in tensors]
    initial = next(grads) if ctx.has_initial_state else None
    return (*inputs, initial, None, None, None, None)


_forward.register_autograd(_differentiate, setup_context=_save)


def _cuts(resets: Tensor | None, reverse: bool) -> Tensor | None:
    """(B, L): no state enters these positions. In reverse a mark cuts the position before it."""
    if resets is None or not reverse:
        return resets
    return torch.cat([resets[:, 1:], torch.zeros_like(resets[:, :1])], 1)


def _leave(state: Tensor, resets: Tensor | None, reverse: bool) -> Tensor:
    """The final state, or its gradient: in reverse, none crosses a mark at position 0."""
    if resets is None or not reverse:
        return state
    return state.masked_fill(resets[:, 0, None, None], 0.0)
