"""A block of the scan on one thread: panel after panel, slab after slab; forward and back."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from dnamamba_kernels.parallel import slices
from dnamamba_kernels.selective_scan.chunked.panel import Gradients, Panel
from dnamamba_kernels.selective_scan.chunked.slab import Slab
from dnamamba_kernels.selective_scan.scan import Scan

__all__ = ["Plan", "sweep", "sweep_back"]

# Elements of a slab's array (positions, rows, N, channels): 512 KB in fp32, so that the three
# arrays of the backward stay in a core's second-level cache.
SLAB_ELEMENTS = 1 << 17
# The fewest positions of a slab: of each slab one state is kept for the backward.
SLAB_POSITIONS = 16
# Where none is kept: there are two arrays, not three, and more rows side by side take fewer calls.
SLAB_ELEMENTS_UNKEPT, SLAB_POSITIONS_UNKEPT = 1 << 18, 4
# Slabs whose inputs are loaded together.
PANEL_SLABS = 8
# An accelerator without Triton runs the same loops; it wants few and large calls.
ACCELERATOR_SLABS = 256
_LOG2_E = math.log2(math.e)


class Plan(NamedTuple):
    """The rows, channels and positions of a slab: channels whole where they fit, then rows."""

    rows: int
    channels: int
    positions: int

    @classmethod
    def of(cls, u: Tensor, states: int, keep: bool = True) -> "Plan":
        """From the sizes alone, so that the backward finds the plan of a forward that keeps."""
        batch, length, channels = u.shape
        elements = SLAB_ELEMENTS if keep else SLAB_ELEMENTS_UNKEPT
        elements *= 1 if u.device.type == "cpu" else ACCELERATOR_SLABS
        per_position = elements // (SLAB_POSITIONS if keep else SLAB_POSITIONS_UNKEPT)
        wide = min(channels, max(1, per_position // states))
        tall = max(1, min(batch, per_position // (states * wide)))
        return cls(tall, wide, max(1, min(length, elements // (states * wide * tall))))

    def slab_count(self, length: int) -> int:
        return -(-length // self.positions)

    def panels(self, scan: Scan, leftwards: bool) -> Iterator[Panel]:
        """Per block of rows and channels, its panels along the sequence."""
        batch, length, channels = scan.u.shape
        for rows in slices(batch, self.rows):
            for across in slices(channels, self.channels):
                for positions in slices(length, self.positions * PANEL_SLABS, leftwards):
                    yield Panel(scan, rows, positions, across)

    def slabs(self, panel: Panel, leftwards: bool) -> Iterator[tuple[int, slice]]:
        """The panel's slabs: each one's number from the left of the scan, and its positions."""
        first = panel.at[1].start // self.positions
        for part in slices(len(panel.x), self.positions, leftwards):
            yield first + part.start // self.positions, part


def sweep(scan: Scan, plan: Plan, y: Tensor, states: Tensor, starts: Tensor | None) -> None:
    """Fill ``y`` and take ``states`` (B, N, D) from the start to the end, by way of ``starts``.

    ``starts`` (slabs, B, N, D), unless None, takes the state that enters each slab.
    """
    slab: Slab | None = None
    # exp2 takes a third of exp's time. Where there is a backward it computes the same decays again.
    decay = torch.exp_ if starts is not None else torch.exp2_
    with torch.autocast(y.device.type, enabled=False):
        for panel in plan.panels(scan, scan.reverse):
            rows, _, channels = panel.at
            state, out = states[rows, :, channels], torch.empty_like(panel.x)
            A = panel.A if starts is not None else panel.A * _LOG2_E
            for number, part in plan.slabs(panel, scan.reverse):
                if starts is not None:
                    starts[number, rows, :, channels] = state
                slab = _refit(slab, part, state, scan.reverse)
                signals = panel.signals.part(part)
                state.copy_(slab.scan(signals, A, panel.cuts_at(part), state, decay))
                slab.read(signals, out[part])
            y[panel.at] = panel.finish(out).transpose(0, 1)


def sweep_back(
    scan: Scan,
    plan: Plan,
    starts: Tensor,
    grad_y: Tensor,
    grad_states: Tensor,
    grads: Gradients,
) -> None:
    """Fill ``grads`` and take ``grad_states`` (B, N, D) from the end to the start."""
    slab: Slab | None = None
    with torch.autocast(grad_y.device.type, enabled=False):
        for panel in plan.panels(scan, not scan.reverse):
            rows, _, channels = panel.at
            grad_state, grad_A = grad_states[rows, :, channels], grads.A[:, channels]
            grad_gated = panel.load(grad_y)
            grad_out = panel.ungate(grad_gated)
            out, grad_signals = torch.empty_like(panel.x), panel.signals.empty_like()
            for number, part in plan.slabs(panel, not scan.reverse):
                slab = _refit(slab, part, grad_state, scan.reverse)
                signals, start = panel.signals.part(part), starts[number, rows, :, channels]
                slab.scan(signals, panel.A, panel.cuts_at(part), start)
                if grads.z is not None:
                    slab.read(signals, out[part])
                outer = grad_out[part], grad_state, grad_signals.part(part), grad_A
                grad_state.copy_(slab.backward(signals, panel.A, *outer))
            if grads.z is not None:
                grads.z[panel.at] = panel.gate_gradient(grad_gated, out).transpose(0, 1)
            panel.scatter(grad_signals, grad_out, grads)


def _refit(slab: Slab | None, part: slice, state: Tensor, reverse: bool) -> Slab:
    """The slab at hand if its size is right: the last of a row or a block is smaller."""
    size = (part.stop - part.start, *state.shape)
    return slab if slab is not None and slab.size == size else Slab(state, size, reverse)
