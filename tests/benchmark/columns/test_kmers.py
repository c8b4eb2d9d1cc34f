"""The column of k-mers: counts against a count by hand, and what it chooses by."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from benchmark_cases import SIZES, task_of, write_part

from dnamamba.alphabet import Tokenizer, complement_bases
from dnamamba.benchmark.columns import features, kmers, measured
from dnamamba.benchmark.jobs.job import Job
from dnamamba.benchmark.jobs.work import Work
from dnamamba.probing.words import canonical_counts, word_features

Make = Callable[..., Job]
SEQUENCES = [b"ACGTTGCANGTTACG", b"TTTTTTTTTTTTTTT", b"ACGNACGTAC"]
TOKENIZERS = [Tokenizer(), Tokenizer("byte"), Tokenizer("plantcaduceus")]


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kmers, "LENGTHS", (2, 3))
    monkeypatch.setattr(kmers, "STRENGTHS", (1e-3, 1.0))


def opposite(bases: bytes) -> bytes:
    return complement_bases(bases)[::-1]


def batch(sequences: list[bytes], tokenizer: Tokenizer) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.array([len(sequence) for sequence in sequences])
    tokens = np.full((len(sequences), lengths.max()), 9, np.uint8)  # behind a row's end anything
    for row, sequence in zip(tokens, sequences, strict=True):
        row[: len(sequence)] = tokenizer.encode(sequence)
    return tokens, lengths


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda tokenizer: tokenizer.name)
@pytest.mark.parametrize("k", [1, 3, 6])
def test_counts_of_letters(k: int, tokenizer: Tokenizer) -> None:
    counts = canonical_counts(*batch(SEQUENCES, tokenizer), k, tokenizer).toarray()
    for row, sequence in zip(counts, SEQUENCES, strict=True):
        words = [sequence[i : i + k] for i in range(len(sequence) - k + 1)]
        expected = Counter(min(word, opposite(word)) for word in words if b"N" not in word)
        numbers = {
            sum(b"ACGT".index(c) * 4**i for i, c in enumerate(word[::-1])): n
            for word, n in expected.items()
        }
        assert {i: int(n) for i, n in enumerate(row) if n} == numbers


def test_counts_of_both_strands_agree() -> None:
    turned = [opposite(sequence) for sequence in SEQUENCES]
    one, two = (
        canonical_counts(*batch(s, TOKENIZERS[0]), 4, TOKENIZERS[0]) for s in (SEQUENCES, turned)
    )
    assert (one != two).nnz == 0


def test_a_variant_is_what_its_allele_makes_and_breaks() -> None:
    tokenizer = TOKENIZERS[0]
    tokens, lengths = batch([b"ACGTA", b"ACCTA"], tokenizer)
    row = word_features({"tokens": tokens[None], "lengths": lengths[None]}, 1, tokenizer).toarray()
    assert row[0] == pytest.approx([0, 0, 0, 0, 0.6, 0.4, 0, 0])  # C and G are one word
    row = word_features({"tokens": tokens[None], "lengths": lengths[None]}, 2, tokenizer).toarray()
    assert row[0].sum() == pytest.approx(1)
    assert (row[0, :16] != 0).any()


def test_choices_by_the_validation_part(job: Make, work: Work, root: Path) -> None:
    row = measured(job("kmers"), work)
    best = max(row["tried"], key=lambda each: each["validation"])
    assert row["chosen"] == best["chosen"]
    assert row["validation"] == best["validation"]
    assert row["samples"] == SIZES
    assert row["figures"]["mcc"] > 0.5
    write_part(root / "test.csv", SIZES["test"], 7, swapped=True)
    again = measured(job("kmers"), work)
    assert again["tried"] == row["tried"]
    assert again["figures"]["mcc"] < -0.5
    write_part(root / "validation.csv", SIZES["validation"], 1, swapped=True)
    other = measured(job("kmers"), work)
    assert max(each["validation"] for each in other["tried"]) == other["validation"] < 0


def test_without_validation_part_by_folds_of_the_training_part(
    job: Make, work: Work, root: Path
) -> None:
    task = task_of({"files": {"train": "train.csv", "test": "test.csv"}})
    row = measured(job("kmers", task=task), work)
    assert row["samples"] == {**SIZES, "validation": 0}
    assert row["validation"] == max(each["validation"] for each in row["tried"])
    assert row["figures"]["mcc"] > 0.5


def test_a_part_of_the_training_part_serves_to_choose(
    job: Make, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = measured(job("kmers"), work)
    monkeypatch.setattr(features, "_ROWS", 8)
    assert measured(job("kmers"), work)["figures"] == whole["figures"]
    monkeypatch.setattr(kmers, "CHOOSING_BASES", 16 * 24)
    some = measured(job("kmers"), work)
    assert some["tried"] != whole["tried"]
    assert some["samples"] == SIZES
    monkeypatch.setattr(kmers, "STRENGTHS", (some["chosen"]["C"],))
    monkeypatch.setattr(kmers, "LENGTHS", (some["chosen"]["k"],))
    monkeypatch.setattr(kmers, "CHOOSING_BASES", 1 << 30)
    assert measured(job("kmers"), work)["figures"] == some["figures"]


def test_a_metric_that_the_labels_do_not_have(job: Make, work: Work) -> None:
    task = task_of({"files": {part: f"{part}.csv" for part in SIZES}}, "pearson")
    with pytest.raises(ValueError, match="class labels have no metric pearson; choose one of acc"):
        measured(job("kmers", task=task), work)


def test_numbers(job: Make, work: Work) -> None:
    files = {part: f"{part}.csv" for part in SIZES}
    task = task_of({"files": files, "labels": {"kind": "number"}}, "mse")
    row = measured(job("kmers", task=task), work)
    assert row["validation"] == min(each["validation"] for each in row["tried"])
    assert row["figures"]["pearson"] > 0.5


def test_pieces_are_drawn(job: Make, work: Work) -> None:
    """Where the networks draw random pieces of a sequence, some more of it are learned from."""
    files = {"train": "train.csv", "test": "test.csv"}
    task = task_of({"files": files, "length": {"maximum": 16, "longer": "random"}})
    assert measured(job("kmers", task=task), work)["samples"]["train"] == SIZES["train"]
