"""Does a held-out window stand, in part and on either strand, in the training set?

A split by position is not enough: a chloroplast genome carries a 26-kb inverted repeat, so a
held-out piece can be a training piece read on the other strand.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from dnamamba.data.kmers import canonical_kmers

__all__ = ["held_out_windows_with_shared_kmers"]


def held_out_windows_with_shared_kmers(
    train: Iterable[bytes], held_out: Sequence[bytes], k: int = 31
) -> NDArray[np.int64]:
    """Numbers of the held-out windows that share an exact k-mer with a training window.

    Both strands count. Memory grows with the held-out bases, not with the training bases.
    By chance alone a k-mer recurs in G training bases with a probability of about
    ``2 G / 4**k``: below 1e-12 per k-mer for k = 31 and a megabase.

    Args:
        train: bases of the training windows, read once.
        held_out: bases of the held-out windows.
        k: length of the k-mer, 1 to 31.

    Returns:
        Sorted positions in ``held_out``; empty when nothing leaks.

    Raises:
        ValueError: k is out of range.
    """
    per_window = [np.unique(canonical_kmers(window, k)) for window in held_out]
    if not per_window:
        return np.empty(0, dtype=np.int64)
    owner = np.repeat(np.arange(len(per_window)), [kmers.size for kmers in per_window])
    known, position = np.unique(np.concatenate(per_window), return_inverse=True)
    seen = np.zeros(known.size, dtype=np.bool_)
    for window in train:
        kmers = canonical_kmers(window, k)
        at = np.searchsorted(known, kmers)
        inside = at < known.size
        at, kmers = at[inside], kmers[inside]
        seen[at[known[at] == kmers]] = True
    return np.unique(owner[seen[position]]).astype(np.int64)
