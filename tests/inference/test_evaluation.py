from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnamamba.alphabet import Tokenizer
from dnamamba.commands.pieces import intervals
from dnamamba.data.genome.fasta import Genome
from dnamamba.inference import evaluation
from dnamamba.inference.evaluation import evaluate
from dnamamba.inference.intervals import Interval
from dnamamba.inference.scoring import score
from dnamamba.model.language_model import LanguageModel

CLOSE: dict[str, Any] = {"rtol": 1e-5}


@pytest.fixture
def records(sequences: list[str]) -> dict[str, str]:
    return {f"r{i}": sequence for i, sequence in enumerate(sequences)}


@pytest.fixture
def fasta(tmp_path: Path, records: dict[str, str]) -> Path:
    path = tmp_path / "genome.fa"
    path.write_text("".join(f">{name} words\n{bases}\n" for name, bases in records.items()))
    return path


def test_a_contig_in_chunks_is_the_contig_as_one_string(
    model: LanguageModel, tokenizer: Tokenizer, fasta: Path, records: dict[str, str]
) -> None:
    got = evaluate(model, tokenizer, intervals(Genome(fasta), tokenizer), chunk_length=100)
    expected = score(model, tokenizer, list(records.values()), chunk_length=10**6)
    np.testing.assert_allclose(got.log_likelihood, expected.log_likelihood, **CLOSE)
    np.testing.assert_array_equal(got.bases, expected.bases)


def test_never_more_than_a_chunk_is_read(
    model: LanguageModel, tokenizer: Tokenizer, fasta: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = []
    fetch = Genome.fetch

    def watched(self: Genome, contig: str, start: int, end: int, strand: Any = "+") -> bytes:
        spans.append(end - start)
        return fetch(self, contig, start, end, strand)

    monkeypatch.setattr(Genome, "fetch", watched)
    evaluate(model, tokenizer, intervals(Genome(fasta), tokenizer), chunk_length=100)
    assert max(spans) == 100


def test_windows_start_anew_and_leave_no_base_out(
    model: LanguageModel,
    tokenizer: Tokenizer,
    fasta: Path,
    records: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluation, "_GROUP", 3)
    got = evaluate(model, tokenizer, intervals(Genome(fasta), tokenizer), window=64)
    for i, bases in enumerate(records.values()):
        windows = [bases[at : at + 64] for at in range(0, len(bases), 64)]
        expected = score(model, tokenizer, windows)
        assert got.log_likelihood[i] == pytest.approx(expected.log_likelihood.sum(), rel=1e-5)
        assert got.bases[i] == expected.bases.sum()


def test_the_minus_strand_is_read_from_its_own_start(
    model: LanguageModel, tokenizer: Tokenizer, fasta: Path, records: dict[str, str]
) -> None:
    piece = Interval(Genome(fasta), tokenizer, "x", "r2", 20, 350, "-")
    got = evaluate(model, tokenizer, [piece], chunk_length=33)
    flip = str.maketrans("ACGT", "TGCA")
    expected = score(model, tokenizer, [records["r2"][20:350].translate(flip)[::-1]])
    np.testing.assert_allclose(got.log_likelihood, expected.log_likelihood, **CLOSE)
