"""Labels as people write them: missing values, numbers in several spellings, slips of the pen."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dnamamba.data.labelled import Codec, Fields, Labels, Split
from dnamamba.data.modules.sequences import LabelledFiles, LabelledSequenceDataModule

WORDS = ["", "NA", "na", "N/A", "#N/A", "<NA>", "NaN", "nan", "null", "NULL", "None", ".", " NA "]
SEQUENCES = ["AACC", "ACGG", "CCTA", "GATT", "TTGC", "ACAC"]
WHOLE = Split(validation=0, test=0)
Writer = Callable[[Path, list[tuple[str, str]]], str]


def text(separator: str) -> Writer:
    def write(folder: Path, rows: list[tuple[str, str]]) -> str:
        path = folder / "t.csv"
        lines = [("sequence", "label"), *rows]
        path.write_text("".join(separator.join(line) + "\n" for line in lines))
        return str(path)

    return write


def parquet(folder: Path, rows: list[tuple[str, str]]) -> str:
    sequences, labels = zip(*rows, strict=True)
    table = pa.table({"sequence": sequences, "label": [label or None for label in labels]})
    pq.write_table(table, folder / "t.parquet")
    return str(folder / "t.parquet")


def fasta(folder: Path, rows: list[tuple[str, str]]) -> str:
    path = folder / "t.fa"
    path.write_text("".join(f">s{i} class={y}\n{s}\n" for i, (s, y) in enumerate(rows)))
    return str(path)


WRITERS = {"csv": text(","), "tsv": text("\t"), "semicolons": text(";"), "parquet": parquet,
           "fasta": fasta}  # fmt: skip
HEADER = Fields(header=r"class=(?P<label>.*)")


def module(file: str, **options: Any) -> LabelledSequenceDataModule:
    fields = HEADER if file.endswith(".fa") else Fields()
    made = LabelledSequenceDataModule(
        LabelledFiles(file), **{"fields": fields, "split": WHOLE} | options
    )
    made.setup()
    return made


def rows_with(label: str) -> list[tuple[str, str]]:
    return list(zip(SEQUENCES, ["x", "y", label, "x", "y", "x"], strict=True))


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("word", WORDS)
def test_a_missing_label(kind: str, word: str, tmp_path: Path) -> None:
    file = WRITERS[kind](tmp_path, rows_with(word))
    where = r"(line 4|row 3|record 3 \(s2\)): the label is missing \(label.*labels\.missing=skip"
    with pytest.raises(ValueError, match=rf"t\.\w+, {where}"):
        module(file)
    with pytest.warns(UserWarning, match=r"labels\.missing=skip leaves out 1 records"):
        data = module(file, labels=Labels(missing="skip"))
    assert data.classes == ["x", "y"]
    assert len(data.dataset("train")) == 5
    if word.strip():
        named = module(file, labels=Labels(classes=["x", "y", word.strip()]))
        assert named.train_targets().tolist() == [0, 1, 2, 0, 1, 0]
        mapped = module(file, labels=Labels(mapping={"x": "a", "y": "a", word.strip(): "b"}))
        assert mapped.train_targets().tolist() == [0, 0, 1, 0, 0, 0]


@pytest.mark.parametrize("kind", ["csv", "tsv", "semicolons", "parquet"])
@pytest.mark.parametrize("word", WORDS)
def test_a_missing_sequence(kind: str, word: str, tmp_path: Path) -> None:
    rows = rows_with("x")
    rows[4] = (word, "y")
    file = WRITERS[kind](tmp_path, rows)
    lacks = rf"empty|a missing value, '{word.strip()}'"
    with pytest.raises(ValueError, match=rf"(line 6|row 5): the sequence is ({lacks}); remove"):
        module(file)
    skip = Labels(missing="skip")
    with pytest.warns(UserWarning, match=r"labels\.missing=skip leaves out 1 records"):
        assert len(module(file, labels=skip).dataset("train")) == 5
    new = LabelledSequenceDataModule(LabelledFiles("none.csv", predict=file), labels=skip)
    with pytest.warns(UserWarning, match=r"labels\.missing=skip leaves out 1 records"):
        new.setup("predict")
    assert len(new.dataset("predict")) == 5


def test_missing_values_of_other_kinds(tmp_path: Path) -> None:
    several = text(",")(tmp_path, rows_with("x;NA"))
    with pytest.raises(ValueError, match=r"line 4: the label is missing \(label: 'x;NA'\)"):
        module(several, labels=Labels("multilabel"))
    for word, why in [("NA", "is no number"), ("nan", "is not finite"), ("", "is missing")]:
        file = text(",")(tmp_path, [(s, word if i == 2 else str(i)) for i, s in enumerate(SEQUENCES)])  # fmt: skip  # noqa: E501
        with pytest.raises(ValueError, match=rf"line 4: .*label.* {why}.*labels\.missing=skip"):
            module(file, labels=Labels("number"))
        with pytest.warns(UserWarning, match="leaves out 1 records"):
            assert len(module(file, labels=Labels("number", missing="skip")).dataset("train")) == 5
    flags = [(s, "NA" if i == 2 else str(i % 2)) for i, s in enumerate(SEQUENCES)]
    options: Any = {"fields": Fields(label=["label", "label"]), "split": WHOLE}
    file = text(",")(tmp_path, flags)
    with pytest.raises(ValueError, match=r"line 4: column 'label' must be 0 or 1, got 'NA'; set"):
        module(file, labels=Labels("multilabel"), **options)
    with pytest.warns(UserWarning, match="leaves out 1 records"):
        module(file, labels=Labels("multilabel", missing="skip"), **options)
    with pytest.raises(ValueError, match=r"line 4: column 'label' \(the group\) is a missing val"):
        module(file, fields=Fields(label="sequence", group="label"))


def test_a_class_may_be_called_as_what_is_missing(tmp_path: Path) -> None:
    """Where a file is named for its class, its name says what it is."""
    paths = {}
    for name in ("NA", "EU"):
        (tmp_path / f"{name}.fa").write_text(f">{name}1\nACGT{name[0]}\n".replace("E", "G"))
        paths[name] = str(tmp_path / f"{name}.fa")
    data = LabelledSequenceDataModule(LabelledFiles(paths), split=WHOLE)
    data.setup()
    assert data.classes == ["EU", "NA"]


NUMBERS: list[tuple[str, list[str], list[str], list[int]]] = [
    ("integers turned into floats", ["0", "1", "0.0", "1.0", "0", "1.00"], ["0", "1"],
     [0, 1, 0, 1, 0, 1]),
    ("floats alone", ["0.0", "1.0", "0.0", "1.0", "0.0", "1.0"], ["0.0", "1.0"],
     [0, 1, 0, 1, 0, 1]),
    ("beside words", ["0", "0.0", "x", "x", "0.", "x"], ["0", "x"], [0, 0, 1, 1, 0, 1]),
    ("no numbers", ["1.a", "1.b", "1.a", "1.b", "1.a", "1.b"], ["1.a", "1.b"], [0, 1, 0, 1, 0, 1]),
    ("large", ["123456789012345678", "123456789012345679"] * 3,
     ["123456789012345678", "123456789012345679"], [0, 1, 0, 1, 0, 1]),
]  # fmt: skip


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize(
    ("labels", "classes", "targets"), [r[1:] for r in NUMBERS], ids=[r[0] for r in NUMBERS]
)
def test_numbers_written_in_several_ways(
    kind: str, labels: list[str], classes: list[str], targets: list[int], tmp_path: Path
) -> None:
    data = module(WRITERS[kind](tmp_path, list(zip(SEQUENCES, labels, strict=True))))
    assert data.classes == classes
    assert data.train_targets().tolist() == targets


SPELLINGS = [("1", "01"), ("1", "+1"), ("0.5", "0.50"), ("0.5", ".5"), ("100", "1e2"), ("1", "1.0")]


@pytest.mark.parametrize(("one", "other"), SPELLINGS)
def test_unlikely_spellings_are_one_class_with_a_warning(
    one: str, other: str, tmp_path: Path
) -> None:
    labels = [one, other, "7", one, other, "7"]
    file = text(",")(tmp_path, list(zip(SEQUENCES, labels, strict=True)))
    short = min(one, other, key=len)
    with maybe_warns(other != "1.0", r"is read as .*the same number; if they are two classes"):
        data = module(file)
    first, second, seven, *_ = data.train_targets().tolist()
    assert first == second != seven
    assert short in data.classes
    apart = module(file, labels=Labels(classes=[one, other, "7"]))
    assert apart.train_targets().tolist() == [0, 1, 2, 0, 1, 2]


class maybe_warns:  # noqa: N801
    """``pytest.warns`` where it is expected; a warning is an error elsewhere."""

    def __init__(self, expected: bool, match: str) -> None:
        self.context: Any = (
            pytest.warns(UserWarning, match=match) if expected else warnings.catch_warnings()
        )

    def __enter__(self) -> None:
        self.context.__enter__()

    def __exit__(self, *error: Any) -> None:
        self.context.__exit__(*error)


def test_a_test_set_may_spell_numbers_otherwise(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    train = text(",")(tmp_path, list(zip(SEQUENCES[:4], "0101", strict=True)))
    test = text(",")(tmp_path / "a", list(zip(SEQUENCES[4:], ["1.0", "0.0"], strict=True)))
    data = LabelledSequenceDataModule(LabelledFiles(train, test=test), split=WHOLE)
    data.setup()
    assert data.dataset("test").records.targets.tolist() == [1, 0]
    mapped = LabelledSequenceDataModule(
        LabelledFiles(train, test=test), labels=Labels(mapping={"0": "no", "1": "yes"}), split=WHOLE
    )
    mapped.setup()
    assert mapped.dataset("test").records.targets.tolist() == [1, 0]


SLIPS: list[tuple[list[str], str | None]] = [
    (["enhancer", "Enhancer"], r"classes 'Enhancer' and 'enhancer' differ by case or white space"),
    (["non coding", "noncoding"], r"'non coding' and 'noncoding' differ by case or white space"),
    (["caf\u00e9", "cafe\u0301"], r"by signs that look alike \('cafe\\u0301' and 'caf\\xe9'\)"),
    (["A1", "\u04101"], r"by signs that look alike \('A1' and '\\u04101'\) alone; if they"),
    (["CTCF", "\u0421\u0422\u0421F"], r"signs that look alike \('CTCF' and '\\u0421"),
    (["x", "\uff58"], r"signs that look alike \('x' and '\\uff58'\)"),
    (["x", "x\u200b"], r"signs that look alike \('x' and 'x\\u200b'\)"),
    (["x-y", "x\u2013y"], r"signs that look alike \('x-y' and 'x\\u2013y'\)"),
    (["x y", "x\u00a0y"], r"differ by case or white space"),
    (["\u0416", "\u042f"], None),
    (["cafe", "caf\u00e9"], None),
    (["x"] * 8 + ["y"] * 4 + ["promotor"], r"a single training example has the class 'promotor'"),
    (["x"] * 4 + ["y"] * 2, None),
    (["x", "y"], None),
]


@pytest.mark.parametrize(("labels", "expected"), SLIPS)
def test_likely_slips_are_said(labels: list[str], expected: str | None) -> None:
    with maybe_warns(expected is not None, expected or ""):
        codec = Codec.of_training(Labels(), labels)
    assert set(codec.classes) == set(labels)


def test_a_label_that_looks_like_a_class_is_told_from_it() -> None:
    codec = Codec.of_training(Labels(), ["A", "C"])
    with pytest.raises(ValueError, match=r"it differs from 'A' by .* \('A' and '\\u0410'\) alone"):
        codec.encode(["\u0410"], ["t.csv, line 2"])
    with pytest.raises(ValueError, match=r"'A' has no training .* by signs that look alike"):
        Codec.of_training(Labels(classes=["A", "C"]), ["\u0410", "C"])


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_missing_cell_of_the_split_column(ending: str, tmp_path: Path) -> None:
    parts = ["train", "train", None, "test", "NA", "validation", "train"]
    frame = pd.DataFrame({"sequence": ["AC" * (i + 1) for i in range(7)], "part": parts})
    frame["label"] = list("abababa")
    path = tmp_path / f"t.{ending}"
    frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path)

    def read(missing: Any) -> LabelledSequenceDataModule:
        labels, split = Labels(missing=missing), Split(column="part")
        data = LabelledSequenceDataModule(LabelledFiles(str(path)), labels=labels, split=split)
        data.read()
        return data

    message = r"(line 4|row 3): column 'part' \(the split\) is empty; .* labels\.missing=skip"
    with pytest.raises(ValueError, match=message):
        read("error")
    with pytest.warns(UserWarning, match="leaves out 2 records"):
        data = read("skip")
    sizes = [len(data.dataset(part)) for part in ("train", "validation", "test")]  # type: ignore[arg-type]
    assert sizes == [3, 1, 1]


@pytest.mark.parametrize("column", ["sequence", "label", "group", "part", "id"])
def test_a_null_in_each_column_of_parquet(column: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"sequence": ["AC" * (i + 1) for i in range(6)], "label": list("ababab")})
    frame = frame.assign(group=frame["sequence"], id=frame["sequence"], part="train")
    frame.loc[3, column] = None
    frame.to_parquet(tmp_path / "t.parquet")
    fields, split = Fields(group="group", id="id"), Split(validation=0, test=0, column="part")

    def read(missing: Any) -> int:
        labels, files = Labels(missing=missing), LabelledFiles(str(tmp_path / "t.parquet"))
        data = LabelledSequenceDataModule(files, fields, labels, split)
        data.read()
        return len(data.dataset("train"))

    remedy = r"leave fields\.id out" if column == "id" else r"labels\.missing=skip"
    for missing in ("error", "skip"):
        if missing == "skip" and column != "id":
            with pytest.warns(UserWarning, match="leaves out 1 records"):
                assert read(missing) == 5
            continue
        with pytest.raises(ValueError, match=rf"t\.parquet, row 4: .*{column}.*{remedy}"):
            read(missing)
