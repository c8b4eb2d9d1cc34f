"""Randomness without a generator: hashes and permutations computed from a number alone."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["mix", "permute"]

Words = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, odd
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_ONE = np.uint64(1)
_ROUNDS = 6  # four leave a visible pattern where n is below a hundred


def mix(*words: ArrayLike) -> Words:
    """A 64-bit hash of one or several integers, each a number or an array; they broadcast.

    Chains the finaliser of splitmix64 (Steele, Lea, Flood 2014, OOPSLA; the constants are David
    Stafford's Mix13): ``h = finalise((h ^ word) + 0x9E3779B97F4A7C15)``, from h = 0. Integers
    are taken modulo 2**64. The function is part of what makes a run repeatable: it never changes.

    Returns:
        uint64 of the broadcast shape.
    """
    h: Words = np.zeros((), dtype=np.uint64)
    with np.errstate(over="ignore"):  # 0-d arrays would warn where arrays wrap around
        for word in words:
            h = _finalise((h ^ np.asarray(word).astype(np.uint64)) + _GOLDEN)
    return h


def permute(index: NDArray[np.int64], n: ArrayLike, key: ArrayLike) -> NDArray[np.int64]:
    """Where a keyed permutation of 0 .. n - 1 sends ``index``, each on its own.

    A Feistel network on pairs (i // b, i % b) in Z_a x Z_b, which adds a hash of
    one half to the other (the generalised Feistel cipher of Black and Rogaway 2002, CT-RSA),
    with a * b just above n; what lands at n or above is sent on until it falls below. So it is
    a permutation for every n, needs no memory, and any element can be asked for alone.

    Args:
        index: int64, 0 <= index < n.
        n: sizes, one or one for each index.
        key: 64-bit keys, one or one for each index; another key, another permutation.

    Returns:
        int64 of the shape of ``index``.
    """
    shape = index.shape
    x, size, keys = (
        np.asarray(part).astype(np.uint64).ravel()
        for part in np.broadcast_arrays(index, np.asarray(n), np.asarray(key))
    )
    out = _feistel(x, size, keys)
    astray = np.flatnonzero(out >= size)
    while len(astray):
        out[astray] = _feistel(out[astray], size[astray], keys[astray])
        astray = astray[out[astray] >= size[astray]]
    return out.astype(np.int64).reshape(shape)


def _feistel(x: Words, n: Words, key: Words) -> Words:
    a = np.sqrt(n).astype(np.uint64) + _ONE
    b = (n + a - _ONE) // a
    left, right = np.divmod(x, b)
    for _ in range(_ROUNDS // 2):
        # Half the hash: the sum must not pass 2**64, or two halves could meet.
        key = key + _GOLDEN
        left = (left + (_finalise(key ^ right) >> _ONE)) % a
        key = key + _GOLDEN
        right = (right + (_finalise(key ^ left) >> _ONE)) % b
    return left * b + right


def _finalise(z: Words) -> Words:
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))
