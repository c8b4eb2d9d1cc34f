"""Which runs a table asks for, and which of them now; how many go side by side."""

from pathlib import Path

import pytest
import torch

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.benchmark.jobs.job import Job
from dnamamba.benchmark.jobs.recipe import Recipe
from dnamamba.benchmark.runs import workers as module
from dnamamba.benchmark.runs.plan import Entry, Plan, plan
from dnamamba.benchmark.runs.store import Store
from dnamamba.benchmark.runs.workers import workers_for
from dnamamba.benchmark.table.fill import filled
from dnamamba.benchmark.tasks.task import Task
from dnamamba.config import MambaConfig
from dnamamba.model.language_model import LanguageModel

SEQUENCES = "dnamamba.data.modules.sequences.LabelledSequenceDataModule"
HELD_OUT = {"train": "a/train.csv", "validation": "a/dev.csv", "test": "a/test.csv"}


def task(root: Path, name: str, folds: int = 1, size: int = 10, **files: str) -> Entry:
    files = files or {"train": f"{name}.csv"}
    for file in files.values():
        path = root / file
        path.parent.mkdir(exist_ok=True)
        path.write_text("sequence,label\n" + "ACGT,1\n" * size)
    data = {"class_path": SEQUENCES, "init_args": {"files": files}}
    return Entry(Task("toy", name, name, data, "mcc", folds), root)


@pytest.fixture
def model(tmp_path: Path) -> str:
    torch.manual_seed(0)
    network = LanguageModel(MambaConfig(d_model=8, n_layers=1, d_state=2))
    checkpoint.save(tmp_path / "model", network, Tokenizer())
    return str(tmp_path / "model")


def planned(entries: list[Entry], model: str, seeds: int = 2) -> Plan:
    return plan(entries, [model], seeds, ["frozen", "fine-tuned", "zero-shot"], Recipe.read())


def row(plan: Plan, store: Store, job: Job) -> None:
    counts = dict.fromkeys(("test", "groups", "copies", "relatives"), 3)
    figures = {"mcc": 0.1 * (job.fold + 1), "auroc": float("nan")}
    store.write(job, {"metric": "mcc", "figures": figures, "chosen": {"lr": job.fold}, **counts})
    store.look(job)


def test_columns_times_seeds_times_folds(tmp_path: Path, model: str) -> None:
    made = planned([task(tmp_path, "one", folds=3)], model)
    runs = {heading.column: len(made.cells["toy/one", heading.key]) for heading in made.headings}
    assert runs == {"kmers": 3, "random": 6, "scratch": 6, "frozen": 3, "model": 6}
    assert len(made.counts["toy/one"]) == 3
    assert len(made.order) == 24 + 3 == len({job.name for job in made.order})


def test_the_longest_runs_come_first(tmp_path: Path, model: str) -> None:
    made = planned([task(tmp_path, "short"), task(tmp_path, "long", size=1000)], model)
    first = [(job.task.name, job.column, job.seed) for job in made.order[:4]]
    assert first == [
        ("long", "scratch", 1), ("long", "model", 1), ("long", "scratch", 2), ("long", "model", 2),
    ]  # fmt: skip


def test_later_seeds_wait_for_the_first_one_of_their_fold(tmp_path: Path, model: str) -> None:
    made = planned([task(tmp_path, "one", folds=2)], model)
    store = Store(tmp_path / "out", tmp_path / "cache")
    waiting = [job for job in made.missing(store) if job not in made.ready(store)]
    assert {(job.column, job.seed) for job in waiting} == {("scratch", 2), ("model", 2)}
    (first,) = (j for j in made.order if (j.column, j.seed, j.fold) == ("model", 1, 1))
    row(made, store, first)
    new = [job for job in made.ready(store) if job.chosen is not None]
    assert [(job.column, job.seed, job.fold, job.chosen) for job in new] == [
        ("model", 2, 1, {"lr": 1})
    ]
    assert first not in made.missing(store)


def test_held_out_parts_alone_have_the_frozen_columns(tmp_path: Path, model: str) -> None:
    entry = task(tmp_path, "a", **HELD_OUT)
    (tmp_path / "a" / "train.csv").unlink()
    made = planned([entry], model)
    assert [heading.column for heading in made.headings] == ["kmers", "random", "frozen"]


def test_rows_fill_the_table_over_seeds_and_folds(tmp_path: Path, model: str) -> None:
    made = planned([task(tmp_path, "one", folds=2)], model)
    store = Store(tmp_path / "out", tmp_path / "cache")
    for job in made.order:
        row(made, store, job)
    (line,) = filled(made, store, ()).lines
    assert (line.test, line.groups, line.copies, line.relatives) == (6, 6, 6, 6)
    cells = {heading.column: line.cells[heading.key] for heading in made.headings}
    assert cells["kmers"].mean == pytest.approx(0.15)
    assert cells["model"].chosen == ({"lr": 0}, {"lr": 1})
    assert {*cells["model"].figures} == {"mcc"}  # what is undefined is left out
    assert len(cells["model"].values) == 4
    again = Store(tmp_path / "out", tmp_path / "cache")
    again.read(made.order)
    assert not made.missing(again)


def test_rows_of_shared_columns_serve_other_outputs(tmp_path: Path, model: str) -> None:
    made = planned([task(tmp_path, "one")], model)
    first = Store(tmp_path / "out", tmp_path / "cache", ["kmers"])
    for job in made.order:
        row(made, first, job)
    second = Store(tmp_path / "other", tmp_path / "cache", ["kmers"])
    second.read(made.order)
    assert "kmers" not in {job.column for job in made.missing(second)}
    assert len(list((tmp_path / "other" / "rows").iterdir())) == 1


@pytest.mark.parametrize(
    ("cores", "memory", "asked", "workers"),
    [
        (16, 139 << 30, None, (12, 4)),
        (128, 139 << 30, None, (16, 16)),
        (16, 11 << 30, None, (2, 4)),
        (2, 139 << 30, None, (1, 1)),
        (1, 2 << 30, None, (1, 1)),
        (16, 139 << 30, 5, (5, 4)),
    ],
)
def test_a_gpu_serves_as_many_as_cores_and_memory_allow(
    cores: int,
    memory: int,
    asked: int | None,
    workers: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "cores", lambda: cores)
    monkeypatch.setattr(module, "usable_memory", lambda device: memory)
    assert workers_for("cuda:1", asked) == workers


def test_a_cpu_does_one_run_at_a_time_unless_more_are_asked_for() -> None:
    assert workers_for("cpu", None) == (1, 0)
    assert workers_for("cpu", 3) == (3, 0)
