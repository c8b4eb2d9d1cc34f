"""The run that counts what a task's split leaks: one a fold, beside those of the columns."""

import time
from pathlib import Path

from dnamamba.benchmark.jobs.job import Job, Row
from dnamamba.benchmark.tasks.leaks import leaks_of
from dnamamba.benchmark.tasks.task import Task

__all__ = ["LEAKS", "counted", "leaks_job"]

LEAKS = "leaks"
"""Stands for a column's name in these jobs."""

_VERSION = 1


def leaks_job(task: Task, root: Path, fold: int) -> Job:
    """The job that counts a fold."""
    key = f"{task.key} {task.digest(root)} {LEAKS} {_VERSION} fold {fold}"
    return Job(key, task, LEAKS, root, fold=fold)


def counted(job: Job) -> Row:
    """Its row: ``test``, ``groups``, ``copies`` and ``relatives``; see ``Leaks``.

    Raises:
        ValueError: the data do not fit; names the file.
    """
    began = time.monotonic()
    leaks = leaks_of(job.task, job.root, job.fold)
    counts = {"test": leaks.items, "groups": leaks.groups}
    counts |= {"copies": leaks.copies, "relatives": leaks.relatives}
    return {**counts, "seconds": round(time.monotonic() - began, 2)}
