"""Arguments of public functions, checked where they come in."""

import operator
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["each_once", "path", "path_text", "path_texts", "real", "switch", "whole"]


def path(name: str, value: Any) -> Path:
    """Where a file is.

    Raises:
        ValueError: of another type, empty, or with a NUL; names the argument.
    """
    return Path(path_text(name, value))


def path_text(name: str, value: Any) -> str:
    """Where a file is, as it was written. Raises: see ``path``."""
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not (isinstance(text, str) and text) or "\0" in text:
        raise ValueError(f"{name} must be a path, got {value!r:.60}")
    return text


def path_texts(name: str, value: Any) -> str | list[str]:
    """A path, or a list of paths, which may be empty, as they were written.

    Raises:
        ValueError: neither; names the argument, and the item by its number.
    """
    if isinstance(value, list | tuple):
        return [path_text(f"{name}[{i}]", item) for i, item in enumerate(value)]
    if not isinstance(value, str | os.PathLike):
        raise ValueError(f"{name} must be a path or a list of paths, got {value!r:.60}")
    return path_text(name, value)


def each_once(name: str, paths: Iterable[str | Path]) -> None:
    """See that no file is listed twice, be it under two names of one file.

    Raises:
        ValueError: one is; says under which names.
    """
    known: dict[object, str | Path] = {}
    for listed in paths:
        try:
            status = os.stat(listed)
        except (OSError, ValueError):  # whoever opens it will say what is wrong
            continue
        identity = (status.st_dev, status.st_ino) if status.st_ino else Path(listed).resolve()
        if identity in known:
            also = "" if str(known[identity]) == str(listed) else f" (as {known[identity]}, too)"
            raise ValueError(f"{listed} is given more than once in {name}{also}; name it once")
        known[identity] = listed


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
