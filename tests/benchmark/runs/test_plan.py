"""Which runs a table asks for, and which of them now; how many go side by side."""

from pathlib import Path

import pytest
import torch
from benchmark_cases import FOUR

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.benchmark.jobs.job import Job
from dnamamba.benchmark.jobs.recipe import Recipe
from dnamamba.benchmark.runs import workers as module
from dnamamba.benchmark.runs.plan import Entry, Plan, plan
from dnamamba.benchmark.runs.store import Store
from dnamamba.benchmark.runs.workers import gpus_of, workers_for
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
    protocols = ["frozen", "fine-tuned", "zero-shot"]
    return plan(entries, [model], seeds, protocols, Recipe.read().changed({"choices": FOUR}))


def row(plan: Plan, store: Store, job: Job) -> None:
    counts = dict.fromkeys(("test", "groups", "copies", "relatives"), 3)
    figures = {"mcc": 0.1 * (job.fold + 1), "auroc": float("nan")}
    chosen = {"chosen": {"lr": job.fold}, "validation": 0.5}
    store.write(job, {"metric": "mcc", "figures": figures, **chosen, **counts})
    store.look(job)


def test_columns_times_seeds_times_folds(tmp_path: Path, model: str) -> None:
    made = planned([task(tmp_path, "one", folds=3)], model)
    runs = {heading.column: len(made.cells["toy/one", heading.key]) for heading in made.headings}
    assert runs == {"kmers": 3, "random": 6, "scratch": 6, "frozen": 3, "model": 6}
    assert len(made.counts["toy/one"]) == 3
    trials = [job for job in made.order if job.choice is not None]
    assert {(job.column, job.seed) for job in trials} == {("scratch", 1), ("model", 1)}
    assert len(trials) == 2 * 4 * 3
    assert len(made.order) == 24 + 3 + 24 == len({job.name for job in made.order})


def test_without_choices_there_are_no_trials(tmp_path: Path, model: str) -> None:
    recipe = Recipe.read().changed({"choices": {}})
    made = plan([task(tmp_path, "one")], [model], 2, ["fine-tuned"], recipe)
    assert [job for job in made.order if job.choice is not None] == []
    store = Store(tmp_path / "out", tmp_path / "cache")
    assert {(job.column, job.seed) for job in made.ready(store)} == {
        ("kmers", 1), ("leaks", 1), ("scratch", 1), ("model", 1),
    }  # fmt: skip


def test_the_longest_runs_come_first(tmp_path: Path, model: str) -> None:
    made = planned([task(tmp_path, "short"), task(tmp_path, "long", size=1000)], model)
    order = [(job.task.name, job.seed, job.choice is None) for job in made.order]
    long = [run for run in order if run[0] == "long"]
    assert order[: len(long) - 4] == long[:-4]  # k-mers and what is frozen come later
    assert long[:12] == [*[("long", 1, False)] * 8, *[("long", 1, True)] * 2,
                         *[("long", 2, True)] * 2]  # fmt: skip
    tuned = [run for run in order if run[0] == "short"][:12]
    assert tuned == [("short", *run[1:]) for run in long[:12]]


def test_later_seeds_wait_for_the_first_one_of_their_fold(tmp_path: Path, model: str) -> None:
    made = planned([task(tmp_path, "one", folds=2)], model)
    store = Store(tmp_path / "out", tmp_path / "cache")
    waiting = [job for job in made.missing(store) if job not in made.ready(store)]
    assert {(job.column, job.seed) for job in waiting} == {
        (column, seed) for column in ("scratch", "model") for seed in (1, 2)
    }
    of_fold = [j for j in made.order if (j.column, j.seed, j.fold) == ("model", 1, 1)]
    (first,) = (job for job in of_fold if job.choice is None)
    *trials, last = (job for job in of_fold if job.choice is not None)
    for job in trials:
        row(made, store, job)
    assert not [job for job in made.ready(store) if job.rows]
    row(made, store, last)
    (new,) = [job for job in made.ready(store) if job.rows]
    assert (new, len(new.rows)) == (first, 4)
    row(made, store, first)
    new = [job for job in made.ready(store) if job.rows]
    assert [(job.column, job.seed, job.fold, job.rows[0]["chosen"]) for job in new] == [
        ("model", 2, 1, {"lr": 1})
    ]
    assert first not in made.missing(store)


def test_of_what_is_chosen_no_trial_is_missing(tmp_path: Path, model: str) -> None:
    """As of rows of which the trials were not kept."""
    made = planned([task(tmp_path, "one")], model)
    store = Store(tmp_path / "out", tmp_path / "cache")
    for job in made.cells["toy/one", next(h.key for h in made.headings if h.column == "scratch")]:
        row(made, store, job)
    trials = [job for job in made.missing(store) if job.choice is not None]
    assert {job.column for job in trials} == {"model"}
    assert len(trials) == 4


def test_a_trial_in_vain_is_its_columns_failure(tmp_path: Path, model: str) -> None:
    made = planned([task(tmp_path, "one")], model)
    name = f"toy/one, scratch, {model}, seed 1"
    assert made.failed([f"{name}, choice 3"]) == {f"{name}, choice 3", name}
    assert made.failed([name]) == {name}


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
        (16, 139 << 30, None, (8, 8)),
        (128, 139 << 30, None, (8, 16)),
        (8, 139 << 30, None, (4, 4)),
        (16, 11 << 30, None, (2, 2)),
        (2, 139 << 30, None, (1, 1)),
        (1, 2 << 30, None, (1, 1)),
        (16, 139 << 30, 5, (5, 8)),
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


@pytest.mark.parametrize(
    ("visible", "named"),
    [
        (None, ["0", "1"]),
        ("", ["0", "1"]),
        ("5,7", ["5", "7"]),
        ("GPU-5b,MIG-1,9", ["GPU-5b", "MIG-1"]),
    ],
)
def test_cuda_is_all_the_gpus_there_are(
    visible: str | None, named: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert gpus_of("cuda") == named
    assert gpus_of("cuda:1") == gpus_of("cpu") == []
    monkeypatch.setattr(module, "usable_memory", lambda device: 139 << 30)
    for cores, workers in ((64, (16, 16)), (16, (8, 8))):
        monkeypatch.setattr(module, "cores", lambda cores=cores: cores)
        assert workers_for("cuda", None) == workers


def test_a_cpu_does_one_run_at_a_time_unless_more_are_asked_for() -> None:
    assert workers_for("cpu", None) == (1, 0)
    assert workers_for("cpu", 3) == (3, 0)
