"""What the parsers of all commands have in common: errors of one line, and values that make sense.

jsonargparse passes over null whatever type is asked for, and takes NaN and integers of any size.
"""

import argparse
import math
from collections.abc import Iterator
from types import UnionType
from typing import Any, Literal, NoReturn, Union, get_args, get_origin

from jsonargparse import ArgumentParser, Namespace

from dnamamba.cli.errors import UsageError, explain

__all__ = ["CheckedParser"]

_SCALARS = (bool, int, float, str, list, tuple, Literal)
_MOST = 2**63 - 1  # what NumPy and torch count with
_ABSENT = object()


class CheckedParser(ArgumentParser):
    """Refuses values that no setting can take, whatever class or section it belongs to."""

    def parse_args(  # type: ignore[override]
        self, *args: Any, **kwargs: Any
    ) -> Namespace:
        try:
            namespace: Namespace = super().parse_args(*args, **kwargs)
        except OverflowError as error:  # an integer where a float is asked for
            self.error(f"a number is out of range: {error}", error)
        return namespace

    def validate(self, namespace: Namespace, *args: Any, **kwargs: Any) -> None:
        """As jsonargparse does it.

        Raises:
            TypeError: also for null where the type has none, NaN, and integers beyond 64 bits.
        """
        super().validate(namespace, *args, **kwargs)
        for action in self._actions:
            value = namespace.get(action.dest, _ABSENT)
            if value is not _ABSENT:
                _check(action, value)

    def instantiate(self, namespace: Namespace, *args: Any, **kwargs: Any) -> Namespace:
        """Of settings that are an object of their own, null is one left at its defaults.

        Raises:
            UsageError: something else stands in the place of such an object.
        """
        named = namespace.clone()
        for group in self._action_groups:
            name = group.dest if hasattr(group, "group_class") else None
            if name and not isinstance(value := named.get(name), Namespace):
                if value is not None:
                    raise UsageError(f"{name} takes settings by their names, got {value!r}")
                named.pop(name, None)
        return super().instantiate(named, *args, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        known = [action.dest for action in self._actions]
        raise UsageError(explain(message, known)) from ex


def _check(action: argparse.Action, value: Any) -> None:
    kind = getattr(action, "_typehint", None)
    if value is None:
        # A setting without a default is required, and said to be missing. Null for what has
        # settings of its own leaves all of these at their defaults.
        if action.default not in (None, argparse.SUPPRESS) and _is_never_null(action, kind):
            raise TypeError(
                f"{action.dest} must be {_described(action, kind)}, got null; leave the line out "
                f"for its default, {_shown(action.default)}"
            )
        return
    for number in _numbers(value):
        if isinstance(number, float) and math.isnan(number):
            raise TypeError(f"{action.dest} must be a number, got {number}")
        if isinstance(number, int) and abs(number) > _MOST:
            raise TypeError(f"{action.dest} must be an integer of 64 bits, got {_shown(number)}")


def _is_never_null(action: argparse.Action, kind: Any) -> bool:
    if kind is None:  # a switch
        return isinstance(action.default, bool)
    return all((get_origin(one) or one) in _SCALARS for one in _members(kind))


def _members(kind: Any) -> list[Any]:
    """The types of which a value may be one."""
    if get_origin(kind) in (Union, UnionType):
        return [member for one in get_args(kind) for member in _members(one)]
    return [kind]


def _described(action: argparse.Action, kind: Any) -> str:
    words = {bool: "true or false", int: "an integer", float: "a number", str: "text"}
    said = []
    for one in [bool] if kind is None else _members(kind):
        if get_origin(one) is Literal:
            said += [str(value) for value in get_args(one)]
        else:
            said.append(words.get(one, "a list"))
    return " or ".join(dict.fromkeys(said))


def _numbers(value: Any) -> Iterator[int | float]:
    if isinstance(value, list | tuple):
        for part in value:
            yield from _numbers(part)
    elif isinstance(value, dict):
        yield from _numbers(list(value.values()))
    elif isinstance(value, int | float):
        yield value


def _shown(value: Any) -> str:
    text = repr(list(value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= 40 else f"{text[:20]}... ({len(text)} digits)"
