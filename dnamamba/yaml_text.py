"""YAML in bounded time and memory: a few lines of aliases can stand for billions of values."""

from pathlib import Path
from typing import Any

import yaml

__all__ = ["check_yaml", "load_yaml", "read_yaml"]

_MOST_VALUES = 200_000  # in a file, every alias counted as what it stands for
_DEEPEST = 100
_LONGEST = 1 << 24  # characters: a list of a hundred thousand files


def read_yaml(path: Path) -> Any:
    """What a file says, in plain values; its tags run nothing.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is no text.
        yaml.YAMLError: no YAML, or out of bounds.
    """
    with path.open() as file:
        text = file.read(_LONGEST + 1)
    if len(text) > _LONGEST:
        raise yaml.YAMLError(f"it is longer than {_LONGEST >> 20} MiB")
    return load_yaml(text)


def load_yaml(text: str) -> Any:
    """The same of a text."""
    check_yaml(text)
    return yaml.safe_load(text)


def check_yaml(text: str) -> None:
    """Refuse what would take long, or much room, to build.

    Raises:
        yaml.YAMLError: no YAML; or too many values, too deep, or a value that holds itself.
    """
    sizes: dict[str, int] = {}  # of what has an anchor and is complete
    open_nodes: list[tuple[str | None, int]] = []  # anchor, and the values before
    count = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in open_nodes):
                raise yaml.YAMLError(f"*{event.anchor} stands within itself{event.start_mark}")
            count += sizes.get(event.anchor or "", 1)
        elif isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, count))
            count += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor is not None:
                sizes[anchor] = count - before
        elif isinstance(event, yaml.ScalarEvent):
            count += 1
            if event.anchor is not None:
                sizes[event.anchor] = 1
        if len(open_nodes) > _DEEPEST:
            raise yaml.YAMLError(f"it nests deeper than {_DEEPEST} levels{event.start_mark}")
        if count > _MOST_VALUES:
            raise yaml.YAMLError(f"its aliases stand for more than {_MOST_VALUES:,} values")
