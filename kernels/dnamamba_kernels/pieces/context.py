"""Which pieces the ops of this room read, if any."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from dnamamba_kernels.pieces.group import Pieces

__all__ = ["bound", "current", "over"]

# Of the process, not of a thread: a backward may compute a block again on a thread of its own.
_current: Pieces | None = None


@contextmanager
def over(pieces: Pieces | None) -> Iterator[None]:
    """Within this block the ops read this process's piece of a sequence; None: whole sequences."""
    global _current
    before, _current = _current, pieces
    try:
        yield
    finally:
        _current = before


def current() -> Pieces | None:
    """The pieces that ``over`` says; None outside of it."""
    return _current


def bound(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as it would run now, whenever it runs: what a backward calls again, say."""
    return partial(_within, _current, function)


def _within(pieces: Pieces | None, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with over(pieces):
        return function(*args, **kwargs)
