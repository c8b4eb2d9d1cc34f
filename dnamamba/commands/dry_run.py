"""A command tried: all that comes before its work, some seconds of that, and nothing written.

What a command does in a dry run is what it always does, so that its errors are those of the real
run. It is ended by ``Tried`` where its work is under way, before it has written an output.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from dnamamba.log_lines import brief, lasting

__all__ = ["Tried", "dry_run", "is_dry", "tried", "written_to"]

_SECONDS = 3.0  # of work, from which the whole is estimated
_dry = False


class Tried(BaseException):
    """Ends a dry run; no error, and taken for one by nobody on its way.

    Attributes:
        statement: what there is to do, and about how long it will take.
    """

    def __init__(self, statement: str) -> None:
        super().__init__(statement)
        self.statement = statement


@contextmanager
def dry_run() -> Iterator[None]:
    """Within this block commands are tried, not done."""
    global _dry
    before, _dry = _dry, True
    try:
        yield
    finally:
        _dry = before


def is_dry() -> bool:
    """Whether nothing is to be written."""
    return _dry


@contextmanager
def written_to(folder: Path) -> Iterator[Path]:
    """The folder in which to write; in a dry run a temporary one in its place."""
    if not _dry:
        yield folder
        return
    with TemporaryDirectory(prefix="dnamamba-dry-run-") as scratch:
        yield Path(scratch)


@contextmanager
def tried(
    title: str,
    total: int,
    counted: Callable[[float], str],
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Callable[[int], None]]:
    """Let the block work for some seconds, or to its end; call what it yields with what was done.

    Args:
        title: what the block does.
        total: how much it has to do.
        counted: words for an amount of it.
        clock: seconds that only grow.

    Raises:
        Tried: always, unless the block raises something else.
    """
    begun = clock()
    done, first = 0, (0, begun)

    def advance(now: int) -> None:
        nonlocal done, first
        done += now
        if not first[0] and done < total:
            first = done, clock()  # with it came what happens once
        if clock() - begun >= _SECONDS and done > first[0]:
            raise Tried(statement())

    def statement() -> str:
        part, since = (done - first[0], first[1]) if done > first[0] else (done, begun)
        seconds = max(clock() - since, 1e-9)
        how = f"{counted(part)} took {brief(seconds)} here"
        about = lasting(seconds * total / part) if part else "no time"
        return f"{title}: {counted(total)}, about {about} ({how})"

    yield advance
    raise Tried(statement())
