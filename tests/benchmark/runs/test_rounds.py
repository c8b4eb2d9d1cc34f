"""What the memory did not hold side by side is done again alone."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dnamamba.benchmark.jobs.job import Job
from dnamamba.benchmark.runs import rounds
from dnamamba.benchmark.runs.outcomes import Outcome
from dnamamba.benchmark.runs.pool import KILLED, is_full
from dnamamba.benchmark.runs.rounds import run_missing

FULL = "Traceback ...\ntorch.OutOfMemoryError: CUDA out of memory.\n"
ERRORS = {"a": None, "b": FULL, "c": "ValueError: wrong\n", "d": None}


class Plan:
    """Jobs without a task."""

    def __init__(self) -> None:
        self.done: set[str] = set()
        task: Any = SimpleNamespace(folds=1)
        self.jobs = [
            Job(name, SimpleNamespace(key=name, **vars(task)), "scratch", Path()) for name in ERRORS
        ]

    def missing(self, store: Any) -> list[Job]:
        return [job for job in self.jobs if job.key not in self.done]

    ready = missing


def test_a_full_memory_is_no_error_until_a_run_is_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan: Any = Plan()
    asked: list[tuple[tuple[int, int], list[str]]] = []

    def pool(jobs: Any, do: Any, on_device: Any, workers: Any, *_: Any) -> Iterator[Outcome]:
        now: Sequence[Job] = jobs()
        asked.append((workers, [job.key for job in now]))
        for job in now:
            error = ERRORS[job.key] if workers != (1, 0) else None
            if error is None:
                plan.done.add(job.key)
            yield Outcome(job.name, 0.1, error)

    monkeypatch.setattr(rounds, "run_in_processes", pool)
    work: Any = SimpleNamespace(output=tmp_path, device="cpu")
    run = partial(run_missing, plan, None, work)  # type: ignore[arg-type]
    outcomes = list(run((3, 1), 60))
    assert [(o.name[0], bool(o.error)) for o in outcomes] == [
        ("a", False), ("c", True), ("d", False), ("b", False),
    ]  # fmt: skip
    assert asked == [((3, 0), ["a", "b", "c", "d"]), ((1, 0), ["b"])]
    assert "the memory was full for 1 run, now done alone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("columns", "useful"),
    [
        (["scratch"] * 2, (2, 0)),
        (["frozen"] * 3, (0, 3)),
        (["frozen"] * 9 + ["scratch"] * 2, (3, 8)),
        (["frozen", "random", "kmers", "leaks"] * 5, (8, 8)),
        (["model"] * 20 + ["leaks"], (8, 1)),
    ],
)
def test_no_more_workers_than_runs_for_them(
    columns: list[str],
    useful: tuple[int, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To learn from frozen vectors takes a core; workers of the device help in the end."""
    plan: Any = Plan()
    task: Any = SimpleNamespace(key="a", folds=1)
    plan.jobs = [Job(f"{i}", task, column, Path(), seed=i) for i, column in enumerate(columns)]
    asked = []

    def pool(jobs: Any, do: Any, on_device: Any, workers: Any, *_: Any) -> Iterator[Outcome]:
        asked.append(workers)
        return iter(())

    monkeypatch.setattr(rounds, "run_in_processes", pool)
    work: Any = SimpleNamespace(output=tmp_path, device="cpu")
    store: Any = None
    assert list(run_missing(plan, store, work, (8, 8), 60)) == []
    assert asked == [useful]


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (FULL, True),
        ("RuntimeError: [enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate", True),
        (f"some lines\nthe worker ended with {KILLED}", True),
        ("torch.OutOfMemoryError\nValueError: wrong", False),
        ("the worker ended with status 1", False),
    ],
)
def test_a_full_memory_is_told_from_other_errors(error: str, full: bool) -> None:
    assert is_full(error) is full
