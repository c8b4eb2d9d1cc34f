"""The scan in PyTorch: slabs of positions that fit the cache, with a backward of its own.

A slab's decays and states exist only while it is worked on. For the backward stay the inputs and
the state at each slab's start; ``kernels/README.md``, "On the CPU", counts both.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dnamamba_kernels.checks import compute_dtype
from dnamamba_kernels.selective_scan.slab import Gradients, Scan, Slab, Work

__all__ = ["selective_scan_chunked"]

# Elements of a slab's array (positions, rows, N, channels) for each CPU thread: 512 KB in fp32,
# so that the three arrays of the backward stay in a core's second-level cache.
SLAB_ELEMENTS = 1 << 17
# The fewest positions of a slab: of each slab one state is kept for the backward.
SLAB_POSITIONS = 16
# An accelerator without Triton runs the same loop; what it wants is few and large calls.
ACCELERATOR_THREADS = 256


class SlabSize(NamedTuple):
    rows: int
    positions: int
    channels: int


# A loop over positions: a compiled model calls it rather than unrolling it.
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
    y, final_state, _ = _forward(scan, initial_state, _slab_size(scan), keep_starts=False)
    return y, _leave(final_state, resets, reverse)


class _ChunkedScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor]:
        *tensors, delta_softplus, initial_state, resets, reverse = arguments
        scan = Scan(*tensors, delta_softplus, _cuts(resets, reverse), reverse)
        ctx.delta_softplus, ctx.reverse, ctx.slab_size = delta_softplus, reverse, _slab_size(scan)
        y, final_state, starts = _forward(scan, initial_state, ctx.slab_size, keep_starts=True)
        ctx.save_for_backward(*tensors, resets, starts)
        return y, _leave(final_state, resets, reverse)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_final: Tensor) -> tuple[Tensor | None, ...]:
        *tensors, resets, starts = ctx.saved_tensors
        scan = Scan(*tensors, ctx.delta_softplus, _cuts(resets, ctx.reverse), ctx.reverse)
        grad_final = _leave(grad_final, resets, ctx.reverse)
        grads, grad_initial = _backward(scan, starts, ctx.slab_size, grad_y, grad_final)
        return (
            *grads.of(scan),
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


def _forward(
    scan: Scan, initial_state: Tensor | None, size: SlabSize, keep_starts: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """y, the state at the end (B, D, N) and, if kept, those at slab starts (slabs, B, N, D)."""
    batch, length, channels = scan.u.shape
    y = torch.empty_like(scan.u, memory_format=torch.contiguous_format)
    state = y.new_zeros(batch, scan.A.shape[1], channels, dtype=compute_dtype(y.dtype))
    if initial_state is not None:
        state.copy_(initial_state.transpose(1, 2))
    starts = state.new_empty(-(-length // size.positions), *state.shape) if keep_starts else None
    work: Work | None = None
    with torch.autocast(y.device.type, enabled=False):
        for number, slab in _slabs(scan, size, backwards=False):
            if work is None or work.size != slab.size:
                work = Work(state, slab.size, scan.reverse)
            here = state[slab.rows, :, slab.channels]
            if starts is not None:
                starts[number, slab.rows, :, slab.channels] = here
            here.copy_(slab.states(here, work))
            y[slab.at] = slab.gated_output(work).transpose(0, 1)
    return y, state.transpose(1, 2), starts


def _backward(
    scan: Scan, starts: Tensor, size: SlabSize, grad_y: Tensor, grad_final: Tensor
) -> tuple[Gradients, Tensor]:
    """The gradients of the scan's tensors, and that of the initial state (B, D, N)."""
    grads = Gradients(scan)
    grad_state = grad_final.transpose(1, 2).clone(memory_format=torch.contiguous_format)
    work: Work | None = None
    with torch.autocast(grad_y.device.type, enabled=False):
        for number, slab in _slabs(scan, size, backwards=True):
            if work is None or work.size != slab.size:
                work = Work(grad_state, slab.size, scan.reverse)
            here = grad_state[slab.rows, :, slab.channels]
            slab.states(starts[number, slab.rows, :, slab.channels], work)
            here.copy_(slab.backward(grad_y, here, work, grads))
    return grads, grad_state.transpose(1, 2)


def _slab_size(scan: Scan) -> SlabSize:
    """Channels whole where they fit, then rows, then positions."""
    batch, length, channels = scan.u.shape
    states = scan.A.shape[1]
    threads = torch.get_num_threads() if scan.u.device.type == "cpu" else ACCELERATOR_THREADS
    elements = SLAB_ELEMENTS * threads
    tile = elements // SLAB_POSITIONS
    wide = min(channels, max(1, tile // states))
    tall = min(batch, max(1, tile // (states * wide)))
    return SlabSize(tall, min(length, elements // (states * wide * tall)), wide)


def _slabs(scan: Scan, size: SlabSize, backwards: bool) -> Iterator[tuple[int, Slab]]:
    """Numbered slabs; those of the same rows and channels in the scan's order or against it."""
    batch, length, channels = scan.u.shape
    numbered = list(enumerate(_slices(length, size.positions)))
    if scan.reverse != backwards:
        numbered.reverse()
    for rows in _slices(batch, size.rows):
        for across in _slices(channels, size.channels):
            for number, positions in numbered:
                yield number, Slab(scan, rows, positions, across)


def _slices(length: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]
