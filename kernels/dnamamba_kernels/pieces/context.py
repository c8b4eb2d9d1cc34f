"""Which pieces the ops of this room read, if any."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from inspect import signature
from typing import Any, ParamSpec, TypeVar

from dnamamba_kernels.pieces.group import Pieces

__all__ = ["bound", "current", "or_whole", "over"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

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


def or_whole(
    op: Callable[Arguments, Result],
) -> Callable[[Callable[..., Result]], Callable[Arguments, Result]]:
    """Make an op of what takes its place within ``over``: a decorator.

    What it decorates is called with the pieces, and with all arguments of the op by their names.
    """
    form = signature(op)

    def decorate(of_piece: Callable[..., Result]) -> Callable[Arguments, Result]:
        @wraps(of_piece)
        def either(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            if (pieces := current()) is None:
                return op(*args, **kwargs)
            call = form.bind(*args, **kwargs)
            call.apply_defaults()
            return of_piece(pieces, **call.arguments)

        either.__signature__ = form  # type: ignore[attr-defined]
        return either

    return decorate


def bound(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as it would run now, whenever it runs: what a backward calls again, say."""
    return partial(_within, _current, function)


def _within(pieces: Pieces | None, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with over(pieces):
        return function(*args, **kwargs)
