"""Labelled sequences: every way to give them, every bad input, and what a batch holds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dnamamba.alphabet import PAD, Tokenizer
from dnamamba.data.labelled import Fields, Labels, Length, Split
from dnamamba.data.modules.sequences import LabelledFiles, LabelledSequenceDataModule

IDS = dict(zip("ACGTN", range(4, 9), strict=True))
Rows = list[tuple[Any, ...]]


def module(files: LabelledFiles, **options: Any) -> LabelledSequenceDataModule:
    made = LabelledSequenceDataModule(files, **options)
    made.setup()
    return made


def decoded(batch: dict[str, torch.Tensor]) -> list[str]:
    rows = zip(batch["tokens"].numpy(), batch["lengths"].tolist(), strict=True)
    return [Tokenizer().decode(row[:n]) for row, n in rows]


def random_sequences(n: int, length: int, seed: int = 0) -> list[str]:
    letters = np.random.default_rng(seed).integers(0, 4, (n, length))
    return ["".join("ACGT"[i] for i in row) for row in letters]


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def table(path: Path, rows: Rows, header: str = "sequence,label") -> str:
    return write(path, header + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))


@pytest.fixture
def three(tmp_path: Path) -> LabelledFiles:
    """Training, validation and test files of the classes ``dog`` and ``cat``."""
    s = random_sequences(8, 12)
    train = table(tmp_path / "train.csv", [(s[0], "dog"), (s[1], "cat"), (s[2], "dog")])
    validation = table(tmp_path / "validation.csv", [(s[3], "cat")])
    test = table(tmp_path / "test.csv", [(s[4], "cat"), (s[5], "dog")])
    return LabelledFiles(train, validation, test)


# ---- what is read


def test_given_files_become_the_splits(three: LabelledFiles) -> None:
    data = module(three)
    assert data.classes == ["cat", "dog"]
    assert [len(data.dataset(p)) for p in ("train", "validation", "test", "predict")] == [
        3,
        1,
        2,
        0,
    ]
    (batch,) = data.test_dataloader()
    assert decoded(batch) == random_sequences(8, 12)[4:6]
    assert batch["label"].tolist() == [0, 1]
    assert data.describe(batch["index"], "test") == ["test.csv:2", "test.csv:3"]


def test_one_fasta_a_class(tmp_path: Path) -> None:
    files = {
        name: write(tmp_path / f"{name}.fa", f">{name}1 x\nAC\nG\n\n>{name}2\n{'acgn' * k}\n")
        for k, name in enumerate(["fish", "bird"], 1)
    }
    data = module(LabelledFiles(files), split=Split(validation=0, test=0), global_batch_size=4)
    (batch,) = data.train_dataloader()
    names = data.describe(batch["index"])
    found = dict(zip(names, zip(decoded(batch), batch["label"].tolist(), strict=True), strict=True))
    assert data.classes == ["bird", "fish"]
    assert found == {
        "fish1": ("ACG", 1), "fish2": ("ACGN", 1), "bird1": ("ACG", 0), "bird2": ("ACGNACGN", 0),
    }  # fmt: skip


def test_classes_may_be_named_by_numbers(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{n}.fa", f">x{n}\n{'ACGT' * (n + 1)}\n") for n in range(2)]
    files: Any = dict(enumerate(paths))  # as YAML reads {0: negative.fa, 1: positive.fa}
    split = Split(validation=0, test=0)
    data = LabelledSequenceDataModule(LabelledFiles(files), split=split)
    data.setup()
    assert data.classes == ["0", "1"]
    assert data.train_targets().tolist() == [0, 1]


def test_labels_and_groups_from_fasta_headers(tmp_path: Path) -> None:
    text = "".join(f">s{i} class={'ab'[i % 2]} family={i // 4}\n{s}\n"
                   for i, s in enumerate(random_sequences(16, 8)))  # fmt: skip
    data = module(
        LabelledFiles(write(tmp_path / "all.fa", text)),
        fields=Fields(header=r"class=(?P<label>\w) family=(?P<group>\d+)"),
        split=Split(validation=0.25, test=0.25),
    )
    assert data.classes == ["a", "b"]
    families = {}
    for part in ("train", "validation", "test"):
        for name in data.dataset(part).records.ids:
            assert families.setdefault(int(name[1:]) // 4, part) == part
    assert sorted(families.values()) == ["test", "train", "train", "validation"]


def test_classes_are_numbered_as_numbers_or_as_told(tmp_path: Path) -> None:
    rows = [(s, i) for i, s in zip([10, 2, 1], random_sequences(3, 9), strict=True)]
    files = LabelledFiles(table(tmp_path / "t.csv", rows))
    nothing = Split(validation=0, test=0)
    assert module(files, split=nothing).classes == ["1", "2", "10"]
    told = module(files, split=nothing, labels=Labels(classes=["10", "1", "2"]))
    assert told.dataset("train").records.targets.tolist() == [0, 2, 1]


def test_mapping_merges_labels_and_leaves_out_others(tmp_path: Path) -> None:
    rows = list(zip(random_sequences(5, 9), ["P", "LP", "B", "VUS", ""], strict=True))
    files = LabelledFiles(table(tmp_path / "t.csv", rows))
    labels = Labels(mapping={"P": "bad", "LP": "bad", "B": "good"})
    with pytest.warns(UserWarning, match=r"labels\.mapping leaves out 2 records"):
        data = module(files, labels=labels, split=Split(validation=0, test=0))
    assert data.dataset("train").records.targets.tolist() == [0, 0, 1]


def test_several_names_in_one_field_or_as_flags(tmp_path: Path) -> None:
    s = random_sequences(3, 9)
    one = table(tmp_path / "one.csv", list(zip(s, ["b;a", "", "a"], strict=True)))
    flags = table(tmp_path / "flags.csv", [(s[0], 1, 1), (s[1], 0, 0), (s[2], 1, "false")],
                  "sequence,a,b")  # fmt: skip
    labels, nothing = Labels("multilabel"), Split(validation=0, test=0)
    for files, fields in [(one, Fields()), (flags, Fields(label=["a", "b"]))]:
        data = module(LabelledFiles(files), fields=fields, labels=labels, split=nothing)
        assert data.classes == ["a", "b"]
        targets = data.dataset("train").records.targets
        assert targets.dtype == np.float32
        assert targets.tolist() == [[1, 1], [0, 0], [1, 0]]
        assert data.class_weights.tolist() == [0.5, 2]


def test_numbers(tmp_path: Path) -> None:
    rows = [(s, i / 4) for i, s in enumerate(random_sequences(40, 9))]
    data = module(LabelledFiles(table(tmp_path / "t.csv", rows)), labels=Labels("number"))
    assert data.classes == []
    (batch,) = data.test_dataloader()
    assert batch["label"].dtype == torch.float32
    assert len(batch["label"]) == 4
    train = data.dataset("train").records.targets
    assert train.dtype == np.float32
    # each tenth of the range keeps three of its four records, or all of them
    assert (np.bincount((train * 4).astype(int) // 4, minlength=10) >= 2).all()
    with pytest.raises(ValueError, match="no class weights"):
        _ = data.class_weights


def test_a_column_names_the_split(tmp_path: Path) -> None:
    parts = ["train", "Training", "dev", "val", "test", "test"]
    rows = [
        (s, i % 2, p) for i, (s, p) in enumerate(zip(random_sequences(6, 9), parts, strict=True))
    ]
    files = LabelledFiles(table(tmp_path / "t.csv", rows, "sequence,label,split"))
    data = module(files, split=Split(column="split"))
    assert [len(data.dataset(p)) for p in ("train", "validation", "test")] == [2, 2, 2]


def test_folds_cover_every_record_once(tmp_path: Path) -> None:
    rows = [(s, i % 3) for i, s in enumerate(random_sequences(50, 9))]
    files = LabelledFiles(table(tmp_path / "t.csv", rows))
    tests: list[str] = []
    for fold in range(5):
        data = module(files, split=Split(folds=5, fold=fold, validation=0.2))
        parts = [set(data.dataset(p).records.ids) for p in ("train", "validation", "test")]
        assert [len(part) for part in parts] == [30, 10, 10]
        assert len(set.union(*parts)) == 50
        tests += parts[2]
    assert len(set(tests)) == 50


def test_copies_on_either_strand_stay_together(tmp_path: Path) -> None:
    """In our own division nothing leaks, though half of the file is the other half turned over."""
    half = random_sequences(60, 20)
    turned = [s.translate(str.maketrans("ACGT", "TGCA"))[::-1].lower() for s in half]
    rows = [(s, i % 2) for i, s in enumerate([*half, *turned])]
    data = module(
        LabelledFiles(table(tmp_path / "t.csv", rows))
    )  # a leak would warn, an error here
    lines = {p: {int(n[6:]) - 2 for n in data.dataset(p).records.ids} for p in ("train", "test")}
    assert {i % 60 for i in lines["train"]}.isdisjoint(i % 60 for i in lines["test"])


def test_a_share_that_nothing_falls_to_is_said(tmp_path: Path) -> None:
    split = Split(validation=0.2, test=0)
    rows = [("ACGT" * n, "xy"[n % 2], "one") for n in range(1, 9)]
    files = LabelledFiles(table(tmp_path / "a.csv", rows, "sequence,label,group"))
    data = LabelledSequenceDataModule(files, Fields(group="group"), split=split)
    with pytest.warns(UserWarning, match=r"validation is empty, though split asks .* 0\.2: .*few"):
        data.setup()
    assert len(data.dataset("train")) == 8


def test_copies_in_given_files_are_counted(tmp_path: Path) -> None:
    train = table(tmp_path / "a.csv", [("AACC", 0, "x"), ("ACGG", 1, "y")], "sequence,label,family")
    test = table(tmp_path / "b.csv", [("GGTT", 0, "z"), ("ACGA", 1, "y"), ("aacc", 0, "z")],
                 "sequence,label,family")  # fmt: skip
    with pytest.warns(UserWarning, match="not independent") as caught:
        module(LabelledFiles(train, test=test), fields=Fields(group="family"))
    assert (
        "sequences (or their reverse complements): 2 of 3 in test also stand in train; "
        "records of a shared group: 1 of 3 in test also stand in train"
    ) in str(caught[0].message)


def test_unlabelled_sequences_are_predicted_in_order(three: LabelledFiles, tmp_path: Path) -> None:
    fasta = write(tmp_path / "new.fa", ">x\nACGT\n>y\nAC\n")
    data = LabelledSequenceDataModule(
        LabelledFiles("absent.csv", predict=fasta), global_batch_size=4
    )
    data.setup("predict")  # the training files are not needed
    (batch,) = data.predict_dataloader()
    assert set(batch) == {"tokens", "lengths", "index"}
    assert decoded(batch) == ["ACGT", "AC"]
    assert data.describe(batch["index"], "predict") == ["x", "y"]
    with pytest.raises(ValueError, match="nothing to predict"):
        module(three).predict_dataloader()


# ---- what is refused: file, record and remedy

A, B, C = random_sequences(3, 6, seed=5)
GOOD = [(A, "x"), (B, "y")]
BAD_LABELS: list[tuple[str, dict[str, Any], Rows, Rows, str]] = [
    # name, options, training rows, test rows, error
    ("unseen in training", {}, GOOD, [(C, "X")],
     r"test\.csv, line 2: label 'X' does not occur in training, which knows x, y.*labels\.mapping"),
    ("missing", {}, [*GOOD, (C, "")], [],
     r"train\.csv, line 4: the label is missing \(label\); fill it in"),
    ("blank", {}, [*GOOD, (C, "  ")], [], r"train\.csv, line 4: the label is missing"),
    ("one class only", {}, [(A, "x"), (B, "x")], [], "hold only the class 'x'; at least 2"),
    ("not numbers", {"labels": Labels("number")}, [(A, 1), (B, "high")], [],
     r"train\.csv, line 3: label 'high' is no number, as labels\.kind=number asks for"),
    ("not finite", {"labels": Labels("number")}, [(A, 1), (B, "nan")], [],
     r"train\.csv, line 3: label 'nan' is not finite"),
    ("a missing number", {"labels": Labels("number")}, [(A, 1), (B, "")], [],
     r"train\.csv, line 3: the label is missing"),
    ("a class never seen", {"labels": Labels(classes=["x", "y", "z"])}, GOOD, [],
     "class 'z' has no training example; the classes there are x, y"),
    ("a class not listed", {"labels": Labels(classes=["x", "y"])}, [*GOOD, (C, "z")], [],
     r"train\.csv, line 4: label 'z' does not occur"),
    ("no name at all", {"labels": Labels("multilabel")}, [(A, ""), (B, "")], [],
     "no training example has any of the labels"),
    ("a flag that is none",
     {"labels": Labels("multilabel"), "fields": Fields(label=["label", "label"])},
     [(A, 1), (B, 2)], [], r"train\.csv, line 3: column 'label' must be 0 or 1, got '2'"),
    ("nothing mapped", {"labels": Labels(mapping={"q": "x"})}, GOOD, [],
     r"train\.csv: no record is left"),
]  # fmt: skip
BAD_SEQUENCES: list[tuple[str, dict[str, Any], Rows, Rows, str]] = [
    ("empty", {}, [*GOOD, ("", "x")], [], r"train\.csv, line 4: the sequence is empty; remove"),
    ("longer than the maximum", {"length": Length(5)}, GOOD, [],
     r"train\.csv, line 2: 6 bases, more than length\.maximum=5; raise it, or set length\.longer"),
    ("a gap", {}, [*GOOD, ("AC-GT", "x")], [], r"train\.csv, line 4, position 2 \(0-based\): '-'"),
    ("a protein", {}, [*GOOD, ("MEEPQ", "x")], [], r"train\.csv, line 4, position 1 .*protein"),
    ("not ASCII", {}, [*GOOD, ("ACé", "x")], [], r"train\.csv, line 4, position 2 .*no nucleotide"),
    ("IUPAC refused", {"tokenizer": Tokenizer(iupac="error")}, [*GOOD, ("ACR", "x")], [],
     r"train\.csv, line 4, position 2 .*tokenizer\.iupac=accept"),
    ("ids twice", {"fields": Fields(id="label")}, [(A, "x"), (B, "y"), (C, "x")], [],
     r"train\.csv, line 4: the id 'x' stands at .*train\.csv, line 2 too; ids must be unique"),
    ("id missing", {"fields": Fields(id="label")}, [(A, "x"), (B, "")], [],
     r"line 3: (column 'label' \(the id\) is empty|the label is missing)"),
    ("no record", {}, [], [], r"train\.csv: no record"),
    ("no such column", {"fields": Fields(sequence="seq")}, GOOD, [],
     r"train\.csv has no column 'seq'; it has sequence, label; did you mean 'sequence'\?"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "train", "test", "expected"),
    [row[1:] for row in BAD_LABELS + BAD_SEQUENCES],
    ids=[row[0] for row in BAD_LABELS + BAD_SEQUENCES],
)
def test_refuses(
    options: dict[str, Any],
    train: Rows,
    test: Rows,
    expected: str,
    tmp_path: Path,
) -> None:
    files = LabelledFiles(
        table(tmp_path / "train.csv", train),
        test=table(tmp_path / "test.csv", test) if test else None,
    )
    data = LabelledSequenceDataModule(files, split=Split(validation=0, test=0), **options)
    with pytest.raises(ValueError, match=expected):
        data.setup()


BAD_FASTA: list[tuple[str, str, Fields, str]] = [
    ("no header", "ACGT\n", Fields(header="(?P<label>.)"), r"a\.fa, line 1: expected FASTA"),
    ("empty record", ">x 1\n>y 2\nAC\n", Fields(header=r"(?P<label>\d)"),
     r"a\.fa, record 1 \(x\): the sequence is empty"),
    ("nameless record", ">\nAC\n", Fields(header="(?P<label>.)"), "line 1: header without a name"),
    ("names twice", ">x 1\nAC\n>x 2\nAG\n", Fields(header=r"(?P<label>\d)"),
     r"a\.fa, record 2 \(x\): the id 'x' stands at .*record 1 \(x\) too"),
    ("pattern does not match", ">x class=1\nAC\n>y\nAG\n", Fields(header=r"class=(?P<label>\d)"),
     r"a\.fa, record 2 \(y\): fields\.header does not match 'y'"),
    ("labels nowhere", ">x\nAC\n", Fields(), r"a\.fa: where are the labels\? Give one FASTA"),
    ("a letter", ">x 1\nAC\n>y 2\nA*G\n", Fields(header=r"(?P<label>\d)"),
     r"a\.fa, record 2 \(y\), position 1 \(0-based\)"),
    ("empty file", "", Fields(header="(?P<label>.)"), r"a\.fa is empty"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "fields", "expected"), [r[1:] for r in BAD_FASTA], ids=[r[0] for r in BAD_FASTA]
)
def test_refuses_fasta(text: str, fields: Fields, expected: str, tmp_path: Path) -> None:
    files = LabelledFiles(write(tmp_path / "a.fa", text))
    data = LabelledSequenceDataModule(files, fields=fields, split=Split(validation=0, test=0))
    with pytest.raises(ValueError, match=expected):
        data.setup()


def test_a_missing_file_is_not_asked_for_its_labels(tmp_path: Path) -> None:
    data = LabelledSequenceDataModule(LabelledFiles(str(tmp_path / "absent.txt")))
    with pytest.raises(ValueError, match=r"cannot read .*absent\.txt: No such file"):
        data.setup()


BAD_SETTINGS: list[tuple[str, dict[str, Any], str]] = [
    ("label kind", {"labels": lambda: Labels("regression")}, r"labels\.kind must be 'class'"),
    ("class twice", {"labels": lambda: Labels(classes=["a", "a"])}, "names 'a' twice"),
    ("mapped names", {"labels": lambda: Labels("number", mapping={"a": "b"})},
     r"labels\.mapping is for"),
    ("classes of numbers", {"labels": lambda: Labels("number", classes=["a"])}, "no meaning"),
    ("separator", {"labels": lambda: Labels("multilabel", separator="")}, r"labels\.separator"),
    ("header without label", {"fields": lambda: Fields(header="x")}, "has no group named label"),
    ("broken pattern", {"fields": lambda: Fields(header="(?P<label>")}, r"missing \)"),
    ("no label column", {"fields": lambda: Fields(label=[])}, r"fields\.label names no column"),
    ("flags of one class", {"fields": lambda: Fields(label=["a", "b"])}, "2 columns, which is for"),
    ("maximum 0", {"length": lambda: Length(0)}, r"length\.maximum must be at least 1"),
    ("cut without a maximum", {"length": lambda: Length(longer="start")}, r"needs length\.maximum"),
    ("unknown cut", {"length": lambda: Length(5, "end")}, r"length\.longer must be"),
    ("batch of 0", {"global_batch_size": lambda: 0}, r"data\.global_batch_size must be at least 1"),
    ("negative seed", {"seed": lambda: -1}, r"data\.seed must be 0 to"),
    ("negative workers", {"num_workers": lambda: -1}, r"data\.num_workers must be 0 or more"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "expected"), [r[1:] for r in BAD_SETTINGS], ids=[r[0] for r in BAD_SETTINGS]
)
def test_refuses_settings(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        LabelledSequenceDataModule(LabelledFiles("a.csv"), **{k: v() for k, v in options.items()})


def test_refuses_splits_given_twice(three: LabelledFiles, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"split\.column=label divides the training files, but"):
        module(three, split=Split(column="label"))
    with pytest.raises(ValueError, match="asks for a share for test, but its examples are given"):
        module(three, split=Split(test=0.1))
    with pytest.raises(ValueError, match="asks for a share for test"):
        module(three, split=Split(folds=3))
    one = LabelledFiles(three.train)
    with pytest.raises(
        ValueError, match=r"line 2: column 'label' must be one of train.* got 'dog'"
    ):
        module(one, split=Split(column="label"))
    with pytest.raises(ValueError, match="one file a class must be FASTA"):
        module(LabelledFiles({"a": str(three.train)}))


# ---- what a batch holds


def test_batches_are_padded_to_their_longest(three: LabelledFiles, tmp_path: Path) -> None:
    rows = [("ACGT", "cat"), ("AC", "dog"), ("acgtNR", "cat")]
    test = table(tmp_path / "u.csv", rows)
    data = module(LabelledFiles(three.train, test=test), global_batch_size=2)
    first, second = data.test_dataloader()
    assert first["tokens"].tolist() == [[IDS[c] for c in "ACGT"], [4, 5, PAD, PAD]]
    assert first["tokens"].dtype == torch.uint8
    assert first["lengths"].tolist() == [4, 2]
    assert first["label"].dtype == torch.int64
    assert second["tokens"].tolist() == [[IDS[c] for c in "ACGTNN"]]
    assert (first["index"].tolist(), second["index"].tolist()) == ([0, 1], [2])


def test_a_negative_number_is_an_empty_row(three: LabelledFiles) -> None:
    data = module(three)
    batch = data.dataset("test")[np.array([1, -1])]
    assert batch["lengths"].tolist() == [12, 0]
    assert (batch["tokens"][1] == PAD).all()
    assert data.describe(batch["index"], "test") == ["test.csv:3", "an empty row"]
    (only,) = [data.dataset("test")[np.array([-1])]]
    assert only["tokens"].shape == (1, 1)


@pytest.mark.parametrize(
    ("longer", "expected"), [("start", "AACC"), ("center", "CCGG"), ("random", None)]
)
def test_long_sequences_are_cut_by_choice(
    longer: Any, expected: str | None, tmp_path: Path
) -> None:
    rows = [("AACCGGTT", 0), ("TTT", 1)]
    train = table(tmp_path / "t.csv", rows)
    test = table(tmp_path / "u.csv", [("aaccggtt", 0)])
    length = Length(4, longer)
    with pytest.warns(UserWarning, match="not independent"):
        data = module(LabelledFiles(train, test=test), length=length, global_batch_size=2)
    (batch,) = data.test_dataloader()
    (again,) = data.test_dataloader()
    assert decoded(batch) == decoded(again)
    with pytest.warns(UserWarning, match="not independent"):
        other = module(data.files, length=length, seed=1)
    assert other.dataset("test").order == data.dataset("test").order
    if expected:
        assert decoded(batch) == [expected]
        return
    dataset = data.dataset("train")
    drawn = [decoded(dataset[np.arange(2 * i, 2 * i + 2)]) for i in range(200)]
    pieces = {piece for pair in drawn for piece in pair}
    assert pieces == {"TTT", *("AACCGGTT"[i : i + 4] for i in range(5))}
    (first,) = [decoded(dataset[np.arange(2)])]
    assert first == drawn[0]


def test_every_epoch_holds_every_record_once_in_another_order(tmp_path: Path) -> None:
    rows = [(s, i % 2) for i, s in enumerate(random_sequences(37, 9))]
    data = module(LabelledFiles(table(tmp_path / "t.csv", rows)), split=Split(validation=0, test=0))
    order = data.dataset("train").order
    epochs = [order.numbers(np.arange(37 * e, 37 * (e + 1))) for e in range(3)]
    assert all(sorted(epoch.tolist()) == list(range(37)) for epoch in epochs)
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == 3
    other = module(data.files, split=data.split, seed=1).dataset("train").order
    assert other.numbers(np.arange(37)).tolist() != epochs[0].tolist()


def test_strands_are_drawn_for_training_alone(tmp_path: Path) -> None:
    rows = [("AAC", 0), ("GGT", 1)]
    train, test = table(tmp_path / "t.csv", rows), table(tmp_path / "u.csv", [("ACC", 0)])
    with pytest.warns(UserWarning, match="not independent"):
        data = module(LabelledFiles(train, test=test), reverse_complement=True)
    rows_read = decoded(data.dataset("train")[np.arange(1000)])
    counts = {row: rows_read.count(row) for row in set(rows_read)}
    assert set(counts) == {"AAC", "GTT", "GGT", "ACC"}
    assert all(200 < count < 300 for count in counts.values())
    labels = data.dataset("train")[np.arange(1000)]["label"].tolist()
    assert all(
        (row in ("GGT", "ACC")) == bool(label) for row, label in zip(rows_read, labels, strict=True)
    )
    assert decoded(data.dataset("test")[np.zeros(20, np.int64)]) == ["ACC"] * 20


def test_class_weights_balance_the_training_split(tmp_path: Path) -> None:
    rows = [(s, "ab"[i % 4 == 0]) for i, s in enumerate(random_sequences(40, 9))]
    data = module(LabelledFiles(table(tmp_path / "t.csv", rows)), split=Split(validation=0, test=0))
    weights = data.class_weights
    assert weights.dtype == torch.float32
    assert weights.tolist() == pytest.approx([40 / (2 * 30), 40 / (2 * 10)])
