"""``dnamamba evaluate``: what is printed, the tables, and what is refused."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.commands.evaluate import evaluate_fasta
from dnamamba.inference.scoring import score
from dnamamba.model.language_model import LanguageModel


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
        (
            {"output": "bits.csv"},
            r"output must end in .json or .tsv or .bw or .* or .bedgraph.gz, got 'bits.csv'",
        ),
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
