"""What a user's table or FASTA says of itself: its columns, its split, the kind of its labels."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dnamamba.data.labelled.cells import number
from dnamamba.data.labelled.examples import read_fasta
from dnamamba.data.labelled.reading import PART_NAMES
from dnamamba.data.labelled.tables import header_of, is_table, read_rows
from dnamamba.missing import is_missing

__all__ = ["Written", "written_in"]

_ROLES = {
    "sequence": ("sequence", "seq", "sequences", "dna", "dna_sequence"),
    "label": ("label", "labels", "class", "target", "y", "value"),
    "group": ("group", "groups", "cluster"),
    "split": ("split", "partition", "set"),
}
_HEADERS = (r"\b(?:label|class)=(?P<label>[^\s;|]+)", r"\|\s*(?P<label>[^\s|]+)\s*$")
_MOST_CLASSES = 20  # of whole numbers; more of them are a measure


@dataclass(frozen=True)
class Written:
    """What stands in a file.

    Attributes:
        fields: of ``Fields``; empty where each class has its FASTA.
        group: whether there is a column of groups.
        split: the column that names the parts; empty without one.
        parts: which of train, validation and test it names.
        numbers: whether the labels are a measure.
    """

    fields: dict[str, Any]
    group: bool = False
    split: str = ""
    parts: frozenset[str] = frozenset()
    numbers: bool = False


def written_in(root: Path, file: str | dict[str, str]) -> Written:
    """Look at the training file.

    Args:
        root: its folder.
        file: a table, a FASTA, or class -> FASTA.

    Raises:
        ValueError: no column of sequences or labels (lists the columns), or a FASTA whose headers
            name no label; names the file.
    """
    if not isinstance(file, str):
        return Written({})
    path = root / file
    return _table(path) if is_table(path) else _fasta(path)


def _table(path: Path) -> Written:
    names = [name for role in _ROLES.values() for name in role]
    header = header_of(path, names)
    lower = {name.lower(): name for name in reversed(header)}
    column = {
        role: next((lower[name] for name in known if name in lower), "")
        for role, known in _ROLES.items()
    }
    for role in ("sequence", "label"):
        if not column[role]:
            raise ValueError(
                f"{path} has no column of {role}s ({', '.join(_ROLES[role])}); it has "
                f"{', '.join(header) or 'none'}. Rename one, or declare the task in a YAML file "
                f"with fields.{role}"
            )
    labels: set[str] = set()
    parts: set[str] = set()
    read = [column["label"], *([column["split"]] if column["split"] else [])]
    for row in read_rows(path, read):
        labels.add(row.values[0])
        parts.update(row.values[1:])
    named = {PART_NAMES.get(part.lower(), "") for part in parts if not is_missing(part)}
    split = column["split"] if "train" in named else ""  # a slip in it is the reader's to tell
    fields = {role: column[role] for role in ("sequence", "label", "group") if column[role]}
    return Written(
        fields,
        bool(column["group"]),
        split,
        frozenset(named - {""}) if split else frozenset(),
        _are_numbers([label for label in labels if not is_missing(label)]),
    )


def _are_numbers(labels: Sequence[str]) -> bool:
    """Whether labels are a measure: numbers, and fractions or very many among them."""
    try:
        values = {number(label, "") for label in labels}
    except ValueError:
        return False
    return len(values) > _MOST_CLASSES or any(value != int(value) for value in values)


def _fasta(path: Path) -> Written:
    header = next((header for header, _ in read_fasta(path)), "")
    for pattern in _HEADERS:
        if re.search(pattern, header):
            return Written({"header": pattern})
    raise ValueError(
        f"{path}: where are the labels? Its first header, {header!r:.60}, has no class=NAME and "
        "does not end in |NAME; use a table, or a folder with one FASTA a class"
    )
