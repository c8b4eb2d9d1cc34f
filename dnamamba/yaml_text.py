"""YAML in bounded time and memory: a few lines of aliases can stand for billions of values."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = ["check_yaml", "load_yaml", "read_yaml"]

_MOST_VALUES = 200_000  # in a file, every alias counted as what it stands for
_DEEPEST = 100
_LONGEST = 1 << 24  # characters: a list of a hundred thousand files
_LONGEST_NUMBER = 300  # digits; what is longer overflows a float
_MERGE = "<<"  # takes over the keys of another section, which a key beside it may replace


def read_yaml(path: Path) -> Any:
    """What a file says, in plain values; its tags run nothing.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is no text.
        yaml.YAMLError: no YAML, or out of bounds.
    """
    with path.open(encoding="utf-8-sig") as file:
        text = file.read(_LONGEST + 1)
    if len(text) > _LONGEST:
        raise yaml.YAMLError(f"it is longer than {_LONGEST >> 20} MiB")
    return load_yaml(text)


def load_yaml(text: str) -> Any:
    """The same of a text."""
    check_yaml(text)
    return yaml.safe_load(text)


def check_yaml(text: str) -> None:
    """Refuse what would take long, or much room, to build, or says two things at once.

    Raises:
        yaml.YAMLError: no YAML; too many values, too deep, a value that holds itself, an endless
            number, or a key that stands twice in its section.
    """
    sizes: dict[str, int] = {}  # of what has an anchor and is complete
    open_nodes: list[_Open] = []
    count = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionEndEvent):
            node = open_nodes.pop()
            if node.anchor is not None:
                sizes[node.anchor] = count - node.before
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue
        if open_nodes:
            open_nodes[-1].add(event)
        if isinstance(event, yaml.AliasEvent):
            if any(node.anchor == event.anchor for node in open_nodes):
                raise yaml.YAMLError(f"*{event.anchor} stands within itself{event.start_mark}")
            count += sizes.get(event.anchor or "", 1)
        elif isinstance(event, yaml.CollectionStartEvent):
            is_section = isinstance(event, yaml.MappingStartEvent)
            open_nodes.append(_Open(event.anchor, count, {} if is_section else None))
            count += 1
        elif isinstance(event, yaml.ScalarEvent):
            _check_number(event)
            count += 1
            if event.anchor is not None:
                sizes[event.anchor] = 1
        if len(open_nodes) > _DEEPEST:
            raise yaml.YAMLError(f"it nests deeper than {_DEEPEST} levels{event.start_mark}")
        if count > _MOST_VALUES:
            raise yaml.YAMLError(f"its aliases stand for more than {_MOST_VALUES:,} values")


@dataclass
class _Open:
    """A section or a list whose end has not been read.

    Attributes:
        anchor: its name for aliases.
        before: the values before it.
        keys: key -> line, of a section.
        is_key: whether what comes next in a section is a key.
    """

    anchor: str | None
    before: int
    keys: dict[str, int] | None
    is_key: bool = True

    def add(self, event: yaml.NodeEvent) -> None:
        """What stands in it, in order."""
        if self.keys is None:
            return
        if self.is_key and isinstance(event, yaml.ScalarEvent) and event.value != _MERGE:
            assert event.start_mark is not None
            line = event.start_mark.line + 1
            if (first := self.keys.get(event.value)) is not None:
                raise yaml.YAMLError(
                    f"the key {event.value!r:.60} stands twice in one section, in lines {first} "
                    f"and {line}; remove one of them"
                )
            self.keys[event.value] = line
        self.is_key = not self.is_key


def _check_number(event: yaml.ScalarEvent) -> None:
    digits = event.value.lstrip("+-")
    if event.style is None and len(digits) > _LONGEST_NUMBER and digits.isdecimal():
        raise yaml.YAMLError(f"a number of {len(digits):,} digits{event.start_mark}")
