"""How a state, and its gradient, get from piece to piece once every piece is summed up."""

import torch
from torch import Tensor

from dnamamba_kernels.pieces.group import Pieces

__all__ = ["adjoint_behind", "states_around"]


def states_around(
    pieces: Pieces, product: Tensor, local: Tensor, reverse: bool
) -> tuple[Tensor | None, Tensor, Tensor]:
    """The states before this piece and behind the sequence, from each piece's summary.

    Args:
        pieces: who holds what.
        product: of this piece's decays (B, D, N), 0 where nothing passes.
        local: the state at its end (B, D, N), from zero; of the first piece, from what enters it.
        reverse: whether the scan begins with the last piece.

    Returns:
        Before (B, D, N), None for the first piece; behind (B, D, N), the same everywhere; and the
        products of all pieces (P, B, D, N), which the adjoint takes. All pieces are in the order
        of the scan.
    """
    products, locals_ = pieces.gather(torch.stack([product, local]), reverse).unbind(1)
    before, state = None, locals_[0]
    for s in range(1, pieces.count):
        if s == pieces.place(reverse):
            before = state
        state = locals_[s] + _passed(products[s], state)
    return before, state, products


def adjoint_behind(
    pieces: Pieces, local: Tensor, of_end: Tensor, products: Tensor, reverse: bool
) -> Tensor:
    """The gradient of the state behind this piece (B, D, N), through all that it reaches.

    Args:
        pieces: who holds what.
        local: the gradient of the state before this piece, through this piece's outputs alone.
        of_end: that of the state behind the sequence, as this process was given that state.
        products: of all pieces, from ``states_around``.
        reverse: whether the scan begins with the last piece.
    """
    locals_, ends = pieces.gather(torch.stack([local, of_end]), reverse).unbind(1)
    adjoint = ends.sum(0)
    for s in range(pieces.count - 1, pieces.place(reverse), -1):
        adjoint = locals_[s] + _passed(products[s], adjoint)
    return adjoint


def _passed(product: Tensor, state: Tensor) -> Tensor:
    """What comes through a piece: of nothing, and across a mark, nothing, be the other infinite."""
    return torch.where((product == 0) | (state == 0), 0.0, product * state)
