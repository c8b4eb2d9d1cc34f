"""The baseline a sequence model has to beat: Markov chains of order 0 to 10, well smoothed.

Order k predicts a base from the k bases before it. Its estimate leans on that of order k - 1,

    p_k(b | c) = (n(c, b) + m_k p_{k-1}(b | c')) / (n(c) + m_k),

where n counts the training windows, c' is c without its oldest base and p_{-1} = 1/4: the
hierarchical Dirichlet language model of MacKay and Peto (1995, Natural Language Engineering
1:289). Each m_k is the one under which nine tenths of the training windows best predict the
last tenth, less those that are copies (an inverted repeat would praise long contexts); the
counts are then of all training windows. Held-out windows take no part in any of it.

A context never crosses the start of a window nor a letter other than A, C, G and T: a base
with only j < k known bases before it is predicted by order j, so that every order scores the
same bases, the first of a window included.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from dnamamba.report.kmers import base_codes, run_lengths
from dnamamba.report.leakage import shared_kmer_fractions

__all__ = ["MAX_ORDER", "MarkovModels", "WindowBits", "Windows", "fit_markov"]

MAX_ORDER = 11
_STRENGTHS = 2.0 ** np.arange(-1, 13.5, 0.5)
# Where nothing can be held in: high orders then say little beyond the lower ones.
_CAUTIOUS = 128.0
_SLAB = 1 << 22
_PIECE = 1024
_UNIFORM = np.full(4, 0.25)

_REST, _HELD_IN, _COPY = range(3)

Counts = list[NDArray[np.int64]]


class Windows(Protocol):
    """A known number of windows, which can be read again and again."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...


class WindowBits(NamedTuple):
    """What each window costs.

    Attributes:
        bits: (windows, orders) float64, negative log2 probability, summed over the bases.
        bases: (windows,) int64, how many bases were scored: every A, C, G and T.
    """

    bits: NDArray[np.float64]
    bases: NDArray[np.int64]


@dataclass(frozen=True)
class MarkovModels:
    """Markov chains of order 0 to ``len(tables) - 1``, fitted together.

    Attributes:
        tables: for order k, (4**(k+1),) float32: -log2 p_k(base | context), at the index that
            the context's bases, oldest first, and then the base spell in base 4 (A C G T).
        strengths: m_k of each order, in pseudo-counts.
    """

    tables: tuple[NDArray[np.float32], ...]
    strengths: tuple[float, ...]

    def score(self, windows: Iterable[bytes]) -> WindowBits:
        """Bits of every window under every order."""
        bits, bases = [], []
        for slab in _slabs(windows):
            slab_bits, slab_bases = self._score_slab(slab)
            bits.append(slab_bits)
            bases.append(slab_bases)
        if not bits:
            return WindowBits(np.empty((0, len(self.tables))), np.empty(0, dtype=np.int64))
        return WindowBits(np.concatenate(bits), np.concatenate(bases))

    def _score_slab(self, windows: list[bytes]) -> WindowBits:
        codes = _joined(windows)
        window = np.repeat(np.arange(len(windows)), [len(w) + 1 for w in windows])
        cost = np.zeros(codes.size)
        bits = np.empty((len(windows), len(self.tables)))
        for order, (index, known) in enumerate(_indices(codes, len(self.tables) - 1)):
            cost[known] = self.tables[order][index[known]]
            bits[:, order] = np.bincount(window, weights=cost, minlength=len(windows))
        return WindowBits(bits, np.bincount(window[codes < 4], minlength=len(windows)))


def fit_markov(windows: Windows, *, max_order: int = 10, both_strands: bool = True) -> MarkovModels:
    """Count the training windows and smooth the counts.

    Args:
        windows: bases of the training windows, in an order where windows that overlap are
            neighbours; a list, or what reads them anew for each of several passes.
        max_order: highest order, 0 to 11. Memory is about ``200 * 4**max_order`` bytes.
        both_strands: count each window's reverse complement too, as for a model that trained
            with reverse-complement augmentation.

    Raises:
        ValueError: ``max_order`` is out of range, or the windows hold no base.
    """
    if not 0 <= max_order <= MAX_ORDER:
        raise ValueError(f"max_order must be 0 to {MAX_ORDER}, got {max_order}")
    every = _count(windows, max_order)
    if not every[0].any():
        raise ValueError(f"the {len(windows)} training windows hold no A, C, G or T to count")
    group = _groups(windows)
    rest, held_in = (
        _count(_pieces_where(windows, group == g), max_order) for g in (_REST, _HELD_IN)
    )
    strengths = _choose_strengths([_strands(c, both_strands) for c in rest], held_in)
    tables: list[NDArray[np.float32]] = []
    lower = _UNIFORM
    for counts, strength in zip(every, strengths, strict=True):
        lower = _smooth(_strands(counts, both_strands), lower, strength)
        tables.append(-np.log2(lower).astype(np.float32))
    return MarkovModels(tuple(tables), tuple(strengths))


