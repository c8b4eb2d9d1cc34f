"""Arguments of public functions, checked where they come in."""

import operator
import os
from pathlib import Path
from typing import Any

__all__ = ["path", "real", "switch", "whole"]


def path(name: str, value: Any) -> Path:
    """Where a file is.

    Raises:
        ValueError: of another type; names the argument.
    """
    if not isinstance(value, str | os.PathLike):
        raise ValueError(f"{name} must be a path, got {value!r:.60}")
    return Path(value)


def whole(name: str, value: Any, least: int | None = None) -> int:
    """A whole number, of Python or NumPy.

    Raises:
        ValueError: of another type, or below ``least``; names the argument.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise ValueError(f"{name} must be a whole number, got {value!r}")
    if least is not None and number < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return number


def real(name: str, value: Any) -> float:
    """A number, NaN and infinity among them.

    Raises:
        ValueError: of another type; names the argument.
    """
    if isinstance(value, str | bytes | bool):
        raise ValueError(f"{name} must be a number, got {value!r}")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} must be a number, got {value!r}") from None


def switch(name: str, value: Any) -> bool:
    """True or False, not what merely counts as such.

    Raises:
        ValueError: neither; names the argument.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return value
