"""Stand-in."""

from dnamamba.benchmark.job import Job, Row
from dnamamba.benchmark.work import Work

__all__ = ["from_scratch", "pretrained"]


def from_scratch(job: Job, work: Work) -> Row:
    raise NotImplementedError


def pretrained(job: Job, work: Work) -> Row:
    raise NotImplementedError
