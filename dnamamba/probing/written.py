"""What a user's table or FASTA says of itself: its columns, its split, the kind of its labels."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dnamamba.data.labelled.cells import number
from dnamamba.data.labelled.examples import Fields, read_fasta
from dnamamba.data.labelled.reading import PART_NAMES
from dnamamba.data.labelled.tables import header_of, is_table, read_rows
from dnamamba.frames import SEQUENCES
from dnamamba.missing import is_missing

__all__ = ["Written", "are_numbers", "is_fasta", "stem", "written_in"]

_ROLES = {
    "sequence": SEQUENCES,
    "label": ("label", "labels", "class", "target", "y", "value"),
    "group": ("group", "groups", "cluster"),
    "split": ("split", "partition", "set"),
}
_HEADERS = (r"\b(?:label|class)=(?P<label>[^\s;|]+)", r"\|\s*(?P<label>[^\s|]+)\s*$")
_FASTA = (".fa", ".fasta", ".fna", ".ffn", ".fas")
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


def is_fasta(path: Path) -> bool:
    """True for names of FASTA files, with or without .gz."""
    return Path(path.name.lower().removesuffix(".gz")).suffix in _FASTA


def stem(path: Path) -> str:
    """The name without .gz and its ending."""
    return Path(path.name.removesuffix(".gz")).stem


def written_in(
    root: Path,
    file: str | dict[str, str],
    fields: Fields = Fields(),  # noqa: B008 (frozen)
    remedy: str = "declare the task in a YAML file with fields",
) -> Written:
    """Look at the training file.

    Args:
        root: its folder.
        file: a table, a FASTA, or class -> FASTA.
        fields: what the user says of it; where that is the default, it is found out.
        remedy: of a missing column; a dot and what it is for are put behind it.

    Raises:
        ValueError: no column of sequences or labels (lists the columns), or a FASTA whose headers
            name no label; names the file.
    """
    if not isinstance(file, str):
        return Written({})
    path = root / file
    if is_table(path):
        return _table(path, fields, remedy)
    return Written({"header": fields.header}) if fields.header else _fasta(path)


def _table(path: Path, fields: Fields, remedy: str) -> Written:
    named = _named(fields)
    names = [name for role in _ROLES.values() for name in role]
    header = header_of(path, [*names, *named.values()])
    lower = {name.lower(): name for name in reversed(header)}
    column = {
        role: named.get(role) or next((lower[name] for name in known if name in lower), "")
        for role, known in _ROLES.items()
    }
    for role in ("sequence", "label"):
        if not column[role]:
            raise ValueError(
                f"{path} has no column of {role}s ({', '.join(_ROLES[role])}); it has "
                f"{', '.join(header) or 'none'}. Rename one, or {remedy}.{role}"
            )
    labels: set[str] = set()
    parts: set[str] = set()
    read = [column["label"], *([column["split"]] if column["split"] else [])]
    for row in read_rows(path, read):
        labels.add(row.values[0])
        parts.update(row.values[1:])
    parts_named = {PART_NAMES.get(part.lower(), "") for part in parts if not is_missing(part)}
    # A slip in it is the reader's to tell.
    split = column["split"] if "train" in parts_named else ""
    columns = {role: column[role] for role in ("sequence", "label", "group") if column[role]}
    return Written(
        columns,
        bool(column["group"]),
        split,
        frozenset(parts_named - {""}) if split else frozenset(),
        are_numbers([label for label in labels if not is_missing(label)]),
    )


def _named(fields: Fields) -> dict[str, str]:
    """The columns that the user names, by what they are for."""
    values = {"sequence": fields.sequence, "label": fields.labels[0], "group": fields.group}
    usual = Fields()
    return {role: x for role, x in values.items() if x and x != getattr(usual, role)}


def are_numbers(labels: Iterable[str]) -> bool:
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
