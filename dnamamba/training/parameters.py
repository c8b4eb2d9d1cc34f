"""Hyper-parameters as checkpoints hold them: plain JSON types, and back."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

__all__ = ["plain", "refuse_another", "typed"]

Settings = TypeVar("Settings")


def plain(settings: Any) -> Any:
    """A dataclass as plain JSON types, or a weights-only load refuses the checkpoint."""
    return None if settings is None else json.loads(json.dumps(asdict(settings)))


def typed(kind: type[Settings], value: Any) -> Settings:
    """The dataclass again, from the dictionary that ``plain`` made of it."""
    settings: Settings = kind(**value) if isinstance(value, dict) else value
    return settings


def refuse_another(
    here: Mapping[str, Any], checkpoint: Mapping[str, Any], parts: Iterable[str]
) -> None:
    """Refuse the weights of another model before torch complains of their shapes.

    Args:
        here: the module's hyper-parameters.
        checkpoint: Lightning's.
        parts: which of the hyper-parameters, each a dictionary, the weights depend on.

    Raises:
        ValueError: names the settings that differ.
    """
    there = checkpoint.get("hyper_parameters", {})
    differ = [
        f"{part}.{key} is {value!r} here and {there[part][key]!r} in the checkpoint"
        for part in parts
        for key, value in here[part].items()
        if part in there and there[part].get(key, value) != value
    ]
    if differ:
        raise ValueError(f"the checkpoint is of another model: {'; '.join(differ)}")
