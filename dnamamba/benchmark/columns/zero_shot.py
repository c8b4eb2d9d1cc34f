"""Stand-in."""

from dnamamba.benchmark.job import Job, Row
from dnamamba.benchmark.work import Work

__all__ = ["zero_shot"]


def zero_shot(job: Job, work: Work) -> Row:
    raise NotImplementedError
