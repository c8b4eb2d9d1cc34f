"""Rows of token ids side by side, padded on the right."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnamamba.alphabet import PAD

__all__ = ["Rows", "pad"]

Ids = NDArray[np.uint8]


class Rows(NamedTuple):
    """Rows of ids.

    Attributes:
        tokens: (n, L) uint8, PAD behind a row's end.
        lengths: (n,) int64, the ids of each row.
    """

    tokens: Ids
    lengths: NDArray[np.int64]


def pad(rows: Sequence[Sequence[Ids]]) -> Rows:
    """Rows side by side, each given in parts that follow one another."""
    lengths = np.array([sum(map(len, parts)) for parts in rows], dtype=np.int64)
    tokens = np.full((len(rows), lengths.max()), PAD, dtype=np.uint8)
    for row, parts in zip(tokens, rows, strict=True):
        at = 0
        for part in parts:
            row[at : at + len(part)] = part
            at += len(part)
    return Rows(tokens, lengths)
