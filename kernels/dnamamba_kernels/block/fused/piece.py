"""A fused block over a piece of a sequence: what its sides and their neighbours tell each other.

Of both directions together, in two messages a pass. Forward, each convolution begins with the last
inputs of the piece before; the scans are summed up over their spans, as they are anyway, and begin
once every piece's sums are known. Backward, each scan's adjoint is summed up over those spans that
a state from before reaches; of the first piece in a scan's order nobody asks it. What the others
say is waited for behind the first sweep that can do without. What the convolutions' gradients leave
before the piece goes back at last.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from dnamamba_kernels.block.fused.ends import Behind
from dnamamba_kernels.block.fused.parts import Inside, Side, sides_of
from dnamamba_kernels.block.fused.widths import narrowed, widened_state
from dnamamba_kernels.block.layer import Layer
from dnamamba_kernels.causal_conv1d.convolution import Convolution
from dnamamba_kernels.causal_conv1d.state import add_through_final_state, final_state
from dnamamba_kernels.pieces import Pieces
from dnamamba_kernels.pieces.states import Around, adjoints_behind, states_around
from dnamamba_kernels.selective_scan.fused import ahead

__all__ = ["Piece", "Shared", "halos_before", "states_of"]


class Shared(NamedTuple):
    """A layer that this process and others read.

    ``channels`` are those that are sent; the layer may have more, which are zeros.
    """

    pieces: Pieces
    layer: Layer
    channels: int

    def first(self, side: Side) -> bool:
        """Whether this piece begins the scan of that side."""
        return self.pieces.place(side.reverse) == 0

    def sides(self, halos: Sequence[Tensor | None]) -> list[Side]:
        """The layer's, with what enters each: the layer's own states where the sequence begins."""
        return [
            side if self.first(side) else side._replace(conv_state=halo, ssm_state=None)
            for side, halo in zip(sides_of(self.layer), halos, strict=True)
        ]

    def widened(self, state: Tensor) -> Tensor:
        return widened_state(state, self.layer.out_weight.shape[1])

    def narrowed(self, state: Tensor) -> Tensor:
        return narrowed(state, self.channels)


def halos_before(shared: Shared, i: Tensor) -> list[Tensor]:
    """Of each side the inputs before this piece (B, D, W-1); of the first, those of the last."""
    sides = sides_of(shared.layer)
    last = [shared.narrowed(final_state(side.convolution(i))) for side in sides]
    received = shared.pieces.pass_on(last, [side.reverse for side in sides])
    return [shared.widened(halo) for halo in received]


def states_of(
    shared: Shared, sides: Sequence[Side], begun: Sequence[ahead.Begun]
) -> list[tuple[Tensor | None, Around]]:
    """Of each side the state that enters its scan (B, D, N), and what is known of all pieces."""
    sums = []
    for each in begun:
        product, local = (shared.narrowed(state) for state in each.summary())
        sums.append((product, local))
    every = states_around(shared.pieces, sums, [side.reverse for side in sides])
    return [
        (side.ssm_state if around.before is None else shared.widened(around.before), around)
        for side, around in zip(sides, every, strict=True)
    ]


class Piece:
    """Where a piece ends others begin, or the sequence ends: see ``Ends``.

    Args:
        shared: what is read.
        halos: of each side the inputs before this piece; of the first piece they are not looked at.
        products: of each side those of ``states_of``.
        reaches: of each side ``Begun.reach``; None where this piece begins its scan.
        dtail: the gradient of the inputs behind the sequence (B, D, W-1), as this process was given
            them, if any.
        dfinal: the same of the scan's state there (B, D, N).
    """

    def __init__(
        self,
        shared: Shared,
        halos: Sequence[Tensor],
        products: Sequence[Tensor],
        reaches: Sequence[Tensor | None],
        dtail: Tensor | None,
        dfinal: Tensor | None,
    ) -> None:
        self.layer, self.sides = shared.layer, shared.sides(halos)
        self._shared, self._products, self._reaches = shared, products, reaches
        self._dtail, self._dfinal = dtail, dfinal

    def behind(self, every: Sequence[Inside], z: Tensor, dy: Tensor) -> list[Behind]:
        own, deltas = list[tuple[Tensor, Tensor]](), list[Tensor | None]()
        for k in range(len(self.sides) - 1, -1, -1):
            delta = None  # kept of the side that is scanned first, and computed again of the other
            gradient, delta = self._summed(k, every[k], z, dy)
            end = gradient.new_zeros(gradient.shape) if self._dfinal is None else self._dfinal
            own.insert(0, (gradient, end))
            deltas.insert(0, delta if k == 0 else None)
        reverse = [side.reverse for side in self.sides]
        adjoints = adjoints_behind(self._shared.pieces, own, self._products, reverse)
        return [
            Behind(partial(self._widened, adjoints, k), delta) for k, delta in enumerate(deltas)
        ]

    def before(self, convolved: Sequence[tuple[Convolution, Tensor]], di: Tensor) -> Tensor:
        passed = [
            self._passed(side, values, dstate)
            for side, (values, dstate) in zip(self.sides, convolved, strict=True)
        ]
        returned = self._shared.pieces.pass_on(passed, [not side.reverse for side in self.sides])
        for (values, _), gradient in zip(convolved, returned, strict=True):
            add_through_final_state(values, self._shared.widened(gradient), di, None)
        return convolved[0][1]

    def _summed(
        self, k: int, inside: Inside, z: Tensor, dy: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """The gradient of the state that enters the k-th, through y alone (B, D, N); and its Δ."""
        side, (_, u, selected) = self.sides[k], inside
        if self._shared.first(side):
            shape = len(dy), self._shared.channels, side.direction.A.shape[1]
            return dy.new_zeros(shape, dtype=torch.float32), None
        delta = side.delta(selected)
        scan = side.scan(u, delta, selected, z)
        gradient = ahead.initial_gradient(scan, dy, self._reaches[k])
        return self._shared.narrowed(gradient), delta

    def _widened(self, adjoints: Callable[[], list[Tensor]], k: int) -> Tensor:
        return self._shared.widened(adjoints()[k])

    def _passed(self, side: Side, values: Convolution, dstate: Tensor) -> Tensor:
        """What goes back to the piece before; from the first piece to the last, dtail alone."""
        if not self._shared.first(side):
            passed = self._shared.narrowed(dstate)
            return passed if self._dtail is None else passed + self._dtail
        if self._dtail is not None:
            return self._dtail
        x = values.x
        return x.new_zeros(len(x), self._shared.channels, values.taps)
