"""How a kernel is compiled: without the interpreter's lock, so that the ops' threads run it."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import numba

__all__ = ["entry", "inlined", "summing"]

F = TypeVar("F", bound=Callable[..., Any])

log = logging.getLogger(__name__)

# Of fast math a fused multiply-add alone, which rounds less: NaN and infinity stay what they are.
_OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}


def inlined(function: F) -> F:
    """A part of a kernel. Called as a function, it would pass every array field by field."""
    return numba.njit(**_OPTIONS, forceinline=True)(function)


def summing(function: F) -> F:
    """The same where a loop sums up: the vector lanes add up apart, in an order always the same."""
    return numba.njit(**_OPTIONS | {"fastmath": {"contract", "reassoc"}}, forceinline=True)(
        function
    )


def entry(function: F) -> F:
    """A kernel, compiled at its first call and kept on disk.

    Beside the source or, where that cannot be written, in the user's cache (``NUMBA_CACHE_DIR``
    names another); where neither can, every process compiles its own. A kernel is compiled anew
    where its own file has changed: after a change to what it calls, clear ``__pycache__``.
    """
    try:
        return numba.njit(**_OPTIONS, cache=True)(function)
    except RuntimeError as error:
        log.info("%s is compiled in every process: %s", function.__name__, error)
        return numba.njit(**_OPTIONS)(function)
