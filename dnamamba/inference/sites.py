"""Places of a genome whose bases are exchanged."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnamamba.alphabet import Tokenizer
from dnamamba.inference.effects import BASES

__all__ = ["Region", "base_columns", "cased_bases"]


class Region(NamedTuple):
    """Bases [start, end) of a contig, 0-based."""

    contig: str
    start: int
    end: int


def cased_bases(tokenizer: Tokenizer, letters: bytes) -> NDArray[np.uint8]:
    """(L, 4) ids of A, C, G and T, in the case of each of L letters.

    A tokenizer that keeps case must not see it change with the base.
    """
    cases = np.stack([tokenizer.encode(text) for text in (BASES, BASES.lower())])
    raw = np.frombuffer(letters, dtype=np.uint8)
    return cases[tokenizer.soft_mask(raw).astype(np.intp)]


def base_columns(letters: bytes) -> NDArray[np.int64]:
    """(L,) the number of each letter in BASES, U counted as T; -1 where it is none of them."""
    column = np.full(256, -1)
    column[list(b"ACGTUacgtu")] = [0, 1, 2, 3, 3] * 2
    return column[np.frombuffer(letters, dtype=np.uint8)]
