"""A user's table or folder becomes a task with settings that fit what it holds."""

from pathlib import Path
from typing import Any

import pytest
from benchmark_data import fasta, records, table

from dnamamba.benchmark.tasks.leaks import leaks_of
from dnamamba.benchmark.tasks.own import in_folds, own_tasks
from dnamamba.benchmark.tasks.task import Task

PARTS = ("train", "validation", "test")


def _only(path: Path) -> Task:
    (task,) = own_tasks(path)
    return task


def _sizes(task: Task) -> list[int]:
    module = task.module(Path(task.root))
    return [len(module.dataset(part)) for part in PARTS]


@pytest.mark.parametrize("name", ["my.csv", "my.tsv", "my.csv.gz"])
def test_a_table_is_divided_with_relatives_apart(tmp_path: Path, name: str) -> None:
    task = _only(table(tmp_path / name, records(100)))
    assert (task.key, task.metric, task.apart) == ("own/my", "mcc", True)
    assert _sizes(task) == [65, 15, 20]
    assert leaks_of(task, Path(task.root)).relatives == 0


def test_every_record_is_tested_in_one_fold(tmp_path: Path) -> None:
    task = in_folds(_only(table(tmp_path / "my.csv", records(100))), 5)
    modules = [task.module(Path(task.root), fold) for fold in range(5)]
    tested = [module.describe(range(len(module.dataset("test"))), "test") for module in modules]
    assert len({name for fold in tested for name in fold}) == sum(map(len, tested)) == 100
    assert [len(modules[0].dataset(part)) for part in PARTS] == [65, 15, 20]


def test_parquet_is_a_table_too(tmp_path: Path) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    sequences, labels = zip(*records(40), strict=True)
    content = pa.table({"Seq": sequences, "Class": [int(label) for label in labels]})
    parquet.write_table(content, tmp_path / "my.parquet")
    assert _sizes(_only(tmp_path / "my.parquet")) == [26, 6, 8]


@pytest.mark.parametrize("header", [("seq", "target"), ("DNA", "Class"), ("Sequence", "LABEL")])
def test_usual_names_of_columns_are_known(tmp_path: Path, header: tuple[str, str]) -> None:
    task = _only(table(tmp_path / "my.csv", records(40), *header))
    fields = task.data["init_args"]["fields"]
    assert (fields["sequence"], fields["label"]) == header
    assert sum(_sizes(task)) == 40


@pytest.mark.parametrize(
    ("header", "role"), [(("bases", "label"), "sequence"), (("sequence", "grade"), "label")]
)
def test_an_unknown_column_is_asked_for(tmp_path: Path, header: tuple[str, str], role: str) -> None:
    path = table(tmp_path / "my.csv", records(4), *header)
    message = rf"my\.csv has no column of {role}s .*it has {', '.join(header)}.*fields\.{role}"
    with pytest.raises(ValueError, match=message):
        own_tasks(path)


@pytest.mark.parametrize(
    ("labels", "metric"),
    [
        (["0", "1", "2"], "mcc"),
        (["0.0", "1.0"], "mcc"),
        (["a", "b"], "mcc"),
        (["0.5", "1"], "pearson"),
        ([str(i) for i in range(50)], "pearson"),
        (["0.5", "x"], "mcc"),
        (["-1e-3", "2e5"], "pearson"),
    ],
)
def test_the_kind_of_labels_is_seen(tmp_path: Path, labels: list[str], metric: str) -> None:
    rows = [(bases, labels[i % len(labels)]) for i, (bases, _) in enumerate(records(100))]
    task = _only(table(tmp_path / "my.csv", rows))
    assert task.metric == metric
    assert ("a measure" in task.note) == (metric == "pearson")
    kind = task.data["init_args"].get("labels", {}).get("kind", "class")
    assert kind == ("number" if metric == "pearson" else "class")
    assert sum(_sizes(task)) == 100


def test_a_column_of_groups_is_the_users_own(tmp_path: Path) -> None:
    rows = [(*row, f"g{i // 10}") for i, row in enumerate(records(100))]
    task = _only(table(tmp_path / "my.csv", rows, "sequence", "label", "group"))
    assert not task.apart
    sizes = _sizes(task)
    assert sum(sizes) == 100
    assert all(size and size % 10 == 0 for size in sizes)


