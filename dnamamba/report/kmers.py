"""k-mers of bases as integers: the shared arithmetic of leak checks and Markov models."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_K", "base_codes", "canonical_kmers", "run_lengths"]

MAX_K = 31
_CODES = bytes({65: 0, 67: 1, 71: 2, 84: 3, 85: 3}.get(byte & 0xDF, 4) for byte in range(256))

Words = NDArray[np.uint64]


def base_codes(sequence: bytes) -> NDArray[np.uint8]:
    """(L,) A, C, G, T (or U), either case, as 0 to 3; every other byte as 4."""
    return np.frombuffer(sequence.translate(_CODES), dtype=np.uint8)


def run_lengths(codes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(L,) how many bases in a row, ending here, are A, C, G or T; 0 where this one is not."""
    at = np.arange(codes.size)
    last_gap = np.maximum.accumulate(np.where(codes > 3, at, -1))
    return at - last_gap


def canonical_kmers(sequence: bytes, k: int) -> NDArray[np.uint64]:
    """Every k-mer of A, C, G and T in a sequence, the same for a sequence and its complement.

    Args:
        sequence: bases; a k-mer that holds any other letter is left out.
        k: 1 to 31.

    Returns:
        (at most L - k + 1,) two bits a base: the smaller of the k-mer and its reverse
        complement, in the order of the sequence, duplicates kept.

    Raises:
        ValueError: k is out of range.
    """
    if not 1 <= k <= MAX_K:
        raise ValueError(f"k must be 1 to {MAX_K}, got {k}")
    codes = base_codes(sequence)
    digits = codes.astype(np.uint64) & np.uint64(3)
    forward, reverse = _packed(digits, np.uint64(3) - digits, k)
    whole = run_lengths(codes)[k - 1 :] >= k
    return np.minimum(forward, reverse)[whole]


def _packed(bases: Words, complements: Words, k: int) -> tuple[Words, Words]:
    """Every k-mer and its reverse complement, from those of half the length."""
    if k == 1:
        return bases, complements
    left = k // 2
    right = k - left
    forward_left, reverse_left = _packed(bases, complements, left)
    forward_right, reverse_right = _packed(bases, complements, right)
    n = max(bases.size - k + 1, 0)
    forward = forward_left[:n] << np.uint64(2 * right) | forward_right[left : left + n]
    reverse = reverse_right[left : left + n] << np.uint64(2 * left) | reverse_left[:n]
    return forward, reverse
