"""Groups of sequences that are so alike that they must not stand on two sides of a split.

Of every sequence the canonical 21-mers are kept, or those whose hash is among the lowest; two are
linked where the smaller of the two sketches shares a quarter or more with the other; groups are the
single-linkage clusters. Bases that mutate independently with rate d leave (1 - d)^21 of the
21-mers: a quarter is 6.4 % divergence over the whole length. Pieces that overlap by a third are
linked, too.
"""

from collections import Counter, defaultdict

import numpy as np
from numpy.typing import NDArray

__all__ = ["groups_of", "sketch"]

K = 21
SHARED = 0.25

_CODE = np.full(256, 255, np.uint64)
_CODE[np.frombuffer(b"ACGT", np.uint8)] = range(4)
_CODE[np.frombuffer(b"acgt", np.uint8)] = range(4)


def sketch(bases: bytes, one_of: int = 1) -> NDArray[np.uint64]:
    """Hashes of one k-mer of so many, sorted; the same for the reverse complement."""
    code = _CODE[np.frombuffer(bases, np.uint8)]
    n = len(code) - K + 1
    if n < 1:
        return np.empty(0, np.uint64)
    forward, reverse = np.zeros(n, np.uint64), np.zeros(n, np.uint64)
    for i in range(K):
        letter = code[i : i + n]
        forward = forward << np.uint64(2) | letter & np.uint64(3)
        reverse |= (np.uint64(3) - (letter & np.uint64(3))) << np.uint64(2 * i)
    unknown = np.convolve(code == 255, np.ones(K), "valid") > 0
    hashes = _mixed(np.minimum(forward, reverse)[~unknown])
    return np.unique(hashes[hashes <= np.uint64((2**64 - 1) // one_of)])


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of MurmurHash3, a bijection."""
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        x = (x ^ x >> np.uint64(33)) * np.uint64(factor)
    return x ^ x >> np.uint64(33)


def groups_of(sketches: list[NDArray[np.uint64]]) -> list[int]:
    """The number of each sequence's group: that of its first member."""
    parent = list(range(len(sketches)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    holders: defaultdict[int, list[int]] = defaultdict(list)
    for number, hashes in enumerate(sketches):
        shared: Counter[int] = Counter()
        for value in hashes.tolist():
            shared.update(holders[value])
            holders[value].append(number)
        for other, count in shared.items():
            if count >= SHARED * min(len(hashes), len(sketches[other])):
                first, second = sorted((root(number), root(other)))
                parent[second] = first
    return [root(i) for i in range(len(sketches))]
