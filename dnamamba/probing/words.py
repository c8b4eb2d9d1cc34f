"""How often each k-mer or its reverse complement stands in sequences, and in variants."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dnamamba.alphabet import Tokenizer
from dnamamba.extras import library
from dnamamba.probing.relatives import stretches
from dnamamba.report.kmers import base_codes, canonical_kmers, run_lengths

if TYPE_CHECKING:
    from scipy import sparse

__all__ = ["canonical_counts", "shares", "stacked", "word_features", "word_shares"]

Ints = NDArray[np.int64]

_NO_BASE = 255
_PIECE = 1 << 20  # bases of a long sequence that are counted at a time


def word_features(
    batch: dict[str, NDArray[Any]], k: int, tokenizer: Tokenizer
) -> "sparse.csr_matrix":
    """(n, width) of a batch: what shares its k-mers have.

    Of a variant (n, 2 width): the counts of the k-mers that its alternative allele makes minus
    those that it breaks, and the shares of the reference's window.
    """
    tokens, lengths = batch["tokens"], batch["lengths"]
    if tokens.ndim == 2:
        return shares(canonical_counts(tokens, lengths, k, tokenizer))
    ref, alt = (
        canonical_counts(tokens[:, allele], lengths[:, allele], k, tokenizer) for allele in (0, 1)
    )
    return _sparse().hstack([alt - ref, shares(ref)])


def canonical_counts(
    tokens: NDArray[np.uint8], lengths: Ints, k: int, tokenizer: Tokenizer
) -> "sparse.csr_matrix":
    """(n, 4^k) how often each k-mer or its reverse complement occurs, under the smaller of both.

    Args:
        tokens: (n, L) ids; k-mers with another letter than A, C, G, T are not counted.
        lengths: (n,) bases of each row.
        k: length.
        tokenizer: of the ids.
    """
    number = np.full(256, _NO_BASE, np.uint8)
    number[list(tokenizer.base_ids)] = range(4)
    base = number[tokens].astype(np.int64)
    base[np.arange(base.shape[1]) >= lengths[:, None]] = _NO_BASE
    n = max(0, base.shape[1] - k + 1)
    forward, reverse = np.zeros((2, len(base), n), np.int64)
    known = np.ones((len(base), n), np.bool_)
    for i in range(k):
        letter = base[:, i : i + n]
        known &= letter != _NO_BASE
        forward = forward * 4 + letter
        reverse += (3 - letter) * 4**i
    row = np.nonzero(known)[0]
    word = np.minimum(forward, reverse)[known]
    return _sparse().csr_matrix((np.ones(len(word)), (row, word)), shape=(len(base), 4**k))


def shares(counts: "sparse.csr_matrix") -> "sparse.csr_matrix":
    """Counts (n, width) as shares of each row's sum."""
    total = np.asarray(counts.sum(1)).ravel()
    return _sparse().diags(1 / np.maximum(total, 1)) @ counts


def stacked(rows: "list[sparse.csr_matrix]") -> "sparse.csr_matrix":
    """(n, width) of several batches."""
    return _sparse().vstack(rows).tocsr()


def word_shares(sequences: Sequence[bytes], k: int) -> "sparse.csr_matrix":
    """(n, 4^k) what shares the canonical k-mers of sequences have; see ``canonical_counts``.

    Args:
        sequences: n, of any lengths; memory grows with what is counted, not with their bases.
        k: length.
    """
    counts = [_counts(block, k) for _, block in stretches(sequences)]
    return shares(stacked(counts))


def _counts(block: Sequence[bytes], k: int) -> "sparse.csr_matrix":
    """The counts of neighbours, read together in pieces that overlap."""
    joined = b"N".join(block)
    ends = np.cumsum([len(sequence) + 1 for sequence in block])
    total = _sparse().csr_matrix((len(block), 4**k))
    for first in range(0, len(joined), _PIECE):
        piece = joined[first : first + _PIECE + k - 1]
        words = canonical_kmers(piece, k).astype(np.int64)
        last = np.flatnonzero(run_lengths(base_codes(piece)) >= k) + first  # where each ends
        owner = np.searchsorted(ends, last, "right")
        places = (np.ones(len(words)), (owner, words))
        total += _sparse().csr_matrix(places, shape=total.shape)
    return total


def _sparse() -> Any:
    return library("scipy.sparse", "benchmark", "Counting k-mers")
