"""The convolution over a piece: it begins with the last inputs of the piece before."""

from typing import Any, NoReturn

import torch
from torch import Tensor

from dnamamba_kernels.causal_conv1d import op, tail
from dnamamba_kernels.causal_conv1d.convolution import Convolution
from dnamamba_kernels.causal_conv1d.state import final_state
from dnamamba_kernels.pieces.context import or_whole
from dnamamba_kernels.pieces.group import Pieces

__all__ = ["causal_conv1d", "causal_conv1d_tail", "refuse_lengths"]


@or_whole(op.causal_conv1d)
def causal_conv1d(
    pieces: Pieces, initial_state: Tensor | None, backend: str | None, **fields: Any
) -> tuple[Tensor, Tensor]:
    """``dnamamba_kernels.causal_conv1d``, within ``over`` of this process's piece of a sequence.

    Arguments and results are that op's, x, ``resets`` and y those of the piece; ``initial_state``
    is the sequence's, and counts on the process whose piece is scanned first. To that process the
    state behind the sequence is given back, for it will need it for what follows; to the others
    what entered their pieces.

    Raises:
        ValueError: as there; or, on every process alike, a piece has fewer than W - 1 positions.
    """
    conv = Convolution(initial_state=None, **fields)
    conv._replace(initial_state=initial_state).check()
    pieces.check("causal_conv1d", conv.x)
    pieces.check_taps("causal_conv1d", conv.taps)
    before, behind = _Halo.apply(pieces, conv.reverse, final_state(conv), initial_state)
    y, _ = op.causal_conv1d(**fields, initial_state=before, backend=backend)
    return y, behind


@or_whole(tail.causal_conv1d_tail)
def causal_conv1d_tail(pieces: Pieces, **_: Any) -> Tensor:
    """``dnamamba_kernels.causal_conv1d_tail``; not of a piece.

    Raises:
        ValueError: as ``refuse_lengths``.
    """
    refuse_lengths()


def refuse_lengths() -> NoReturn:
    """Of a causal layer within ``over``, where a row's end may lie in any piece.

    Raises:
        ValueError: always.
    """
    raise ValueError(
        "lengths: the state behind padded rows is not known in pieces; a causal model needs "
        "no lengths, leave them out"
    )


class _Halo(torch.autograd.Function):
    """From each piece's last inputs (B, D, W-1): those before it, and those behind the sequence.

    One node for both: each process's backward comes through it, be the latter unused.
    """

    @staticmethod
    def forward(
        ctx: Any, pieces: Pieces, reverse: bool, last: Tensor, initial: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        ctx.pieces, ctx.reverse, ctx.initial = pieces, reverse, initial is not None
        (received,) = pieces.pass_on([last], [reverse])
        if pieces.place(reverse):
            return received, received.clone()
        return torch.zeros_like(last) if initial is None else initial.clone(), received

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dbefore: Tensor, dbehind: Tensor) -> tuple[Tensor | None, ...]:
        pieces, reverse = ctx.pieces, ctx.reverse
        first = pieces.place(reverse) == 0
        passed = dbehind if first else dbefore + dbehind
        (dlast,) = pieces.pass_on([passed], [not reverse])
        return None, None, dlast, dbefore if first and ctx.initial else None