@pytest.mark.parametrize(
    ("named", "sizes"),
    [(["train", "dev", "test"], [34, 34, 32]), (["train", "test"], [43, 7, 50])],
)
def test_a_column_of_parts_is_followed(tmp_path: Path, named: list[str], sizes: list[int]) -> None:
    rows = [(*row, named[i // 2 % len(named)]) for i, row in enumerate(records(100))]
    task = _only(table(tmp_path / "my.csv", rows, "sequence", "label", "split"))
    assert not task.apart
    assert _sizes(task) == sizes


def test_a_column_of_other_sets_is_no_split(tmp_path: Path) -> None:
    rows = [(*row, "abc"[i % 3]) for i, row in enumerate(records(40))]
    assert _only(table(tmp_path / "my.csv", rows, "sequence", "label", "set")).apart


@pytest.mark.parametrize(
    ("parts", "sizes"),
    [
        (["train", "dev", "test"], [40, 20, 10]),
        (["train", "valid", "test"], [40, 20, 10]),
        (["train", "test"], [34, 6, 10]),
        (["train", "validation"], [32, 20, 8]),
        (["train"], [26, 6, 8]),
        (["dev", "test"], [17, 3, 10]),
    ],
)
def test_a_folder_of_parts_is_one_task(tmp_path: Path, parts: list[str], sizes: list[int]) -> None:
    for part in parts:
        n = {"train": 40, "test": 10}.get(part, 20)
        table(tmp_path / "my" / f"{part}.csv", records(n, seed=n))
    task = _only(tmp_path / "my")
    assert task.key == "own/my"
    assert task.apart == (parts == ["train"])
    assert _sizes(task) == sizes


def test_one_fasta_a_class(tmp_path: Path) -> None:
    for i, name in enumerate(("cat", "dog", "test")):
        fasta(tmp_path / "my" / f"{name}.fa", [bases for bases, _ in records(20, seed=i)])
    (tmp_path / "my" / "README").write_text("cats and dogs")
    task = _only(tmp_path / "my")
    assert task.module(Path(task.root)).classes == ["cat", "dog", "test"]
    assert sum(_sizes(task)) == 60


@pytest.mark.parametrize("header", ["{name}{i} class=c%d", "{name}{i}|%d"])
def test_a_fasta_may_name_labels_in_its_headers(tmp_path: Path, header: str) -> None:
    both = [
        fasta(tmp_path / f"{i}.fa", [bases for bases, _ in records(20, seed=i)], header % i)
        for i in (0, 1)
    ]
    (tmp_path / "my.fa").write_text("".join(path.read_text() for path in both))
    assert len(_only(tmp_path / "my.fa").module(tmp_path).classes) == 2


def test_a_fasta_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"my\.fa: where are the labels.*'my0'"):
        own_tasks(fasta(tmp_path / "my.fa", ["ACGT"]))


def test_folders_within_a_folder_are_tasks(tmp_path: Path) -> None:
    for name in ("a", "b/c"):
        table(tmp_path / "my" / name / "train.csv", records(20))
    assert [task.key for task in own_tasks(tmp_path / "my")] == ["own/my/a", "own/my/b/c"]


@pytest.mark.parametrize("name", ["notes.txt", "empty"])
def test_what_holds_no_task_is_named(tmp_path: Path, name: str) -> None:
    path: Any = tmp_path / name
    if path.suffix:
        path.write_text("hello")
    else:
        path.mkdir()
    with pytest.raises(ValueError, match=f"{name}.* expected"):
        own_tasks(path)


def test_folders_are_followed_two_levels_deep(tmp_path: Path) -> None:
    for name in ("a/b/c", "a/b", ".hidden"):
        table(tmp_path / "my" / name / "train.csv", records(20))
    (tmp_path / "my" / "link").symlink_to(tmp_path / "my", target_is_directory=True)
    assert [task.key for task in own_tasks(tmp_path / "my")] == ["own/my/a/b"]
    table(tmp_path / "deep" / "a" / "b" / "c" / "train.csv", records(20))
    with pytest.raises(ValueError, match="two levels deep"):
        own_tasks(tmp_path / "deep")


def test_a_slip_in_a_column_of_parts_is_told(tmp_path: Path) -> None:
    rows = [(*row, ["train", "holdout"][i % 2]) for i, row in enumerate(records(8))]
    task = _only(table(tmp_path / "my.csv", rows, "sequence", "label", "split"))
    with pytest.raises(ValueError, match=r"my\.csv, line 3: column 'split' .*got 'holdout'"):
        _sizes(task)
