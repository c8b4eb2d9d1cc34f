"""Counts of k-mers against a count by hand, and groups of relatives."""

from collections import Counter
from collections.abc import Callable
from itertools import product
from types import ModuleType

import numpy as np
import pytest

from dnamamba.alphabet import Tokenizer, complement_bases

Script = Callable[[str], ModuleType]
TOKENIZER = Tokenizer()
SEQUENCES = [b"ACGTTGCANGTTACG", b"TTTTTTTTTTTTTTT", b"ACGNACGTAC"]


def opposite(bases: bytes) -> bytes:
    return complement_bases(bases)[::-1]


def batch(sequences: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.array([len(sequence) for sequence in sequences])
    tokens = np.zeros((len(sequences), lengths.max()), np.uint8)
    for row, sequence in zip(tokens, sequences, strict=True):
        row[: len(sequence)] = TOKENIZER.encode(sequence)
    return tokens, lengths


@pytest.mark.parametrize("k", [1, 3, 6])
def test_counts(script: Script, k: int) -> None:
    counts = script("kmers").canonical_counts(*batch(SEQUENCES), k).toarray()
    for row, sequence in zip(counts, SEQUENCES, strict=True):
        words = [sequence[i : i + k] for i in range(len(sequence) - k + 1)]
        expected = Counter(min(word, opposite(word)) for word in words if b"N" not in word)
        numbers = {sum(b"ACGT".index(c) * 4**i for i, c in enumerate(w[::-1])): n
                   for w, n in expected.items()}  # fmt: skip
        assert {i: int(n) for i, n in enumerate(row) if n} == numbers


def test_counts_of_both_strands_agree(script: Script) -> None:
    count = script("kmers").canonical_counts
    turned = [opposite(sequence) for sequence in SEQUENCES]
    assert (count(*batch(SEQUENCES), 4) != count(*batch(turned), 4)).nnz == 0


@pytest.mark.parametrize("k", [2, 4])
def test_canonical_words(script: Script, k: int) -> None:
    words = [bytes(word) for word in product(b"ACGT", repeat=k)]
    canonical = [i for i, word in enumerate(words) if word <= opposite(word)]
    assert script("kmers").canonical_words(k).tolist() == canonical


def test_relatives_are_grouped(script: Script) -> None:
    relatives = script("relatives")
    random = np.random.default_rng(0)
    letters = np.frombuffer(b"ACGT", np.uint8)
    first, other = letters[random.integers(4, size=(2, 16_000))]
    near = first.copy()
    changed = random.choice(16_000, 160, replace=False)  # 1 %
    near[changed] = letters[random.integers(4, size=160)]
    genomes = [first, other, near, np.frombuffer(opposite(first.tobytes()), np.uint8)]
    for one_of in (1, 32):
        sketches = [relatives.sketch(genome.tobytes(), one_of) for genome in genomes]
        assert relatives.groups_of(sketches) == [0, 1, 0, 0]
