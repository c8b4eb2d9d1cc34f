"""The compiled scan, forward and backward, block by block on the CPU's threads.

Kept for the backward are the inputs and the states that enter each chunk.
"""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dnamamba_kernels import parallel
from dnamamba_kernels.compiled.rows import cuts, rows
from dnamamba_kernels.parallel import Block
from dnamamba_kernels.selective_scan.chunked.panel import Gradients
from dnamamba_kernels.selective_scan.compiled.backward import Written, differentiate_rows
from dnamamba_kernels.selective_scan.compiled.kernel import CHUNK, scan_rows
from dnamamba_kernels.selective_scan.compiled.operands import Inputs, Sums
from dnamamba_kernels.selective_scan.scan import Scan

__all__ = ["backward", "forward", "outputs"]


def outputs(u: Tensor, A: Tensor, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Room for y, the final state and, if kept, the states that enter each chunk.

    The latter lie as (chunks, B, N, D).
    """
    (batch, length, channels), states = u.shape, A.shape[1]
    exact = partial(u.new_empty, dtype=torch.float32)
    return (
        torch.empty_like(u, memory_format=torch.contiguous_format),
        exact(batch, channels, states),
        exact(-(-length // CHUNK) if keep else 0, batch, states, channels),
    )


def forward(scan: Scan, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    """``outputs``, filled."""
    _, _, kept = outputs(scan.u, scan.A, keep)
    y = kept.new_empty(scan.u.shape)
    states = kept.new_zeros(kept.shape[1:])
    if scan.initial_state is not None:
        states.copy_(scan.initial_state.mT)
    marks = cuts(scan.resets, len(y), scan.reverse)
    tasks = [
        partial(_fill, scan, block, marks, y, states, kept)
        for block in parallel.blocks(scan.u, scan.A.shape[1])
    ]
    parallel.run(tasks)
    return y.to(scan.u.dtype), scan.leave(states).mT.contiguous(), kept


def backward(
    scan: Scan, kept: Tensor, dy: Tensor | None, dfinal: Tensor | None, initial: bool
) -> list[Tensor]:
    """The gradients of u to delta_bias and, if ``initial``, of the state at the start.

    Each dense, in its argument's dtype; empty for one left out.
    """
    dy = torch.zeros_like(scan.u) if dy is None else dy
    grads = Gradients.empty(_exact(scan))
    grad_states = kept.new_zeros(kept.shape[1:])
    if dfinal is not None:
        grad_states.copy_(scan.leave(dfinal.mT))
    marks = cuts(scan.resets, len(dy), scan.reverse)
    blocks = parallel.blocks(scan.u, scan.A.shape[1])
    shares = [grads.share(block) for block in blocks]
    tasks = [
        partial(_differentiate, scan, block, marks, kept, dy, grad_states, share)
        for block, share in zip(blocks, shares, strict=True)
    ]
    parallel.run(tasks)
    for block, share in zip(blocks, shares, strict=True):
        grads.add(block, share)
    state = grad_states.mT.contiguous() if initial else grad_states.new_empty(0)
    return [*grads.like(scan), state]


def _exact(scan: Scan) -> Scan:
    """The same in fp32, in which kernels write."""
    return scan._replace(
        u=scan.u.float(),
        delta=scan.delta.float(),
        z=None if scan.z is None else scan.z.float(),
    )


def _fill(
    scan: Scan, block: Block, marks: NDArray[np.bool_], y: Tensor, states: Tensor, kept: Tensor
) -> None:
    across, channels = block
    part = scan.rows(across).channels(channels)
    own, own_kept = (t[..., channels].contiguous() for t in (states[across], kept[:, across]))
    inputs = Inputs.of(part, marks[across])
    scan_rows(inputs, rows(block.cut(y)), own.numpy(), own_kept.numpy())
    states[across, :, channels] = own
    kept[:, across, :, channels] = own_kept


def _differentiate(
    scan: Scan,
    block: Block,
    marks: NDArray[np.bool_],
    kept: Tensor,
    dy: Tensor,
    grad_states: Tensor,
    share: Gradients,
) -> None:
    across, channels = block
    part = scan.rows(across).channels(channels)
    own, own_kept = (t[..., channels].contiguous() for t in (grad_states[across], kept[:, across]))
    written = Written(rows(share.u), rows(share.delta), rows(share.z))
    inputs, dy_rows = Inputs.of(part, marks[across]), rows(block.cut(dy))
    differentiate_rows(inputs, own_kept.numpy(), dy_rows, own.numpy(), written, Sums.of(share))
    grad_states[across, :, channels] = own
