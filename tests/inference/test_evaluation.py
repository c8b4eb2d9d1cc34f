import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.commands.evaluate import evaluate_fasta
from dnamamba.data.genome.fasta import Genome
from dnamamba.inference import evaluation
from dnamamba.inference.evaluation import evaluate
from dnamamba.inference.intervals import Interval, intervals
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


@pytest.fixture
def folder(tmp_path: Path, model: LanguageModel, tokenizer: Tokenizer) -> str:
    return str(checkpoint.save(tmp_path / "model", model, tokenizer))


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


def test_tables(
    folder: str,
    model: LanguageModel,
    tokenizer: Tokenizer,
    fasta: Path,
    records: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    expected = score(model, tokenizer, list(records.values()))
    total = -expected.log_likelihood.sum() / np.log(2) / expected.bases.sum()
    as_json, as_tsv = fasta.with_name("bits.json"), fasta.with_name("bits.tsv")
    evaluate_fasta(folder, [str(fasta)], output=str(as_json))
    evaluate_fasta(folder, [str(fasta)], output=str(as_tsv))
    printed = capsys.readouterr().out
    assert f"{total:.4f}" in printed
    assert "r2:0-700(+)" in printed

    content = json.loads(as_json.read_text())
    assert content["total"]["bits_per_base"] == pytest.approx(total, rel=1e-5)
    assert content["total"]["perplexity"] == pytest.approx(2**total, rel=1e-5)
    with as_tsv.open() as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    assert [row["id"] for row in rows] == list(records)
    for row, piece, bits in zip(rows, content["pieces"], expected.bits_per_base, strict=True):
        assert float(row["bits_per_base"]) == pytest.approx(bits, rel=1e-5)
        assert piece["bits_per_base"] == float(row["bits_per_base"])
        assert int(row["end"]) == piece["end"] == len(records[row["id"]])


def test_several_genomes_are_told_apart(folder: str, fasta: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.fa"
    other.write_text(">r0\nNNNN\n")
    output = tmp_path / "bits.json"
    evaluate_fasta(folder, [str(fasta), str(other)], output=str(output))
    last = json.loads(output.read_text())["pieces"][-1]
    assert (last["genome"], last["id"]) == ("other", "r0")
    assert last["scored_bases"] == 0
    assert last["bits_per_base"] is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"output": "bits.csv"}, r"output must end in .json or .tsv, got 'bits.csv'"),
        ({"window": 0}, "window must be at least 1 or null, got 0"),
        ({"bed": "x.bed", "fasta": ["a.fa", "b.fa"]}, "bed goes with one FASTA file, got 2"),
        ({"fasta": ["nowhere.fa"]}, "nowhere.fa"),
        ({"model": "nowhere"}, "nowhere"),
    ],
)
def test_bad_input_is_named(
    folder: str, fasta: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate_fasta(**{"model": folder, "fasta": [str(fasta)], **settings})


def test_an_output_that_stands_is_kept_unless_asked(folder: str, fasta: Path) -> None:
    output = fasta.with_name("bits.json")
    output.write_text("precious")
    with pytest.raises(ValueError, match=r"bits.json exists; .*--overwrite"):
        evaluate_fasta(folder, [str(fasta)], output=str(output))
    assert output.read_text() == "precious"
    evaluate_fasta(folder, [str(fasta)], output=str(output), overwrite=True)
    assert json.loads(output.read_text())["total"]
