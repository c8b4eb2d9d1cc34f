"""Does a held-out window stand, in part and on either strand, in the training set?

A split by position is not enough: a chloroplast genome carries a 26-kb inverted repeat, so a
held-out piece can be a training piece read on the other strand.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from dnamamba.report.kmers import canonical_kmers

__all__ = ["held_out_windows_with_shared_kmers", "shared_kmer_fractions"]


def held_out_windows_with_shared_kmers(
    train: Iterable[bytes], held_out: Sequence[bytes], k: int = 31
) -> NDArray[np.int64]:
    """Numbers of the held-out windows that share an exact k-mer with a training window.

    Both strands count. By chance alone a k-mer recurs in G training bases with a probability
    of about ``2 G / 4**k``: below 1e-12 per k-mer for k = 31 and a megabase.

    Args:
        train: bases of the training windows, read once.
        held_out: bases of the held-out windows.
        k: length of the k-mer, 1 to 31.

    Returns:
        Sorted positions in ``held_out``; empty when nothing leaks.

    Raises:
        ValueError: k is out of range.
    """
    return np.flatnonzero(shared_kmer_fractions(train, held_out, k) > 0).astype(np.int64)


def shared_kmer_fractions(
    train: Iterable[bytes], held_out: Sequence[bytes], k: int = 31
) -> NDArray[np.float64]:
    """How much of each held-out window stands in the training windows, on either strand.

    Memory grows with the held-out bases, not with the training bases. Arguments and errors
    are those of ``held_out_windows_with_shared_kmers``.

    Returns:
        (held-out windows,) the share of a window's distinct k-mers that some training window
        holds; 0 for a window without any.
    """
    per_window = [np.unique(canonical_kmers(window, k)) for window in held_out]
    if not per_window:
        return np.empty(0)
    known, position = np.unique(np.concatenate(per_window), return_inverse=True)
    seen = np.zeros(known.size, dtype=np.bool_)
    for window in train:
        kmers = canonical_kmers(window, k)
        at = np.searchsorted(known, kmers)
        inside = at < known.size
        at, kmers = at[inside], kmers[inside]
        seen[at[known[at] == kmers]] = True
    sizes = np.array([kmers.size for kmers in per_window])
    owner = np.repeat(np.arange(sizes.size), sizes)
    shared = np.bincount(owner, weights=seen[position], minlength=sizes.size)
    return shared / np.maximum(sizes, 1)
