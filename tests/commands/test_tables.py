"""``embed`` and ``predict`` of tables: what a FASTA gives, ids and columns kept, clear errors."""

import gzip
import re
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.api import Pretrained
from dnamamba.cli import main
from dnamamba.commands import embedding_parts
from dnamamba.commands.processes import World
from dnamamba.commands.table_rows import read_table
from dnamamba.config import MambaConfig
from dnamamba.model.classifier import Classifier, VariantClassifier
from dnamamba.model.heads import HeadConfig, VariantHeadConfig
from dnamamba.model.language_model import LanguageModel

SEQUENCES = ["ACGTACGGTA", "GGN", "acgtt", "TTTTTTGACCA", "C"]
FRAME = pd.DataFrame(
    {
        "id": [f"r{i}" for i in range(5)],
        "Sequence": SEQUENCES,
        "label": [1, 0, 1, 1, 0],
        "score": [0.5, 1.25, None, 2.0, 3.0],
        "note": ["one, two", "", "x", "y", "007"],
    }
)
CONFIG = MambaConfig(d_model=16, n_layers=1, d_state=4)
LABELS = ("a", "b", "c")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models, and the same sequences as FASTA and as tables of every kind."""
    folder = tmp_path_factory.mktemp("tables")
    torch.manual_seed(0)
    checkpoint.save(folder / "lm", LanguageModel(CONFIG), Tokenizer())
    head = HeadConfig(kind="multiclass", labels=LABELS)
    checkpoint.save(folder / "labels", Classifier(CONFIG, head), Tokenizer())
    of_variants = VariantHeadConfig(kind="binary", labels=("no", "yes"), length=8)
    checkpoint.save(folder / "variants", VariantClassifier(CONFIG, of_variants), Tokenizer())
    records = [f">r{i}\n{bases}\n" for i, bases in enumerate(SEQUENCES)]
    (folder / "g.fa").write_text("".join(records))
    FRAME.to_csv(folder / "t.csv", index=False)
    FRAME.to_csv(folder / "t.tsv", index=False, sep="\t")
    (folder / "t.csv.gz").write_bytes(gzip.compress((folder / "t.csv").read_bytes()))
    FRAME.to_parquet(folder / "t.parquet")
    return folder


def run(folder: Path, line: str) -> int:
    """A command; the first word with an ending is in ``folder``, the output beside it."""
    command, model, *rest = line.split()
    words = [str(folder / word) if "." in word and "/" not in word else word for word in rest]
    return main([command, str(folder / model), *words, "--overwrite", "--device", "cpu"])


@pytest.mark.parametrize("table", ["t.csv", "t.tsv", "t.csv.gz", "t.parquet"])
def test_vectors_are_those_of_a_fasta(folder: Path, table: str) -> None:
    assert run(folder, "embed lm g.fa fasta.npz") == 0
    assert run(folder, f"embed lm {table} table.npz") == 0
    with np.load(folder / "fasta.npz") as fasta, np.load(folder / "table.npz") as got:
        np.testing.assert_array_equal(got["embedding"], fasta["embedding"])
        np.testing.assert_array_equal(got["id"], fasta["id"])
        assert {*got.files} == {"embedding", "id", "model", "table", "pooling", "layer"}
        assert got["table"] == table


@pytest.mark.parametrize("part", [4, 12, 1 << 20])
def test_a_row_a_base_in_any_parts(
    folder: Path, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding_parts, "_PART", part)
    monkeypatch.setattr(embedding_parts, "_ROWS", 7)
    assert run(folder, "embed lm g.fa fasta.parquet --pooling null") == 0
    assert run(folder, "embed lm t.csv table.parquet --pooling null --keep label note") == 0
    fasta, got = (pq.read_table(folder / name) for name in ("fasta.parquet", "table.parquet"))
    assert got.column_names == ["id", "start", "end", "label", "note", "embedding"]
    for name in ("id", "start", "end", "embedding"):
        assert got[name].equals(fasta[name])
    times = [len(bases) for bases in SEQUENCES]
    assert got["label"].to_pylist() == np.repeat(FRAME["label"], times).tolist()


def test_parts_of_a_table_are_taken_over(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_parts, "_PART", 8)
    written: list[Path] = []
    write = embedding_parts.EmbeddingJob.write

    def stops(job: Any, path: Path, *rest: Any) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        write(job, path, *rest)
        written.append(path)

    with monkeypatch.context() as patch:
        patch.setattr(embedding_parts.EmbeddingJob, "write", stops)
        assert run(folder, "embed lm t.csv cut.npz") != 0
    kept = {path.name: path.stat().st_mtime_ns for path in written if path.exists()}
    assert kept
    made: list[str] = []

    def noting(job: Any, path: Path, *rest: Any) -> None:
        made.append(path.name)
        write(job, path, *rest)

    monkeypatch.setattr(embedding_parts.EmbeddingJob, "write", noting)
    assert run(folder, "embed lm t.csv cut.npz") == 0
    assert not {*made} & {*kept}
    assert run(folder, "embed lm t.csv whole.npz") == 0
    assert (folder / "cut.npz").read_bytes() == (folder / "whole.npz").read_bytes()
    assert not (folder / "cut.npz.parts").exists()


def test_another_column_makes_other_parts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    write = embedding_parts.EmbeddingJob.write

    def noting(job: Any, path: Path, *rest: Any) -> None:
        names.append(path.name)
        write(job, path, *rest)

    monkeypatch.setattr(embedding_parts.EmbeddingJob, "write", noting)
    (folder / "two.csv").write_text("id,sequence,other\nx,ACGT,TTTT\n")
    assert run(folder, "embed lm two.csv out.npz") == 0
    assert run(folder, "embed lm two.csv out.npz --column other") == 0
    assert len({*names}) == 2


def test_an_anndata_has_what_is_kept_or_the_coordinates(folder: Path) -> None:
    assert run(folder, "embed lm t.csv table.h5ad --keep label note") == 0
    obs = anndata.read_h5ad(folder / "table.h5ad").obs
    assert list(obs.columns) == ["id", "label", "note"]
    assert obs.index.tolist() == FRAME["id"].tolist()
    assert obs["label"].tolist() == FRAME["label"].tolist()
    assert run(folder, "embed lm g.fa fasta.h5ad --window 4") == 0
    obs = anndata.read_h5ad(folder / "fasta.h5ad").obs
    assert list(obs.columns) == ["id", "contig", "start", "end", "strand"]
    assert obs["start"].tolist()[:3] == [0, 4, 8]


def test_predictions_beside_what_is_kept(folder: Path) -> None:
    assert run(folder, "predict labels g.fa fasta.tsv") == 0
    assert run(folder, "predict labels t.csv table.tsv --keep label score note") == 0
    fasta, got = (
        pd.read_csv(folder / name, sep="\t", dtype=str, keep_default_na=False)
        for name in ("fasta.tsv", "table.tsv")
    )
    said = ["predicted", *(f"probability_{label}" for label in LABELS)]
    assert list(got.columns) == ["id", "label", "score", "note", *said]
    pd.testing.assert_frame_equal(got[["id", *said]], fasta[["id", *said]])
    assert got["score"].tolist() == ["0.5", "1.25", "", "2.0", "3.0"]
    assert got["note"].tolist() == FRAME["note"].tolist()


def test_every_column_can_be_kept(folder: Path) -> None:
    assert run(folder, "predict labels t.parquet all.parquet --keep all") == 0
    got = pq.read_table(folder / "all.parquet")
    assert got.column_names[:5] == ["id", "Sequence", "label", "score", "note"]
    assert got["label"].to_pylist() == FRAME["label"].tolist()  # whole numbers stay such
    assert got["note"].to_pylist()[-1] == "007"


def test_rows_without_ids_are_called_as_in_training(folder: Path) -> None:
    (folder / "plain.tsv").write_text("dna\n\nACGT\nGG\n")
    assert run(folder, "predict labels plain.tsv out.tsv") == 0
    assert pd.read_csv(folder / "out.tsv", sep="\t")["id"].tolist() == [
        "plain.tsv:3",
        "plain.tsv:4",
    ]


def test_from_python(folder: Path) -> None:
    model = Pretrained(*checkpoint.load(str(folder / "labels")))
    got = model.predict_file(folder / "t.csv", keep="all")
    frame = model.predict(FRAME, as_frame=True)
    assert got["predicted"] == frame["predicted"].tolist()
    assert got["label"] == FRAME["label"].tolist()


def test_processes_hold_the_same_table(folder: Path) -> None:
    class Other(World):
        def gather(self, mine: Any) -> list[Any]:
            return [mine, {**mine, str(folder / "t.csv"): "another"}] if "model" in mine else []

    from dnamamba.commands.predict import predict_table

    network, tokenizer = checkpoint.load(str(folder / "labels"))
    with pytest.raises(ValueError, match=r"process 1 of 2 has another .*t\.csv than the first one"):
        predict_table(network, tokenizer, str(folder / "t.csv"), world=Other(0, 2))


TABLES = {
    "gap": "id,seq\nx,ACG\ny,AC-T\n",
    "empty": "id,seq\nx,ACG\ny,\n",
    "missing": "id,seq\nx,NA\n",
    "no id": "id,seq\nx,ACG\n ,AC\n",
    "twice": "id,seq\nx,ACG\ny,A\nx,A\n",
    "none": "id,bases\nx,ACG\n",
    "header": "id,seq\n",
    "ragged": "id,seq\nx,ACG,3\n",
    "same": "id,seq,seq\nx,ACG,A\n",
    "clash": "id,seq,predicted,embedding,model,_index,start,a/b\nx,ACG,1,2,3,4,5,6\n",
}
WRONG = [
    ("gap", "", r"gap\.csv, line 3, column 'seq', position 2 \(0-based\): '-' is a gap"),
    ("empty", "", r"empty\.csv, line 3, column 'seq': the sequence is empty; fill it in, or rem"),
    ("missing", "", r"missing\.csv, line 2, column 'seq': .* a missing value, 'NA'; fill it in"),
    ("no id", "", r"no id\.csv, line 3, column 'id': the id is empty; fill it in, or remove"),
    ("twice", "", r"twice\.csv, line 4, column 'id': the id 'x' stands at .*line 2 too; ids must"),
    ("none", "", r"none\.csv has no column of sequences .*; it has id, bases\. .* by --column"),
    ("none", "--column base", r"none\.csv has no column 'base'; .*; did you mean 'bases'"),
    ("header", "", r"header\.csv has a header and no row"),
    ("ragged", "", r"ragged\.csv, line 2: 3 fields where the header has 2"),
    ("same", "", r"same\.csv: 2 columns are named 'seq'; names must be unique"),
    ("empty", "--keep lable", r"empty\.csv has no column 'lable'; it has id, seq"),
    ("gap", "--window 3", r"--window has no meaning for a table, whose rows are the sequences"),
    ("gap", "--bed g.bed", r"--bed has no meaning for a table, .*gap\.csv\); leave it out"),
    ("gap", "--vcf g.vcf", r"--vcf has no meaning for a table"),
    ("gap", "--checks.mismatch skip", r"--checks has no meaning for a table"),
]


@pytest.mark.parametrize("command", ["embed lm", "predict labels"])
@pytest.mark.parametrize(("name", "flags", "message"), WRONG)
def test_mistakes(
    folder: Path, command: str, name: str, flags: str, message: str, capsys: Any
) -> None:
    (folder / f"{name}.csv").write_text(TABLES[name])
    verb, model = command.split()
    output = folder / ("never.npz" if verb == "embed" else "never.tsv")
    words = [verb, str(folder / model), str(folder / f"{name}.csv"), str(output), *flags.split()]
    assert main(words) == 1
    error = capsys.readouterr().err.strip()
    assert re.search(message, error)
    assert "\n" not in error.partition(f"dnamamba {verb}: ")[2]
    assert not output.exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("embed lm g.fa out.npz --column seq", "--column has no meaning for a FASTA"),
        ("embed lm g.fa out.npz --keep all", "--keep has no meaning for a FASTA"),
        ("predict labels g.fa out.tsv --keep all", "--keep has no meaning for a FASTA"),
        ("predict variants t.csv out.tsv --vcf v.vcf", "must be a FASTA, and .*t.csv is a table"),
        ("predict variants g.fa out.tsv --vcf v.vcf --keep x", "--keep has no meaning for a VCF"),
        ("predict labels clash.csv out.tsv --keep all", "column 'predicted' cannot be kept"),
        ("embed lm clash.csv out.npz --keep embedding", "column 'embedding' cannot be kept"),
        ("embed lm clash.csv out.npz --keep model", "column 'model' cannot be kept"),
        ("embed lm clash.csv out.h5ad --keep model _index", "column '_index' cannot be kept"),
        ("embed lm clash.csv out.h5ad --keep a/b", "column 'a/b' cannot be kept"),
        ("embed lm clash.csv out.npz --keep start --pooling null", "column 'start' cannot be"),
        ("predict lm t.csv out.tsv", "a language model, which has no labels"),
    ],
)
def test_flags_and_names_that_make_no_sense(
    folder: Path, line: str, message: str, capsys: Any
) -> None:
    (folder / "clash.csv").write_text(TABLES["clash"])
    assert run(folder, line) == 1
    assert re.search(message, capsys.readouterr().err)


def test_start_and_end_may_be_kept_where_the_output_has_none(folder: Path) -> None:
    (folder / "places.csv").write_text("seq,contig,start,end\nACG,chr1,5,8\nTT,chr2,x,9\n")
    assert run(folder, "embed lm places.csv places.parquet --keep contig start end") == 0
    got = pq.read_table(folder / "places.parquet").to_pydict()
    assert (got["start"], got["end"]) == (["5", "x"], [8, 9])


def test_rows_some_at_a_time(folder: Path) -> None:
    rows = read_table(folder / "t.csv", Tokenizer(), keep=["label"])
    some = rows.take([3, 1])[1:]
    assert some.column("id") == ["r1"]
    assert some.column("label") == [0]
    assert some.lengths.tolist() == [3]
    assert rows[3].positions(2, 4).tolist() == [2, 3]
    np.testing.assert_array_equal(some[0].ids(0, 3), Tokenizer().encode(b"GGN"))
