"""Sequences so alike that they must not stand on two sides of a split.

Of every sequence the canonical 21-mers are kept, or those whose hash is among the lowest (its
sketch); two are relatives where they share a quarter of the smaller of both sketches, or where they
are the same on either strand; groups are the single-linkage clusters. Bases that mutate
independently with rate d leave (1 - d)^21 of the 21-mers: a quarter is 6.4 % divergence over the
whole length. Pieces that overlap by a third are relatives, too.

Where far too many pairs share a 21-mer, the commonest are followed to some of their holders alone,
always the same: two sequences that share little else are then not compared.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnamamba.data.labelled.splits import canonical_digests
from dnamamba.report.kmers import base_codes, canonical_kmers, run_lengths

__all__ = ["Sketches", "groups_of", "sampling", "sketch", "stretches", "with_relatives"]

K = 21
SHARED = 0.25

_PAIRS = 1 << 22  # compared at once: 100 MB
_ALL_PAIRS = 1 << 28  # compared in all: half a minute
_BASES = 1 << 18  # worked on at once: what the processor's cache takes
_OF_ONE = 512  # 21-mers of a sequence that are enough
_OF_ALL = 1 << 24  # 21-mers of all sequences that are enough

Ints = NDArray[np.int64]


class Sketches(NamedTuple):
    """Sketches of several sequences, end to end.

    Attributes:
        hashes: (all,) uint64, ascending within a sequence, each once.
        owners: (all,) int64, the sequence of each.
        sizes: (n,) int64, how many each sequence has.
    """

    hashes: NDArray[np.uint64]
    owners: Ints
    sizes: Ints


def sampling(lengths: Sequence[int]) -> int:
    """One 21-mer of how many is enough to compare sequences of such lengths; a power of 2."""
    total = sum(lengths)
    wanted = max(total / max(1, len(lengths)) / _OF_ONE, total / _OF_ALL, 1.0)
    return 1 << int(np.log2(wanted))


def sketch(sequences: Sequence[bytes], one_of: int = 1) -> Sketches:
    """Hashes of one 21-mer of so many; the same for the reverse complement.

    Args:
        sequences: bases; 21-mers with other letters than A, C, G and T are left out. A sequence
            without any has one hash, of all of it.
        one_of: see ``sampling``.
    """
    hashes, owners = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    for first, block in stretches(sequences):
        joined = b"N".join(block)
        values = _mixed(canonical_kmers(joined, K))
        low = values <= np.uint64((2**64 - 1) // one_of)
        last = np.flatnonzero(run_lengths(base_codes(joined)) >= K)[low]  # where a 21-mer ends
        ends = np.cumsum([len(sequence) + 1 for sequence in block])
        hashes.append(values[low])
        owners.append(np.searchsorted(ends, last, "right") + first)
    bare = np.bincount(np.concatenate(owners), minlength=len(sequences)) == 0
    whole = canonical_digests([sequences[i] for i in np.flatnonzero(bare).tolist()])
    hashes.append(np.array([int(digest[:16], 16) for digest in whole], dtype=np.uint64))
    owners.append(np.flatnonzero(bare))
    return _sorted(np.concatenate(hashes), np.concatenate(owners), len(sequences))


def stretches(sequences: Sequence[bytes]) -> Iterator[tuple[int, Sequence[bytes]]]:
    """Neighbours that have so many bases together, and the number of the first."""
    first = bases = 0
    for number, sequence in enumerate(sequences):
        if bases and bases + len(sequence) > _BASES:
            yield first, sequences[first:number]
            first, bases = number, 0
        bases += len(sequence)
    if bases:
        yield first, sequences[first:]


def _sorted(hashes: NDArray[np.uint64], owners: Ints, n: int) -> Sketches:
    order = np.lexsort((hashes, owners))
    hashes, owners = hashes[order], owners[order]
    new = np.ones(hashes.size, np.bool_)
    new[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
    return Sketches(hashes[new], owners[new], np.bincount(owners[new], minlength=n))


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of MurmurHash3, a bijection."""
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        x = (x ^ x >> np.uint64(33)) * np.uint64(factor)
    return x ^ x >> np.uint64(33)


def groups_of(sketches: Sketches) -> Ints:
    """(n,) the number of each sequence's group: that of its first member."""
    group = np.arange(sketches.sizes.size)
    for first, second in _links(sketches, sketches):
        group = _joined(group, first, second)
    return group


def with_relatives(queries: Sketches, others: Sketches) -> NDArray[np.bool_]:
    """(n,) which of the sequences have a relative among the others."""
    related = np.zeros(queries.sizes.size, np.bool_)
    for query, _ in _links(queries, others):
        related[query] = True
    return related


def _joined(group: Ints, first: Ints, second: Ints) -> Ints:
    """Groups after links, each called by its smallest member."""
    while True:
        low = np.minimum(group[first], group[second])
        before = group.copy()
        for side in (first, second):
            np.minimum.at(group, before[side], low)
            np.minimum.at(group, side, low)
        while not np.array_equal(shorter := group[group], group):
            group = shorter
        if np.array_equal(group, before):
            return group


def _links(queries: Sketches, others: Sketches) -> Iterator[tuple[Ints, Ints]]:
    """Pairs of relatives: numbers among the queries, and among the others."""
    hashes, holders = _index(others)
    begin = np.searchsorted(hashes, queries.hashes, "left")
    counts = np.searchsorted(hashes, queries.hashes, "right") - begin
    while counts.sum() > _ALL_PAIRS and counts.max() > 1:
        counts = np.minimum(counts, counts.max() // 2)
    n = others.sizes.size
    for block in _blocks(queries, counts):
        times = counts[block]
        at = np.repeat(begin[block] - np.cumsum(times) + times, times) + np.arange(times.sum())
        pair = np.repeat(queries.owners[block], times) * n + holders[at]
        pair, shared = np.unique(pair, return_counts=True)
        query, other = np.divmod(pair, n)
        enough = SHARED * np.minimum(queries.sizes[query], others.sizes[other])
        related = shared >= enough
        yield query[related], other[related]


def _index(sketches: Sketches) -> tuple[NDArray[np.uint64], Ints]:
    """All hashes ascending, and who holds each; holders of one hash in an order that all share."""
    rank = np.random.default_rng(0).permutation(sketches.sizes.size)
    order = np.lexsort((rank[sketches.owners], sketches.hashes))
    return sketches.hashes[order], sketches.owners[order]


def _blocks(queries: Sketches, counts: Ints) -> Iterator[slice]:
    """Whole queries, as many as have about ``_PAIRS`` pairs."""
    ends = np.cumsum(queries.sizes)
    pairs = np.concatenate([[0], np.cumsum(counts)])[ends]
    first = start = done = 0
    while first < ends.size:
        last = max(int(np.searchsorted(pairs, done + _PAIRS, "right")), first + 1)
        yield slice(start, int(ends[last - 1]))
        first, start, done = last, int(ends[last - 1]), int(pairs[last - 1])
