"""A row of a table, and where its columns stand."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from dnamamba.spelling import closest

__all__ = ["Row", "name_of", "place"]


class Row(NamedTuple):
    """One row.

    Attributes:
        where: ``file, line 7`` (CSV, TSV) or ``file, row 6`` (Parquet, counted from 1).
        values: the text of the columns asked for, in that order, without white space around it;
            "" for an empty or null cell.
    """

    where: str
    values: tuple[str, ...]


def name_of(path: Path, where: str) -> str:
    """What a row without an id is called: ``file:7``, by its line or number."""
    return f"{path.name}:{where.rsplit(maxsplit=1)[1]}"


def place(path: Path, header: Sequence[str], column: str) -> int:
    """Which of the columns has this name.

    Raises:
        ValueError: none (suggests the nearest), or several; names the file.
    """
    count = header.count(column)
    if count == 1:
        return header.index(column)
    if count:
        raise ValueError(f"{path}: {count} columns are named {column!r}; names must be unique")
    near = closest(column, header, cutoff=0.4)
    hint = f"; did you mean {near!r}?" if near else ""
    raise ValueError(f"{path} has no column {column!r}; it has {', '.join(header) or 'none'}{hint}")
