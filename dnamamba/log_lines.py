"""Lines that say how far a long work is, where no terminal can show a bar: the log of a job."""

import sys
import time
from collections.abc import Callable

__all__ = ["LONG", "SHORT", "SparseLines", "brief", "lasting", "megabytes"]

LONG = 30.0
"""Seconds after which a line is said, however little was done."""
SHORT = 2.0
"""Seconds from one line to the next at least: a work of less is not spoken of."""


class SparseLines:
    """Says how far a work is: at every tenth of it, and at least every half minute.

    Nothing is said but when something was done.

    Args:
        title: stands before what is said.
        total: how much is to be done; None or infinity: nobody knows.
        done: words for how much is done: of (what is done, the total, what is done a second).
        quiet: seconds from one line to the next at least.
        say: prints a line; None: on standard error.
        clock: seconds that only grow.
        before: how much was done already; others did it, or it was done at another time.
    """

    def __init__(
        self,
        title: str,
        total: float | None,
        done: Callable[[float, float | None, float], str],
        quiet: float = SHORT,
        say: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        before: float = 0.0,
    ) -> None:
        self._title, self._done, self._quiet = title, done, quiet
        self._total = None if total is None or total == float("inf") else total
        self._say, self._clock = say or _to_stderr, clock
        self._reached = self._before = before
        self._begun = self._said = clock()
        self._tenths = 0

    def advance(self, done: float) -> None:
        """So much more is done."""
        self.reach(self._reached + done)

    def reach(self, done: float) -> None:
        """So much is done in all."""
        self._reached = done
        if self.due(done):
            self._say(self._line(done))

    def due(self, done: float) -> bool:
        """Whether a line is to be said now; what asks then says it."""
        now, tenths = self._clock(), self._tenths
        if self._total:
            tenths = int(10 * done / self._total)
        since = now - self._said
        if since < LONG and (tenths == self._tenths or since < self._quiet):
            return False
        self._said, self._tenths = now, tenths
        return True

    def _line(self, done: float) -> str:
        seconds = self._clock() - self._begun
        rate = (done - self._before) / seconds if seconds else 0.0
        words = [self._done(done, self._total, rate)]
        if self._total:
            words.insert(0, f"{100 * done / self._total:.0f} %")
            left = lasting((self._total - done) / rate) if rate else ""
            words += [f"about {left} left"] if left and done < self._total else []
        return f"{self._title}: {', '.join(words)}"


def brief(seconds: float) -> str:
    """A short time with two figures, a long one as ``lasting`` says it."""
    return f"{seconds:.2g} s" if seconds < 9.95 else lasting(seconds)


def lasting(seconds: float) -> str:
    """A time as people say it: 40 s, 12 min, 3 h 20 min, 2 d 5 h."""
    if seconds < 99.5:
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02} min"
    return f"{hours // 24} d {hours % 24} h"


def megabytes(done: float, total: float | None, rate: float) -> str:
    """Bytes, as ``SparseLines`` words them."""
    of = "" if total is None else f" of {total / 1e6:,.0f}"
    return f"{done / 1e6:,.0f}{of} MB, {rate / 1e6:,.1f} MB/s"


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
