"""Runs one after the other in this process; and how a run ended."""

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

__all__ = ["Job", "Outcome", "Runnable", "run_here"]


class Runnable(Protocol):
    """What is to be done: pickled where worker processes do it."""

    @property
    def name(self) -> str:
        """Tells it from all others."""


Job = TypeVar("Job", bound=Runnable)


class Outcome(NamedTuple):
    """How a run ended.

    Attributes:
        name: of what was run.
        seconds: that it took.
        error: None, or the whole text of what went wrong, whose last line says it.
    """

    name: str
    seconds: float
    error: str | None = None


def run_here(
    ready: Callable[[], Sequence[Job]], work: Callable[[Job], None], seconds: float
) -> Iterator[Outcome]:
    """Do what is ready, one after the other, until nothing is or the time is over.

    Args:
        ready: what can be done now, in order; asked anew after each. What is done must be gone.
        work: does it.
        seconds: after these, from now on, nothing more is begun.
    """
    end = time.monotonic() + seconds
    failed: set[str] = set()
    while time.monotonic() < end:
        job = next((job for job in ready() if job.name not in failed), None)
        if job is None:
            return
        began, error = time.monotonic(), None
        try:
            work(job)
        except Exception:
            error = traceback.format_exc()
            failed.add(job.name)
        yield Outcome(job.name, time.monotonic() - began, error)
