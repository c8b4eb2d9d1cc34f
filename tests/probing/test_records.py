"""What a probe reads: every form of labelled data, and what is refused by name."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dnamamba.data.labelled.examples import Fields
from dnamamba.data.labelled.labels import Labels
from dnamamba.probing.records import Records, listed_records, read_records

SEQUENCES = [b"ACGT", b"GATTACA", b"TTT", b"CCC"]
LABELS = ["a", "b", "a", "b"]


def read(
    path: Path,
    fields: Fields | None = None,
    labels: Labels | None = None,
    numbers: bool | None = None,
) -> Records:
    return read_records(str(path), fields or Fields(), labels or Labels(), numbers, grouped=True)


def written(path: Path, head: str, labels: list[Any], separator: str = ",") -> Path:
    lines = [f"{s.decode()}{separator}{x}" for s, x in zip(SEQUENCES, labels, strict=True)]
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


def test_tables_fasta_and_folders_give_the_same(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"dna": [s.decode() for s in SEQUENCES], "class": LABELS}), tmp_path / "a.parquet"
    )
    pairs = enumerate(zip(SEQUENCES, LABELS, strict=True))
    headed = [f">r{i} class={x}\n{s.decode()}\n" for i, (s, x) in pairs]
    (tmp_path / "a.fa").write_text("".join(headed))
    files = [
        written(tmp_path / "a.csv", "sequence,label", LABELS),
        written(tmp_path / "a.tsv", "seq\tClass", LABELS, "\t"),
        tmp_path / "a.parquet",
        tmp_path / "a.fa",
    ]
    for path in files:
        records = read(path)
        assert (records.sequences, records.labels) == (SEQUENCES, LABELS), path
        assert records.groups is None
        assert records.settings.kind == "class"


def test_a_folder_with_one_fasta_a_class(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.fa").write_text(f">1{name}\nACGT\n>2{name}\nGGG\n")
    (tmp_path / "notes.txt").write_text("about\n")
    records = read(tmp_path)
    assert records.labels == ["a", "a", "b", "b"]
    assert records.sequences == [b"ACGT", b"GGG"] * 2


def test_a_measure_is_told_by_what_is_written(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "sequence,y", [0.5, 1, 2, 3])
    assert read(path).settings.kind == "number"
    assert read(path, numbers=False).settings.kind == "class"
    path = written(tmp_path / "b.csv", "sequence,y", [0, 1, 0, 1])
    assert read(path).settings.kind == "class"
    assert read(path, numbers=True).settings.kind == "number"
    assert read(path, labels=Labels("number")).settings.kind == "number"


def test_a_measure_in_headers(tmp_path: Path) -> None:
    text = "".join(f">r{i} class={x}\nACGT\n" for i, x in enumerate([0.5, 1, 2, 3]))
    (tmp_path / "a.fa").write_text(text)
    assert read(tmp_path / "a.fa").settings.kind == "number"
    assert read(tmp_path / "a.fa", numbers=False).settings.kind == "class"


def test_a_split_is_not_used_which_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cells = [f"{x},{part}" for x, part in zip(LABELS, ["train", "test"] * 2, strict=True)]
    caplog.set_level("INFO", "dnamamba")
    assert read(written(tmp_path / "a.csv", "dna,label,split", cells)).labels == LABELS
    assert "the column split is not used" in caplog.text


def test_named_columns_and_groups(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.csv", "dna,kind,family", [f"{x},f{i}" for i, x in enumerate("abab")]
    )
    records = read(path, Fields(label="kind", group="family"))
    assert records.labels == LABELS
    assert records.groups == ["f0", "f1", "f2", "f3"]
    assert read(path, Fields(label="kind")).groups is None
    path = written(tmp_path / "b.csv", "dna,label,cluster", [f"{x},{x}" for x in "abab"])
    assert read(path).groups == LABELS
    assert read_records(str(path), Fields(), Labels(), None, grouped=False).groups is None


def test_names_that_hold_side_by_side(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "sequence,x,y", ["1,0", "0,1", "1,1", "0,0"])
    records = read(path, Fields(label=["x", "y"]), Labels("multilabel"))
    assert records.labels == [("x",), ("y",), ("x", "y"), ()]
    assert records.columns == ["x", "y"]


def test_what_is_missing_is_left_out_with_a_warning(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "sequence,label", ["a", "", "a", "b"])
    with pytest.warns(UserWarning, match="leaves out 1 records"):
        assert read(path, labels=Labels(missing="skip")).labels == ["a", "a", "b"]
    with pytest.raises(ValueError, match=r"a\.csv, line 3: the label is missing"):
        read(path)


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"a.txt": ""}, r"a\.txt is no labelled data by its name"),
        ({"a.csv": "sequence,thing\nACGT,a\n"}, r"name it by --fields\.label"),
        ({"a.csv": "thing,label\nACGT,a\n"}, r"name it by --fields\.sequence"),
        ({"a.csv": "sequence,label\n"}, "no record"),
        ({"a.fa": ">x\nACGT\n"}, "where are the labels"),
        ({"a.csv": "sequence,label,group\nACGT,a,\n"}, "line 2: column 'group'"),
    ],
)
def test_a_bad_file(tmp_path: Path, files: dict[str, str], problem: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=problem):
        read(tmp_path / next(iter(files)))


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["a.fa"], "the FASTA of one class, a"),
        (["notes.txt"], "no FASTA"),
        (["train.csv", "test.csv"], r"parts of a split \(test.csv, train.csv\)"),
    ],
)
def test_a_bad_folder(tmp_path: Path, names: list[str], problem: str) -> None:
    for name in names:
        (tmp_path / name).write_text(">a\nACGT\n")
    with pytest.raises(ValueError, match=problem):
        read(tmp_path)


@pytest.mark.parametrize(
    "y",
    [
        LABELS, tuple(LABELS), np.array(LABELS), np.array(LABELS, dtype=object), pd.Series(LABELS),
        pd.Series(LABELS, dtype="category"), pa.array(LABELS), (x for x in LABELS),
    ],
    ids=lambda y: type(y).__name__,
)  # fmt: skip
def test_labels_in_any_column(y: Any) -> None:
    assert listed_records(SEQUENCES, y, None, None).labels == LABELS


def test_kinds_of_values() -> None:
    def of(y: Any) -> tuple[str, list[Any]]:
        records = listed_records(SEQUENCES, y, None, None)
        return records.settings.kind, records.labels

    assert of([0, 1, 0, 1]) == ("class", ["0", "1", "0", "1"])
    assert of(np.array([0.0, 1, 0, 1])) == ("class", ["0", "1", "0", "1"])
    assert of([True, False, True, False]) == ("class", ["True", "False", "True", "False"])
    assert of(np.array([0.1, 1, 2, 3], np.float32))[0] == "number"
    assert of(["0.5", "1", "2", "3"])[0] == "number"


@pytest.mark.parametrize(
    ("y", "problem"),
    [
        (["a", "b", None, "a"], r"y\[2\] is missing \(None\)"),
        ([1.0, np.nan, 2.0, 3.0], r"y\[1\] is missing \(nan\)"),
        (["a", "b", "a", ""], r"y\[3\] is missing"),
        (pd.Series(["a", pd.NA, "b", "a"]), r"y\[1\] is missing"),
        (["a", "b"], "y holds 2 labels for 4 sequences"),
        ("abab", "y must be a list"),
        (np.zeros((4, 2)), r"got a table of \(4, 2\)"),
        (pd.DataFrame({"y": LABELS}), r"got a table of \(4, 1\)"),
        (5, "y must be a list of labels, got 5"),
        ([["a"], ["b"], ["a"], ["b"]], r"y\[0\] must be text or a number"),
    ],
)
def test_bad_labels(y: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        listed_records(SEQUENCES, y, None, None)


@pytest.mark.parametrize(
    ("X", "problem"),
    [
        ([], "at least one sequence"),
        (["ACGT", ""], r"sequences\[1\] is empty"),
        (["ACGT", None], r"sequences\[1\] must be a string"),
        ("ACGT", "got one string"),
        (pd.DataFrame({"a": ["ACGT"]}), "give the column"),
    ],
)
def test_bad_sequences(X: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        listed_records(X, ["a", "b"], None, None)


def test_bad_groups() -> None:
    with pytest.raises(ValueError, match=r"groups\[1\] is missing"):
        listed_records(SEQUENCES, LABELS, ["x", None, "y", "z"], None)
    with pytest.raises(ValueError, match="groups holds 1 groups for 4"):
        listed_records(SEQUENCES, LABELS, ["x"], None)
