"""The parts of a stored configuration, checked key by key."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from dnamamba.spelling import closest

__all__ = ["CheckpointError", "check_keys", "part"]

Part = TypeVar("Part")


class CheckpointError(ValueError):
    """A folder or file that does not hold a model that can be loaded; names it and says why."""


def part(kind: type[Part], values: object, where: str) -> Part:
    """A dataclass from what a file says of it.

    Raises:
        CheckpointError: no object, an unknown key, or a value that does not fit; begins with
            ``where``.
    """
    if not isinstance(values, dict):
        raise CheckpointError(f"{where} must be an object, got {values!r:.80}")
    dataclass: Any = kind
    check_keys(values, {field.name for field in fields(dataclass)}, where)
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{where}: {error}") from error


def check_keys(values: Mapping[str, object], known: set[str], where: str) -> None:
    """Refuse keys that are not known, with the nearest that is.

    Raises:
        CheckpointError: begins with ``where``.
    """
    for key in values:
        if key not in known:
            near = closest(str(key), known)
            hint = f"did you mean {near}?" if near else f"known are {', '.join(sorted(known))}"
            raise CheckpointError(f"{where} has an unknown key {key!r}; {hint}")
