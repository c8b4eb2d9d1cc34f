"""Lines in a log: at every tenth, at least every half minute, and never of what is short."""

import pytest

from dnamamba.log_lines import LONG, SHORT, SparseLines, brief, lasting, megabytes


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def said_of(total: float | None, every: float, steps: int, quiet: float = SHORT) -> list[str]:
    """What is said of steps of 1 MB that take so many seconds each."""
    clock, lines = Clock(), list[str]()
    sparse = SparseLines("read", total, megabytes, quiet, lines.append, clock)
    for _ in range(steps):
        clock.now += every
        sparse.advance(1e6)
    return lines


def test_a_line_at_every_tenth() -> None:
    lines = said_of(100e6, every=1, steps=100)
    assert [line.split(",")[0] for line in lines] == [f"read: {n}0 %" for n in range(1, 11)]
    assert lines[3] == "read: 40 %, 40 of 100 MB, 1.0 MB/s, about 60 s left"


def test_a_line_every_half_minute_at_least() -> None:
    assert len(said_of(1000e6, every=1, steps=91)) == 3
    assert said_of(None, every=LONG, steps=1) == ["read: 1 MB, 0.0 MB/s"]
    assert said_of(float("inf"), every=LONG / 2, steps=1) == []


def test_what_was_there_before_tells_nothing_of_the_rate() -> None:
    clock, lines = Clock(), list[str]()
    sparse = SparseLines("read", 100e6, megabytes, say=lines.append, clock=clock, before=80e6)
    clock.now += 10
    sparse.reach(90e6)
    assert lines == ["read: 90 %, 90 of 100 MB, 1.0 MB/s, about 10 s left"]


def test_nothing_of_what_is_short_and_not_too_much_of_what_is_fast() -> None:
    assert said_of(10e6, every=0.1, steps=10) == []
    assert len(said_of(10e6, every=1, steps=10)) == 5  # never two within SHORT
    assert len(said_of(10e6, every=0.1, steps=10, quiet=0)) == 10


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (99.4, "99 s"), (99.6, "2 min"), (5400, "90 min"), (6000, "1 h 40 min")],
)
def test_times_as_people_say_them(seconds: float, said: str) -> None:
    assert lasting(seconds) == said
    assert lasting(3 * 86400 + 7200) == "3 d 2 h"
    assert (brief(0.01234), brief(9.96)) == ("0.012 s", "10 s")
