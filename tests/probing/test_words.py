"""Shares of k-mers of whole sequences are those of padded batches, however they are cut."""

import numpy as np
import pytest

from dnamamba.alphabet import Tokenizer
from dnamamba.probing import relatives, words
from dnamamba.probing.words import canonical_counts, shares, word_shares


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(("piece", "block"), [(1 << 20, 1 << 18), (7, 1 << 18), (10, 40)])
def test_as_of_a_batch(k: int, piece: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "_PIECE", piece)
    monkeypatch.setattr(relatives, "_BASES", block)
    random = np.random.default_rng(0)
    sizes = np.array([50, 3, 1, 200, 30])
    sequences = ["".join(random.choice(list("ACGTNacgt"), n)).encode() for n in sizes]
    tokenizer = Tokenizer()
    tokens = np.full((5, 200), 9, np.uint8)
    for row, bases in zip(tokens, sequences, strict=True):
        row[: len(bases)] = tokenizer.encode(bases)
    expected = shares(canonical_counts(tokens, sizes, k, tokenizer)).toarray()
    assert np.allclose(word_shares(sequences, k).toarray(), expected)
