"""Which runs a table needs, and in which order: a function of the rows there are."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from dnamamba.benchmark.columns import COLUMNS, Column, Protocol, job_of
from dnamamba.benchmark.jobs.job import FIRST_SEED, Job
from dnamamba.benchmark.jobs.models import identity
from dnamamba.benchmark.jobs.names import short_names
from dnamamba.benchmark.jobs.recipe import Recipe
from dnamamba.benchmark.runs.counted import LEAKS, leaks_job
from dnamamba.benchmark.runs.heading import Heading
from dnamamba.benchmark.runs.store import Store
from dnamamba.benchmark.tasks.task import Task

__all__ = ["Entry", "Plan", "plan"]

# How long runs of a protocol take, and the counting of leaks, one beside the other, on one task.
_COST = {"fine-tuned": 20.0, "zero-shot": 5.0, "baseline": 4.0, "frozen": 2.0}
_COUNTING = 0.1


class Entry(NamedTuple):
    """A task, and the folder of its files."""

    task: Task
    root: Path


@dataclass(frozen=True)
class Plan:
    """All runs of a table.

    Attributes:
        entries: the tasks.
        headings: the columns.
        cells: (task's key, heading's key) -> the runs; a task has not every column.
        counts: task's key -> what counts its leaks, a fold each.
        order: every run; first those behind which the longest work waits.
    """

    entries: tuple[Entry, ...]
    headings: tuple[Heading, ...]
    cells: Mapping[tuple[str, str], tuple[Job, ...]]
    counts: Mapping[str, tuple[Job, ...]]
    order: tuple[Job, ...]

    def missing(self, store: Store) -> list[Job]:
        """The runs that have no row, in order; no trial is where its choice has been made."""
        undone = [job for job in self.order if store.row(job.key) is None]
        needed = {key for job in undone for key in job.after}
        return [job for job in undone if job.choice is None or job.key in needed]

    def ready(self, store: Store) -> list[Job]:
        """Those of ``missing`` that can be done now, with the rows that they need."""
        return [*self._ready(store)]

    def _ready(self, store: Store) -> Iterator[Job]:
        for job in self.missing(store):
            rows = [row for key in job.after if (row := store.row(key)) is not None]
            if len(rows) == len(job.after):
                yield replace(job, rows=tuple(rows))

    def failed(self, names: Collection[str]) -> set[str]:
        """Of runs that were tried in vain the names, and of those whose trials were."""
        trials = {job.key for job in self.order if job.choice is not None and job.name in names}
        return {*names, *(job.name for job in self.order if not trials.isdisjoint(job.after))}


def plan(
    entries: Sequence[Entry],
    models: Sequence[str],
    seeds: int,
    protocols: Sequence[Protocol],
    recipe: Recipe,
) -> Plan:
    """Columns times tasks times seeds times folds.

    Args:
        entries: the tasks.
        models: as the user typed them.
        seeds: of every column in which something is random.
        protocols: whose columns are to be there, beside the baseline.
        recipe: of fine-tuning.

    Raises:
        ValueError: a model cannot be read, or a file is damaged.
    """
    headings = _headings(models, protocols)
    cells = {}
    trials: list[Job] = []
    options = len(recipe.options())
    for task, root in entries:
        for heading, model in headings:
            column = COLUMNS[heading.column]
            if column.is_for(task, root):
                made = partial(job_of, task, heading.column, root, recipe, model)
                cells[task.key, heading.key] = tuple(
                    made(seed, fold)
                    for seed in range(FIRST_SEED, FIRST_SEED + (seeds if column.seeded else 1))
                    for fold in range(task.folds)
                )
                trials += [
                    made(fold=fold, choice=choice)
                    for choice in (range(options) if column.chooses and options > 1 else ())
                    for fold in range(task.folds)
                ]
    counts = {
        task.key: tuple(leaks_job(task, root, fold) for fold in range(task.folds))
        for task, root in entries
    }
    jobs = [*trials, *(job for group in (*cells.values(), *counts.values()) for job in group)]
    order = _longest_first([*dict.fromkeys(jobs)], recipe.trial)
    used = [heading for heading, _ in headings if any(key == heading.key for _, key in cells)]
    return Plan(tuple(entries), tuple(used), cells, counts, order)


def _headings(
    models: Sequence[str], protocols: Sequence[Protocol]
) -> list[tuple[Heading, str | None]]:
    """The columns, each with the model that its runs name: one of those that share it."""
    names = short_names(models)
    shared: dict[str, list[str]] = {}
    for model in models:
        shared.setdefault(identity(model).sizes, []).append(model)
    headings: list[tuple[Heading, str | None]] = []
    kinds = {
        key: column for key, column in COLUMNS.items()
        if column.protocol == "baseline" or column.protocol in protocols
    }  # fmt: skip
    for key, column in kinds.items():
        if column.of == "data":
            headings.append((Heading(key, key, None, column.title), None))
        elif column.of == "sizes":
            headings += [
                (_shared(key, column, sizes, alike, names, len(shared) > 1), alike[0])
                for sizes, alike in shared.items()
            ]
    for model in models:
        headings += [
            (Heading(f"{key} {model}", key, names[model], _title(column, names[model])), model)
            for key, column in kinds.items()
            if column.of == "weights"
        ]
    return headings


def _shared(
    key: str,
    column: Column,
    sizes: str,
    alike: Sequence[str],
    names: Mapping[str, str],
    several: bool,
) -> Heading:
    models = f" ({', '.join(names[model] for model in alike)})" if several else ""
    return Heading(f"{key} {sizes}", key, None, column.title + models)


def _title(column: Column, name: str) -> str:
    return column.title.format(model=name)


def _longest_first(jobs: Sequence[Job], trial: float) -> tuple[Job, ...]:
    """Those first that begin the longest chain of runs of which each waits for the one before."""
    waiting: dict[str, list[Job]] = {}
    for job in jobs:
        for key in job.after:
            waiting.setdefault(key, []).append(job)
    sizes = {job.task.key: _size(job) for job in jobs}

    def length(job: Job) -> float:
        run = sizes[job.task.key] * _share(job, trial)
        return run + max(map(length, waiting.get(job.key, ())), default=0.0)

    return tuple(sorted(jobs, key=lambda job: -length(job)))


def _share(job: Job, trial: float) -> float:
    """How long a run takes beside others on the same task, in no unit."""
    if job.column == LEAKS:
        return _COUNTING
    return _COST[COLUMNS[job.column].protocol] * (1.0 if job.choice is None else trial)


def _size(job: Job) -> int:
    """What the task's files take on disk, about as which a run on it takes."""
    return sum(path.stat().st_size for path in job.task.stored(job.root)) or 1
