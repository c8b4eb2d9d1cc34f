"""Settings: frozen dataclasses in the program, plain JSON types in checkpoints, and back."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any, TypeVar

__all__ = ["plain", "typed"]

Settings = TypeVar("Settings")


def plain(value: Any) -> Any:
    """A value in plain JSON types, or a weights-only load refuses the checkpoint.

    Args:
        value: a dataclass, a path, what JSON knows, or mappings and sequences of these.

    Raises:
        TypeError: anything else.
    """
    return json.loads(json.dumps(value, default=_plain))


def typed(kind: type[Settings], value: Settings | Mapping[str, Any] | None) -> Settings:
    """A dataclass again, from the mapping that ``plain`` or YAML made of it.

    Args:
        kind: the dataclass.
        value: one, or its fields; None, as an empty key of YAML, stands for the defaults.

    Raises:
        TypeError: an unknown field, or a missing one.
        ValueError: a value that the dataclass refuses.
    """
    if value is None:
        return kind()
    return kind(**value) if isinstance(value, Mapping) else value


def _plain(value: Any) -> Any:
    is_settings = is_dataclass(value) and not isinstance(value, type)
    return asdict(value) if is_settings else os.fspath(value)
