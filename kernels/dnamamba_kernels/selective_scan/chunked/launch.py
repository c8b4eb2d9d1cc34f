"""The chunked scan, forward and backward: block > panel > slab > position.

The outermost loop: blocks of rows and channels run side by side, and what they share out is put
together again. For the backward stay the inputs and the state at each slab's start.
``kernels/README.md``, "On the CPU", counts bytes and operations.
"""

from functools import partial

import torch
from torch import Tensor

from dnamamba_kernels import parallel
from dnamamba_kernels.checks import compute_dtype
from dnamamba_kernels.selective_scan.chunked.panel import Gradients
from dnamamba_kernels.selective_scan.chunked.sweep import Plan, sweep, sweep_back
from dnamamba_kernels.selective_scan.scan import Scan

__all__ = ["backward", "forward", "outputs"]


def outputs(u: Tensor, A: Tensor, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Room for y, the final state and, if kept, the states that enter each slab.

    The latter lie as (slabs, B, N, D).
    """
    (batch, length, channels), states = u.shape, A.shape[1]
    dtype = compute_dtype(u.dtype)
    slabs = Plan.of(u, states).slab_count(length) if keep else 0
    return (
        torch.empty_like(u, memory_format=torch.contiguous_format),
        u.new_empty(batch, channels, states, dtype=dtype),
        u.new_empty(slabs, batch, states, channels, dtype=dtype),
    )


def forward(scan: Scan, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    """``outputs``, filled."""
    y, state, starts = outputs(scan.u, scan.A, keep)
    if scan.initial_state is None:
        state = torch.zeros_like(state.mT, memory_format=torch.contiguous_format)
    else:
        state = scan.initial_state.mT.clone(memory_format=torch.contiguous_format)
    states = scan.A.shape[1]
    plan, blocks = Plan.of(scan.u, states, keep), parallel.blocks(scan.u, states)
    tasks = [
        partial(
            sweep,
            scan.rows(block.rows).channels(block.channels),
            plan,
            block.cut(y),
            block.cut(state),
            starts[:, block.rows, :, block.channels] if keep else None,
        )
        for block in blocks
    ]
    parallel.run(tasks)
    return y, scan.leave(state).mT.contiguous(), starts


def backward(
    scan: Scan, starts: Tensor, dy: Tensor | None, dfinal: Tensor | None, initial: bool
) -> list[Tensor]:
    """The gradients of u to delta_bias and, if ``initial``, of the state at the start.

    Each dense, in its argument's dtype; empty for one left out.
    """
    dy = torch.zeros_like(scan.u) if dy is None else dy
    grads = Gradients.empty(scan)
    grad_state = torch.zeros_like(starts[0])
    if dfinal is not None:
        grad_state.copy_(scan.leave(dfinal.mT))
    plan, blocks = Plan.of(scan.u, scan.A.shape[1]), parallel.blocks(scan.u, scan.A.shape[1])
    shares = [grads.share(block) for block in blocks]
    tasks = [
        partial(
            sweep_back,
            scan.rows(block.rows).channels(block.channels),
            plan,
            starts[:, block.rows, :, block.channels],
            block.cut(dy),
            block.cut(grad_state),
            share,
        )
        for block, share in zip(blocks, shares, strict=True)
    ]
    parallel.run(tasks)
    for block, share in zip(blocks, shares, strict=True):
        grads.add(block, share)
    state = grad_state.mT.contiguous() if initial else grad_state.new_empty(0)
    return [*grads.like(scan), state]
