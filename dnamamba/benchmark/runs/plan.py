"""Which runs a table needs, and in which order: a function of the rows there are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from dnamamba.benchmark.columns import COLUMNS, Column, Protocol, job_of
from dnamamba.benchmark.jobs.job import FIRST_SEED, Job
from dnamamba.benchmark.jobs.models import identity
from dnamamba.benchmark.jobs.names import short_names
from dnamamba.benchmark.jobs.recipe import Recipe
from dnamamba.benchmark.runs.counted import leaks_job
from dnamamba.benchmark.runs.heading import Heading
from dnamamba.benchmark.runs.store import Store
from dnamamba.benchmark.tasks.task import Task

__all__ = ["Entry", "Plan", "plan"]

# How long runs of a protocol take, one beside the other, on the same task.
_COST = {"fine-tuned": 20.0, "zero-shot": 5.0, "baseline": 4.0, "frozen": 1.0}


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
        order: every run, the longest first.
    """

    entries: tuple[Entry, ...]
    headings: tuple[Heading, ...]
    cells: Mapping[tuple[str, str], tuple[Job, ...]]
    counts: Mapping[str, tuple[Job, ...]]
    order: tuple[Job, ...]

    def missing(self, store: Store) -> list[Job]:
        """The runs that have no row, in order."""
        return [job for job in self.order if store.row(job.key) is None]

    def ready(self, store: Store) -> list[Job]:
        """Those of ``missing`` that can be done now, told what the first seed has chosen."""
        return [*self._ready(store)]

    def _ready(self, store: Store) -> Iterator[Job]:
        for job in self.missing(store):
            if job.after is None:
                yield job
            elif (first := store.row(job.after)) is not None:
                yield replace(job, chosen=first["chosen"])


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
    for task, root in entries:
        for heading, model in headings:
            column = COLUMNS[heading.column]
            if column.is_for(task, root):
                cells[task.key, heading.key] = tuple(
                    job_of(task, heading.column, root, recipe, model, seed, fold)
                    for seed in range(FIRST_SEED, FIRST_SEED + (seeds if column.seeded else 1))
                    for fold in range(task.folds)
                )
    counts = {
        task.key: tuple(leaks_job(task, root, fold) for fold in range(task.folds))
        for task, root in entries
    }
    jobs = [job for group in (*cells.values(), *counts.values()) for job in group]
    options = len(recipe.options())
    order = sorted(dict.fromkeys(jobs), key=lambda job: -_cost(job, options))
    used = [heading for heading, _ in headings if any(key == heading.key for _, key in cells)]
    return Plan(tuple(entries), tuple(used), cells, counts, tuple(order))


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


def _cost(job: Job, options: int) -> float:
    """About how long a run takes, in no unit: the tasks by what their files take on disk."""
    size = sum(path.stat().st_size for path in job.task.stored(job.root)) or 1
    column = COLUMNS.get(job.column)
    if column is None:
        return size
    tries = options if column.chooses and job.after is None else 1
    return size * _COST[column.protocol] * tries
