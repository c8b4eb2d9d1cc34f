"""The scan in PyTorch, with a backward of its own and no tensor of size (B, L, D, N).

Slabs of the sequence (``slab``) are worked on one after the other (``sweep``), rows or channels
side by side on the CPU's threads. For the backward stay the inputs and the state at each slab's
start. ``kernels/README.md``, "On the CPU", counts bytes and operations.
"""

from functools import partial
from math import gcd
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dnamamba_kernels import parallel
from dnamamba_kernels.checks import compute_dtype
from dnamamba_kernels.selective_scan.panel import Block, Gradients, Scan
from dnamamba_kernels.selective_scan.sweep import sweep, sweep_back

__all__ = ["selective_scan_chunked"]

# Elements B x L x D x N below which a thread is not worth waking.
THREAD_ELEMENTS = 1 << 18


# Loops over positions: a compiled model calls them rather than unrolling them.
@torch.compiler.disable
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
    tensors = (u, delta, A, B, C, D, z, delta_bias)
    differentiable = any(t is not None and t.requires_grad for t in (*tensors, initial_state))
    if torch.is_grad_enabled() and differentiable:
        return _ChunkedScan.apply(*tensors, delta_softplus, initial_state, resets, reverse)
    scan = Scan(*tensors, delta_softplus, _cuts(resets, reverse), reverse)
    y, final_state, _ = _forward(scan, initial_state, _blocks(scan), keep_starts=False)
    return y, _leave(final_state, resets, reverse)


class _ChunkedScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor]:
        *tensors, delta_softplus, initial_state, resets, reverse = arguments
        scan = Scan._make((*tensors, delta_softplus, _cuts(resets, reverse), reverse))
        ctx.delta_softplus, ctx.reverse, ctx.blocks = delta_softplus, reverse, _blocks(scan)
        y, final_state, starts = _forward(scan, initial_state, ctx.blocks, keep_starts=True)
        ctx.save_for_backward(*tensors, resets, *starts)
        return y, _leave(final_state, resets, reverse)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_final: Tensor) -> tuple[Tensor | None, ...]:
        tensors, resets, starts = ctx.saved_tensors[:8], ctx.saved_tensors[8], ctx.saved_tensors[9:]
        cuts = _cuts(resets, ctx.reverse)
        scan = Scan._make((*tensors, ctx.delta_softplus, cuts, ctx.reverse))
        grad_final = _leave(grad_final, resets, ctx.reverse)
        grads, grad_initial = _backward(scan, starts, ctx.blocks, grad_y, grad_final)
        return (
            *grads.like(scan),
            None,
            grad_initial if ctx.needs_input_grad[9] else None,
            None,
            None,
        )


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


def _blocks(scan: Scan) -> list[Block]:
    """One block of rows and channels for each thread that has enough to do."""
    batch, length, channels = scan.u.shape
    threads = torch.get_num_threads() if scan.u.device.type == "cpu" else 1
    work = batch * length * channels * scan.A.shape[1]
    threads = max(1, min(threads, work // THREAD_ELEMENTS))
    tall = batch // gcd(batch, threads)
    wide = -(-channels // (threads // gcd(batch, threads)))
    return [
        Block(slice(row, row + tall), slice(channel, channel + wide))
        for row in range(0, batch, tall)
        for channel in range(0, channels, wide)
    ]


def _forward(
    scan: Scan, initial_state: Tensor | None, blocks: list[Block], keep_starts: bool
) -> tuple[Tensor, Tensor, list[Tensor | None]]:
    """y, the state at the end (B, D, N) and, per block, those at the slabs' starts."""
    y = torch.empty_like(scan.u, memory_format=torch.contiguous_format)
    states = y.new_zeros(len(y), *scan.A.t().shape, dtype=compute_dtype(y.dtype))
    if initial_state is not None:
        states.copy_(initial_state.transpose(1, 2))
    starts = parallel.run(
        [
            partial(sweep, block.scan(scan), block.cut(y), block.cut(states), keep_starts)
            for block in blocks
        ]
    )
    return y, states.transpose(1, 2), starts


def _backward(
    scan: Scan,
    starts: tuple[Tensor, ...],
    blocks: list[Block],
    grad_y: Tensor,
    grad_final: Tensor,
) -> tuple[Gradients, Tensor]:
    """The gradients of the scan's tensors, and that of the initial state (B, D, N)."""
    grads = Gradients.empty(scan)
    grad_states = grad_final.transpose(1, 2).clone(memory_format=torch.contiguous_format)
    shares = [grads.share(block) for block in blocks]
    parallel.run(
        [
            partial(
                sweep_back,
                block.scan(scan),
                start,
                block.cut(grad_y),
                block.cut(grad_states),
                share,
            )
            for block, start, share in zip(blocks, starts, shares, strict=True)
        ]
    )
    for block, share in zip(blocks, shares, strict=True):
        grads.add(block, share)
    return grads, grad_states.transpose(1, 2)
