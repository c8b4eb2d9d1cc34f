"""Columns of tables, by the names that users give them: no library is imported for it.

A table is a ``DataFrame`` of pandas or polars, or a ``Table`` or ``RecordBatch`` of pyarrow; what
its columns are called is a fact of files of tables, too.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from dnamamba.spelling import closest

__all__ = [
    "IDS",
    "SEQUENCES",
    "Column",
    "column_of",
    "id_column",
    "is_frame",
    "known_name",
    "picked",
]

SEQUENCES = ("sequence", "seq", "sequences", "dna", "dna_sequence")
"""What a column of sequences may be called, in either case; the first of them is taken."""
IDS = ("id",)
"""What a column of ids may be called, likewise."""


class Column(NamedTuple):
    """One column of a table in memory.

    Attributes:
        name: what it is called.
        values: in the order of the rows.
    """

    name: str
    values: Any

    def members(self) -> Iterator[tuple[str, Any]]:
        """Every value, with a name for errors."""
        return ((f"column {self.name!r}, row {i} (0-based)", x) for i, x in enumerate(self.values))


def is_frame(value: Any) -> bool:
    """Whether it is a table of columns; a column of pandas has its rows' names as attributes."""
    named = hasattr(value, "columns") or hasattr(value, "column_names")
    return named and getattr(value, "ndim", 2) == 2


def _names(frame: Any) -> list[Any]:
    """What a table's columns are called, in order."""
    by_arrow = hasattr(frame, "column_names") and not hasattr(frame, "iloc")
    return list(frame.column_names if by_arrow else frame.columns)


def column_of(frame: Any, name: str | None = None) -> Column:
    """The column of sequences of a table.

    Args:
        frame: the table.
        name: the column; None: that which is called as one of ``SEQUENCES``.

    Raises:
        ValueError: no table, no such column (suggests the nearest), or several of this name.
    """
    if not is_frame(frame):
        raise ValueError(
            f"column={name!r} names a column of a table, got {type(frame).__name__}; leave it out"
        )
    if hasattr(frame, "collect") and not hasattr(frame, "to_numpy"):  # a plan of polars
        raise ValueError(f"a {type(frame).__name__} holds no rows yet; give its collect()")
    names = _names(frame)
    remedy = "give the column that holds them, as table['NAME']"
    column = picked(names, SEQUENCES, "sequences", f"the {type(frame).__name__}", name, remedy)
    if (count := names.count(column)) > 1:
        raise ValueError(
            f"the {type(frame).__name__} has {count} columns named {column!r}; names must be unique"
        )
    return Column(column, frame[column])


def id_column(frame: Any) -> Column | None:
    """The column of ids of a table; None without one."""
    name = known_name(_names(frame), IDS)
    return None if name is None else Column(name, frame[name])


def known_name(header: Sequence[Any], known: Sequence[str]) -> str | None:
    """The column that is called as the first of some names that there is, in either case."""
    texts = [column for column in header if isinstance(column, str)]
    lower = {column.lower(): column for column in reversed(texts)}
    return next((lower[word] for word in known if word in lower), None)


def picked(
    header: Sequence[Any],
    known: Sequence[str],
    plural: str,
    where: str,
    name: str | None,
    remedy: str,
) -> str:
    """Which of the columns holds something.

    Args:
        header: names of all columns.
        known: what such a column is called, in either case.
        plural: what it holds.
        where: the table, for errors.
        name: what the user calls it; None: as one of ``known``.
        remedy: of a table without such a column, beside a new name for it.

    Raises:
        ValueError: no such column (lists the columns, suggests the nearest).
    """
    texts = [column for column in header if isinstance(column, str)]
    shown = ", ".join(map(str, header)) or "none"
    if name is not None:
        if name in header:
            return name
        near = closest(str(name), texts, cutoff=0.4)
        hint = f"; did you mean {near!r}?" if near else ""
        raise ValueError(f"{where} has no column {name!r}; it has {shown}{hint}")
    if (word := known_name(header, known)) is not None:
        return word
    raise ValueError(
        f"{where} has no column of {plural} ({', '.join(known)}); it has {shown}. Rename one, or "
        f"{remedy}"
    )
