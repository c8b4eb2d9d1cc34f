"""A run, done by what its column says, and the row that it leaves."""

from dnamamba.benchmark.columns import COLUMNS, measured
from dnamamba.benchmark.jobs.job import Job
from dnamamba.benchmark.jobs.work import Work, machine
from dnamamba.benchmark.runs.counted import LEAKS, counted
from dnamamba.benchmark.runs.store import Store

__all__ = ["do_job", "store_of"]


def store_of(work: Work) -> Store:
    """Where the rows of these settings lie."""
    shared = [key for key, column in COLUMNS.items() if column.of == "data"]
    return Store(work.output, work.cache, shared)


def do_job(work: Work, job: Job) -> None:
    """Do it, and leave its row.

    Raises:
        ValueError: the data or the model do not fit.
        OSError: the row cannot be written.
    """
    row = counted(job) if job.column == LEAKS else measured(job, work)
    about = {
        "task": job.task.key,
        "column": job.column,
        "model": job.model,
        "seed": job.seed,
        "fold": job.fold,
        **({} if job.choice is None else {"choice": job.choice}),
    }
    store_of(work).write(job, {**about, **row, "machine": machine(work.device)})