def _groups(windows: Windows) -> NDArray[np.int64]:
    """What each piece of the windows is for: to count, or to choose the m_k by, or for neither:
    meant for the latter, but found for a tenth or more among the former, on either strand."""
    n = sum(1 for _ in _pieces(windows))
    # In blocks, for neighbours may overlap; in many, for one stretch speaks for no genome.
    block = min(max(1, n // 160), 8)
    # A tenth, or as many as hold a few megabases: more would not move the m_k.
    cycle = max(10, n * _PIECE // _SLAB)
    held_in = np.arange(n) // block % cycle == cycle - 1
    shared = shared_kmer_fractions(
        _pieces_where(windows, ~held_in), list(_pieces_where(windows, held_in))
    )
    group = np.full(n, _REST)
    group[held_in] = np.where(shared > 0.1, _COPY, _HELD_IN)
    return group


def _pieces_where(windows: Windows, chosen: NDArray[np.bool_]) -> Iterator[bytes]:
    return (piece for piece, take in zip(_pieces(windows), chosen.tolist(), strict=True) if take)


def _pieces(windows: Windows) -> Iterator[bytes]:
    """The windows, long ones cut: a few windows of a megabase must do to choose the m_k by."""
    for window in windows:
        for start in range(0, len(window), _PIECE):
            yield window[start : start + _PIECE]


def _choose_strengths(kept: Counts, held_in: Counts) -> list[float]:
    """The m_k, order by order, under which ``kept`` predicts ``held_in`` best."""
    strengths: list[float] = []
    lower = _UNIFORM
    for counts, targets in zip(kept, held_in, strict=True):
        at = np.flatnonzero(targets)
        weight = targets[at]
        seen, total = counts[at], counts.reshape(-1, 4).sum(1)[at // 4]
        backed = lower[at % lower.size]
        gains = [
            float(weight @ np.log((seen + m * backed) / (total + m))) for m in _STRENGTHS.tolist()
        ]
        best = float(_STRENGTHS[int(np.argmax(gains))]) if at.size else _CAUTIOUS
        strengths.append(best)
        lower = _smooth(counts, lower, best)
    return strengths


def _smooth(
    counts: NDArray[np.int64], lower: NDArray[np.float64], strength: float
) -> NDArray[np.float64]:
    """p_k from its counts and p_{k-1}; both flat, index as in ``MarkovModels.tables``."""
    table = counts.reshape(-1, 4)
    # Dropping the oldest base drops the index's leading digit: p_{k-1} repeats four times.
    backed = np.resize(lower, table.shape)
    smoothed = (table + strength * backed) / (table.sum(1, keepdims=True) + strength)
    return smoothed.reshape(-1)


def _strands(counts: NDArray[np.int64], both: bool) -> NDArray[np.int64]:
    """Counts of both strands: a k-mer's reverse complement has its digits turned and flipped."""
    if not both:
        return counts
    digits = int(counts.size).bit_length() // 2
    return counts + np.flip(counts.reshape((4,) * digits).T).reshape(-1)


def _count(windows: Iterable[bytes], max_order: int) -> Counts:
    """Occurrences of every context and base, one flat table for each order."""
    counts = [np.zeros(4 ** (order + 1), dtype=np.int64) for order in range(max_order + 1)]
    for slab in _slabs(windows):
        codes = _joined(slab)
        for table, (index, known) in zip(counts, _indices(codes, max_order), strict=True):
            table += np.bincount(index[known], minlength=table.size)
    return counts


def _indices(
    codes: NDArray[np.uint8], max_order: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
    """For each order: each position's index into the table, and where its context is known."""
    run = run_lengths(codes)
    index = codes.astype(np.int64)
    for order in range(max_order + 1):
        if order:
            index[order:] += codes[:-order].astype(np.int64) << (2 * order)
        yield index, run > order


def _joined(windows: Sequence[bytes]) -> NDArray[np.uint8]:
    """Codes of the windows, each followed by a gap that no context crosses."""
    return base_codes(b"\n".join([*windows, b""]))


def _slabs(windows: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Windows in groups of about four megabases, so that arrays stay small."""
    slab: list[bytes] = []
    size = 0
    for window in windows:
        slab.append(window)
        size += len(window)
        if size >= _SLAB:
            yield slab
            slab, size = [], 0
    if slab:
        yield slab
