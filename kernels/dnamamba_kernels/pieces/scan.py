"""The scan over a piece: it begins with the state that the pieces before leave.

Each pass reads the piece twice: once for what the others must know of it, once with what they say.
The first of the two goes only as far as a state at one end takes, as the backend can. It keeps
nothing: memory is one scan's. (A fused block sums up once, see ``block.fused.piece``.)
"""

from typing import Any

import torch
from torch import Tensor

from dnamamba_kernels.backend import choose
from dnamamba_kernels.operators import differentiable, present
from dnamamba_kernels.pieces.context import or_whole
from dnamamba_kernels.pieces.group import Pieces
from dnamamba_kernels.pieces.states import adjoints_behind, states_around
from dnamamba_kernels.selective_scan import op
from dnamamba_kernels.selective_scan.scan import Scan
from dnamamba_kernels.selective_scan.summary import initial_gradient, summary

__all__ = ["selective_scan"]


@or_whole(op.selective_scan)
def selective_scan(pieces: Pieces, backend: str | None, **fields: Any) -> tuple[Tensor, Tensor]:
    """``dnamamba_kernels.selective_scan``, within ``over`` of this process's piece of a sequence.

    Arguments and results are that op's, u, delta, B, C, z, ``resets`` and y those of the piece;
    ``initial_state`` is the sequence's, and counts on the process whose piece is scanned first.
    The state that is given back is the one behind the sequence, on every process. Within ``over``
    ``backend`` may not be "reference".

    Raises:
        ValueError: as there.
    """
    scan = Scan(**fields)
    scan.check()
    pieces.check("selective_scan", scan.u)
    backend = choose(backend, scan.u.device, scan.u.dtype)
    if backend == "reference":
        raise ValueError('backend "reference" reads a sequence whole; in pieces use "torch"')
    y, behind = _Scan.apply(pieces, backend, differentiable(*scan), *scan)
    return y, behind


class _Scan(torch.autograd.Function):
    """A scan of a piece from the state before it: y, and the state behind the sequence."""

    @staticmethod
    def forward(ctx: Any, pieces: Pieces, backend: str, keep: bool, *fields: Any) -> Any:
        scan = Scan(*fields)
        first = pieces.place(scan.reverse) == 0
        ctx.modes = pieces, backend, first, first and scan.initial_state is not None
        ctx.flags = scan.delta_softplus, scan.reverse
        if not first:
            scan = scan._replace(initial_state=None)
        sums = summary(scan, backend)
        ((before, behind, products),) = states_around(pieces, [sums], [scan.reverse])
        if before is None:
            before = torch.zeros_like(behind) if scan.initial_state is None else scan.initial_state
        y, _, states = op.scan_forward(*scan._replace(initial_state=before), keep, backend)
        if keep:
            ctx.save_for_backward(*scan[:8], scan.resets, states, products)
        return y, behind

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor, dbehind: Tensor) -> tuple[Tensor | None, ...]:
        *tensors, resets, states, products = ctx.saved_tensors
        (pieces, backend, first, initial), (softplus, reverse) = ctx.modes, ctx.flags
        scan = Scan._make((*tensors, None, resets, softplus, reverse))
        # Nobody asks for that of the state before the first piece here.
        own = (
            initial_gradient(scan, states, dy, backend) if not first else torch.zeros_like(dbehind)
        )
        (dfinal,) = adjoints_behind(pieces, [(own, dbehind)], [products], [reverse])()
        every = op.implementation(backend).backward(scan, states, dy, dfinal, True)
        exists = (*(x is not None for x in tensors), initial)
        return (None, None, None, *present(every, exists), None, None, None)
