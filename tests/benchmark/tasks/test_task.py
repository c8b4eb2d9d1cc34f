"""A task's declaration becomes its data module, and one digest says what decides the samples."""

import json
import pickle
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_data import records, table

from dnamamba.alphabet import Tokenizer
from dnamamba.benchmark.tasks.task import Task, changed

SEQUENCES = "dnamamba.data.modules.sequences.LabelledSequenceDataModule"
PARTS = ("train", "validation", "test")


def _task(**fields: Any) -> Task:
    files = {"train": "t/train.csv", "validation": "t/dev.csv", "test": "t/test.csv"}
    settings = {"files": files, "reverse_complement": True}
    data = {"class_path": SEQUENCES, "init_args": settings}
    return Task(
        **{"suite": "s", "name": "t", "title": "T", "data": data, "metric": "mcc", **fields}
    )


def _one_file(**settings: Any) -> dict[str, Any]:
    return {"class_path": SEQUENCES, "init_args": {"files": {"train": "all.csv"}, **settings}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    table(tmp_path / "t" / "train.csv.gz", records(40, seed=1))
    table(tmp_path / "t" / "dev.csv", records(20, seed=2))
    table(tmp_path / "t" / "test.csv", records(10, seed=3))
    table(tmp_path / "all.csv", records(100, seed=4))
    return tmp_path


def _sizes(task: Task, root: Path, **how: Any) -> list[int]:
    module = task.module(root, **how)
    return [len(module.dataset(part)) for part in PARTS]


def test_a_declaration_is_plain_content() -> None:
    task = _task(published={"them": 0.5}, test={"length": {}})
    assert Task(**json.loads(json.dumps(asdict(task)))) == task
    assert pickle.loads(pickle.dumps(task)) == task
    assert task.key == "s/t"


def test_the_module_reads_files_below_the_root(root: Path) -> None:
    assert _sizes(_task(), root) == [40, 20, 10]
    module = _task().module(root, seed=7, tokenizer=Tokenizer("byte"), global_batch_size=4)
    assert (module.seed, module.tokenizer.name, module.global_batch_size) == (7, "byte", 4)
    assert module.reverse_complement


def test_folds_are_disjoint_and_cover_all(root: Path) -> None:
    task = _task(data=_one_file(split={"validation": 0.1}), folds=5)
    tested: list[bytes] = []
    for fold in range(5):
        module = task.module(root, fold)
        tested += [
            module.dataset("test")[np.array([i])]["tokens"].numpy().tobytes() for i in range(20)
        ]
        assert [len(module.dataset(part)) for part in PARTS] == [70, 10, 20]
    assert len(set(tested)) == 100


def test_held_out_parts_may_be_read_otherwise(root: Path) -> None:
    cut = {"maximum": 30, "longer": "start"}
    task = _task(data=_one_file(length=cut), test={"length": {}, "split.seed": 3})
    assert task.module(root).length.maximum == 30
    tested = task.module(root, test=True)
    assert (tested.length.maximum, tested.split.seed) == (None, 3)


def test_without_a_training_part_the_validation_part_is_trained_on(root: Path) -> None:
    assert not _task().lacks_training(root)
    (root / "t" / "train.csv.gz").unlink()
    assert _task().lacks_training(root)
    assert _sizes(_task(), root) == [17, 3, 10]
    (root / "t" / "test.csv").unlink()
    assert not _task().lacks_training(root)


def test_the_digest_is_of_what_decides_the_samples(root: Path, tmp_path: Path) -> None:
    task = _task()
    digest = task.digest(root)
    said = replace(task, title="other", note="n", published={"them": 1.0})
    assert said.digest(root) == digest
    changes: list[dict[str, Any]] = [
        {"metric": "auroc"}, {"folds": 2}, {"test": {"length": {}}}, {"name": "u"},
    ]  # fmt: skip
    others = {replace(task, **change).digest(root) for change in changes}
    assert len({digest, *others}) == 5
    table(root / "t" / "dev.csv", records(20, seed=9))
    assert task.digest(root) != digest


def test_the_digest_knows_no_place(tmp_path: Path) -> None:
    for name, file in (("one", "train.csv"), ("two", "train.csv.gz")):
        table(tmp_path / name / "t" / file, records(4))
    assert _task().digest(tmp_path / "one") == _task().digest(tmp_path / "two")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data": {}}, "class_path and init_args"),
        ({"data": {"class_path": "os.system", "init_args": {}}}, "class_path must be"),
        ({"data": {"class_path": SEQUENCES, "init_args": {"files": {}}}}, "names no train"),
        ({"metric": "mc"}, "metric must be one of .*mcc"),
        ({"folds": 0}, "folds must be at least 1"),
    ],
)
def test_what_is_no_task_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _task(**fields)


def test_dotted_keys_are_set_in_place() -> None:
    settings = {"a": {"b": 1, "c": 2}}
    assert changed(settings, {"a.b": 3, "d.e": 4}) is settings
    assert settings == {"a": {"b": 3, "c": 2}, "d": {"e": 4}}
