import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.commands import embedding_parts
from dnamamba.commands.embed import embed_fasta
from dnamamba.inference.embedding import embed
from dnamamba.model.language_model import LanguageModel

CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 2e-5}


@pytest.fixture
def fasta(tmp_path: Path, sequences: list[str]) -> str:
    path = tmp_path / "genome.fa"
    path.write_text("".join(f">r{i}\n{bases}\n" for i, bases in enumerate(sequences)))
    return str(path)


@pytest.fixture
def folder(tmp_path: Path, model: LanguageModel, tokenizer: Tokenizer) -> str:
    return str(checkpoint.save(tmp_path / "model", model, tokenizer))


def _read(path: Path) -> dict[str, Any]:
    """The columns as lists, the vectors as one array, whatever the format."""
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            columns = {name: arrays[name].tolist() for name in arrays.files}
    else:
        columns = pq.read_table(path).to_pydict()
    columns["embedding"] = np.array(columns["embedding"], dtype=np.float32)
    return columns


@pytest.mark.parametrize("ending", ["npz", "parquet"])
@pytest.mark.parametrize("part", [3, 800, 10**6])
def test_records_in_the_files_order(
    folder: str,
    fasta: str,
    model: LanguageModel,
    tokenizer: Tokenizer,
    sequences: list[str],
    tmp_path: Path,
    ending: str,
    part: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(embedding_parts, "_PART", part)
    monkeypatch.setattr(embedding_parts, "_ROWS", 3)
    output = tmp_path / f"vectors.{ending}"
    embed_fasta(folder, fasta, str(output), chunk_length=100)
    got = _read(output)
    assert got["id"] == got["contig"] == [f"r{i}" for i in range(len(sequences))]
    assert got["start"] == [0] * len(sequences)
    assert got["end"] == [len(bases) for bases in sequences]
    assert got["strand"] == ["+"] * len(sequences)
    np.testing.assert_allclose(got["embedding"], embed(model, tokenizer, sequences), **CLOSE)


@pytest.mark.parametrize("ending", ["npz", "parquet"])
@pytest.mark.parametrize("rows", [10, 1 << 14])
def test_one_row_a_base(
    folder: str,
    fasta: str,
    model: LanguageModel,
    tokenizer: Tokenizer,
    sequences: list[str],
    tmp_path: Path,
    ending: str,
    rows: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(embedding_parts, "_PART", 800)
    monkeypatch.setattr(embedding_parts, "_ROWS", rows)
    output = tmp_path / f"vectors.{ending}"
    embed_fasta(folder, fasta, str(output), pooling=None, chunk_length=50)
    got = _read(output)
    expected = np.concatenate(embed(model, tokenizer, sequences, pooling=None))
    np.testing.assert_allclose(got["embedding"], expected, **CLOSE)
    places = [(f"r{i}", at) for i, bases in enumerate(sequences) for at in range(len(bases))]
    assert list(zip(got["id"], got["start"], strict=True)) == places
    assert got["end"] == [at + 1 for _, at in places]
    assert [path.name for path in tmp_path.iterdir() if "parts" in path.name] == []


def test_parquet_says_what_it_is(folder: str, fasta: str, tmp_path: Path) -> None:
    output = tmp_path / "vectors.parquet"
    embed_fasta(folder, fasta, str(output), pooling="max")
    schema = pq.read_schema(output)
    assert str(schema.field("embedding").type) == "fixed_size_list<element: float>[32]"
    assert schema.metadata[b"pooling"] == b"max"


def test_missing_pyarrow_names_the_extra(
    folder: str, fasta: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'dnamamba\[io\]'"):
        embed_fasta(folder, fasta, str(tmp_path / "vectors.parquet"))
    embed_fasta(folder, fasta, str(tmp_path / "vectors.npz"))


def test_an_output_that_stands_is_kept_unless_asked(
    folder: str, fasta: str, tmp_path: Path
) -> None:
    output = tmp_path / "vectors.npz"
    output.write_text("precious")
    with pytest.raises(ValueError, match=r"vectors.npz exists; .*--overwrite"):
        embed_fasta(folder, fasta, str(output))
    assert output.read_text() == "precious"
    embed_fasta(folder, fasta, str(output), overwrite=True)
    assert _read(output)["id"][0] == "r0"


@pytest.mark.parametrize("name", ["vectors.csv", "vectors"])
def test_an_unknown_format_is_refused(folder: str, fasta: str, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"must end in .parquet or .npz or .h5ad"):
        embed_fasta(folder, fasta, str(tmp_path / name))
