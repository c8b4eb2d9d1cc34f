"""Stand-in."""

from dnamamba.benchmark.job import Job, Row
from dnamamba.benchmark.work import Work

__all__ = ["kmers"]


def kmers(job: Job, work: Work) -> Row:
    raise NotImplementedError
