"""Relatives stay on one side of a split that nobody prepared."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_data import bases, fasta, mutated, table

from dnamamba.benchmark.tasks import grouped
from dnamamba.benchmark.tasks.leaks import leaks_of
from dnamamba.benchmark.tasks.task import Task


def _families(n: int = 30) -> list[tuple[str, str]]:
    rng = np.random.default_rng(5)
    rows = []
    for i in range(n):
        first = bases(rng, 120)
        rows += [(mutated(rng, first, 0.01, j == 1), f"c{i % 2}") for j in range(3)]
    return rows


def _task(files: Any, **fields: Any) -> Task:
    settings = {"files": {"train": files}, "split": {"validation": 0.15, "test": 0.2}}
    settings |= fields.pop("settings", {})
    data = {
        "class_path": "dnamamba.data.modules.sequences.LabelledSequenceDataModule",
        "init_args": settings,
    }
    return Task("own", "t", "T", data, "mcc", **fields)


def test_relatives_stay_on_one_side(tmp_path: Path) -> None:
    table(tmp_path / "all.csv", _families())
    mixed = leaks_of(_task("all.csv"), tmp_path)
    apart = leaks_of(_task("all.csv", apart=True), tmp_path)
    assert mixed.relatives > 10
    assert (apart.copies, apart.relatives, apart.groups, apart.items) == (0, 0, 6, 18)


def test_folds_keep_relatives_together(tmp_path: Path) -> None:
    table(tmp_path / "all.csv", _families())
    task = _task("all.csv", folds=5, apart=True, settings={"split": {"validation": 0.1}})
    assert [leaks_of(task, tmp_path, fold).relatives for fold in range(5)] == [0] * 5


def test_groups_are_found_once_for_what_files_hold(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        table(tmp_path / name / "all.csv", _families())
    task = _task("all.csv", apart=True)
    first = task.module(tmp_path / "one").dataset("test")
    monkeypatch.delattr(grouped, "groups_of")
    second = task.module(tmp_path / "two").dataset("test")
    assert np.array_equal(first.records.tokens, second.records.tokens)
    assert len(list((cache / "groups").glob("*.csv"))) == 1


def test_one_fasta_a_class_and_mapped_labels_are_kept(tmp_path: Path) -> None:
    rows = _families()
    for name in ("c0", "c1"):
        fasta(tmp_path / f"{name}.fa", [bases for bases, label in rows if label == name])
    module = _task({"zero": "c0.fa", "one": "c1.fa"}, apart=True).module(tmp_path)
    assert module.classes == ["one", "zero"]
    assert sum(len(module.dataset(part)) for part in ("train", "validation", "test")) == 90
    table(tmp_path / "all.csv", [*rows, ("ACGT", "?")])
    labels = {"mapping": {"c0": "b", "c1": "a"}, "classes": ["b", "a"]}
    task = _task("all.csv", apart=True, settings={"labels": labels})
    assert task.module(tmp_path).classes == ["b", "a"]


def test_a_bad_record_is_named_by_its_own_file(tmp_path: Path) -> None:
    table(tmp_path / "all.csv", [*_families(3), ("ACGT!", "c0")])
    with pytest.raises(ValueError, match=r"all\.csv, line 11"):
        _task("all.csv", apart=True).module(tmp_path)
    assert not list((tmp_path / "cache").rglob("*.csv"))


def test_a_cache_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: Any) -> None:
    table(tmp_path / "all.csv", _families(3))
    monkeypatch.setenv("DNAMAMBA_CACHE", str(tmp_path / "all.csv"))
    with pytest.raises(OSError, match=r"cannot make .*all\.csv.*DNAMAMBA_CACHE"):
        _task("all.csv", apart=True).module(tmp_path)
