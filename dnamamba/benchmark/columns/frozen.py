"""Stand-in."""

from dnamamba.benchmark.job import Job, Row
from dnamamba.benchmark.work import Work

__all__ = ["initialised", "trained"]


def initialised(job: Job, work: Work) -> Row:
    raise NotImplementedError


def trained(job: Job, work: Work) -> Row:
    raise NotImplementedError
