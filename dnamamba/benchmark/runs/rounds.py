"""The runs of a plan: in this process, or side by side and then what the memory did not hold."""

import sys
import time
from collections.abc import Callable, Collection, Generator, Mapping
from functools import partial

from dnamamba.benchmark.columns import COLUMNS
from dnamamba.benchmark.jobs.job import Job
from dnamamba.benchmark.jobs.work import Work
from dnamamba.benchmark.runs.dispatch import do_job
from dnamamba.benchmark.runs.outcomes import Outcome, run_here
from dnamamba.benchmark.runs.overlap import overlapping
from dnamamba.benchmark.runs.plan import Plan
from dnamamba.benchmark.runs.pool import is_full, run_in_processes
from dnamamba.benchmark.runs.store import Store
from dnamamba.benchmark.runs.workers import IN_THIS_PROCESS, gpus_of

__all__ = ["LOGS", "run_missing"]

LOGS = "logs"
"""Within the output folder: what workers print, and the texts of errors."""


def run_missing(
    planned: Plan, store: Store, work: Work, workers: tuple[int, int], seconds: float
) -> Generator[Outcome, None, None]:
    """Do every run that can be done; what finds the memory full is done again, alone.

    Args:
        planned: the runs.
        store: the rows, looked for; the caller looks for that of each run that has ended.
        work: settings of all.
        workers: see ``workers_for``.
        seconds: from now on; after these nothing more is begun.
    """
    ready, do = partial(planned.ready, store), partial(do_job, work)
    if workers == IN_THIS_PROCESS:
        yield from run_here(ready, do, seconds)
        return
    workers = _useful(planned.missing(store), workers)
    with overlapping(work.device, sum(workers)) as environment:
        yield from _side_by_side(ready, do, work, workers, seconds, environment)


def _side_by_side(
    ready: Callable[[], list[Job]],
    do: Callable[[Job], None],
    work: Work,
    workers: tuple[int, int],
    seconds: float,
    environment: Mapping[str, str],
) -> Generator[Outcome, None, None]:
    end = time.monotonic() + seconds
    failed: set[str] = set()
    full = 0
    for rounds in (workers, (1, 0)):
        jobs = partial(_without, ready, frozenset(failed))
        left = end - time.monotonic()
        where = work.output / LOGS, gpus_of(work.device), environment
        for outcome in run_in_processes(jobs, do, _needs_device, rounds, left, *where):
            if outcome.error and rounds == workers and sum(workers) > 1 and is_full(outcome.error):
                full += 1
                continue
            if outcome.error:
                failed.add(outcome.name)
            yield outcome
        if not full:
            return
        if rounds == workers:
            runs = f"{full} run{'s' if full > 1 else ''}"
            print(f"the memory was full for {runs}, now done alone", file=sys.stderr)


def _useful(jobs: Collection[Job], workers: tuple[int, int]) -> tuple[int, int]:
    """No more than there are runs for them; those for the device do the others' in the end."""
    on_device = sum(map(_needs_device, jobs))
    beside = min(workers[1], len(jobs) - on_device)
    return min(workers[0], len(jobs) - beside), beside


def _without(ready: Callable[[], list[Job]], names: Collection[str]) -> list[Job]:
    return [job for job in ready() if job.name not in names]


def _needs_device(job: Job) -> bool:
    column = COLUMNS.get(job.column)
    return column is not None and column.on_device
