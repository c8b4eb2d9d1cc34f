"""From the rows there are to the table."""

from collections.abc import Collection, Sequence
from typing import Any

from dnamamba.benchmark.jobs.job import Job, Row
from dnamamba.benchmark.runs.plan import Entry, Plan
from dnamamba.benchmark.runs.store import Store
from dnamamba.benchmark.table.table import Cell, Line, Run, Table

__all__ = ["filled"]

_COUNTS = ("test", "groups", "copies", "relatives")


def filled(plan: Plan, store: Store, failed: Collection[str]) -> Table:
    """The table, as far as there are rows.

    Args:
        plan: what is to be in it.
        store: the rows.
        failed: names of the runs that were tried in vain.
    """
    failed = plan.failed(failed)
    return Table(plan.headings, tuple(_line(plan, entry, store, failed) for entry in plan.entries))


def _line(plan: Plan, entry: Entry, store: Store, failed: Collection[str]) -> Line:
    task = entry.task
    cells = {
        heading.key: _cell(task.metric, jobs, store, failed)
        for heading in plan.headings
        if (jobs := plan.cells.get((task.key, heading.key)))
    }
    counts = [store.row(job.key) for job in plan.counts[task.key]]
    sums = {name: _sum(name, counts) for name in _COUNTS}
    note = f"{task.suite}: {task.note}" if task.note else ""
    return Line(
        task.key, task.title, task.metric, cells, **sums, published=task.published, note=note
    )


def _sum(name: str, counts: Sequence[Row | None]) -> int | None:
    """Over folds, whose test parts have nothing in common; None: not all are counted."""
    whole = [row[name] for row in counts if row is not None]
    return sum(whole) if len(whole) == len(counts) else None


def _cell(metric: str, jobs: Sequence[Job], store: Store, failed: Collection[str]) -> Cell:
    rows = {(job.seed, job.fold): store.row(job.key) for job in jobs}
    done = {run: row for run, row in rows.items() if row is not None}
    figures: dict[str, dict[Run, float]] = {}
    for run, row in done.items():
        for name, value in row["figures"].items():
            if value is not None:
                figures.setdefault(name, {})[run] = value
    chosen: list[dict[str, Any]] = []
    for row in done.values():
        if row.get("chosen") and row["chosen"] not in chosen:
            chosen.append(row["chosen"])
    return Cell(
        figures.get(metric, {}), len(jobs), sum(job.name in failed for job in jobs), figures,
        tuple(chosen),
    )  # fmt: skip
