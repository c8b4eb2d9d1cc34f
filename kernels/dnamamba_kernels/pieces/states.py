"""How a state, and its gradient, get from piece to piece once every piece is summed up.

Of several scans at once: a layer that reads from both sides sends what it has to say of both
together. All pieces are in the order of each scan.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from dnamamba_kernels.pieces.group import Pieces

__all__ = ["Around", "adjoints_behind", "states_around"]


class Around(NamedTuple):
    """The states around this piece, and what its adjoint takes."""

    before: Tensor | None  # (B, D, N); None for the first piece
    behind: Tensor  # (B, D, N), behind the sequence, the same everywhere
    products: Tensor  # (P, B, D, N), of all pieces


def states_around(
    pieces: Pieces, sums: Sequence[tuple[Tensor, Tensor]], sides: Sequence[bool]
) -> list[Around]:
    """What each scan of this piece needs to know, from each piece's summary.

    Args:
        pieces: who holds what.
        sums: of each scan two tensors (B, D, N): the product of this piece's decays, 0 where
            nothing passes, and the state at its end, from zero; of the first piece, from what
            enters it.
        sides: whether the scan begins with the last piece.
    """
    every = _gathered(pieces, sums, sides)()
    return [
        _around(*pair, pieces.place(reverse)) for pair, reverse in zip(every, sides, strict=True)
    ]


def _around(products: Tensor, states: Tensor, place: int) -> Around:
    before, state = None, states[0]
    for s in range(1, len(states)):
        if s == place:
            before = state
        state = states[s] + _passed(products[s], state)
    return Around(before, state, products)


def adjoints_behind(
    pieces: Pieces,
    own: Sequence[tuple[Tensor, Tensor]],
    products: Sequence[Tensor],
    sides: Sequence[bool],
) -> Callable[[], list[Tensor]]:
    """Of each scan the gradient of the state behind this piece (B, D, N), through all it reaches.

    What the others say is asked for at once, and waited for when the result is called.

    Args:
        pieces: who holds what.
        own: of each scan two tensors (B, D, N): the gradient of the state before this piece,
            through this piece's outputs alone, which is not looked at of the first piece; and that
            of the state behind the sequence, as this process was given that state.
        products: of each scan those of ``states_around``.
        sides: whether the scan begins with the last piece.
    """
    gathered = _gathered(pieces, own, sides)

    @cache
    def adjoints() -> list[Tensor]:
        every = []
        for (states, ends), product, reverse in zip(gathered(), products, sides, strict=True):
            adjoint = ends.sum(0)
            for s in range(pieces.count - 1, pieces.place(reverse), -1):
                adjoint = states[s] + _passed(product[s], adjoint)
            every.append(adjoint)
        return every

    return adjoints


def _gathered(
    pieces: Pieces, pairs: Sequence[tuple[Tensor, Tensor]], sides: Sequence[bool]
) -> Callable[[], list[tuple[Tensor, Tensor]]]:
    """Every process's, (P, B, D, N) each; of all scans in one message."""
    firsts, seconds = zip(*pairs, strict=True)
    received = pieces.gather([*firsts, *seconds], [*sides, *sides])

    def gathered() -> list[tuple[Tensor, Tensor]]:
        every = received()
        return list(zip(every[: len(sides)], every[len(sides) :], strict=True))

    return gathered


def _passed(product: Tensor, state: Tensor) -> Tensor:
    """What comes through a piece: of nothing, and across a mark, nothing, be the other infinite."""
    return torch.where((product == 0) | (state == 0), 0.0, product * state)
