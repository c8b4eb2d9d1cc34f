"""The rows of a table of sequences, as a command reads them, and the user's columns beside them."""

import re
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnamamba import arguments
from dnamamba.alphabet import Tokenizer
from dnamamba.data.labelled.rows import name_of, place
from dnamamba.data.labelled.tables import header_of, read_rows
from dnamamba.frames import IDS, SEQUENCES, known_name, picked
from dnamamba.inference.sources import Encoded, Sources, encode_named
from dnamamba.missing import is_missing

__all__ = ["TableRow", "TableRows", "read_table"]

Ints = NDArray[np.int64]
_WHOLE = re.compile(r"0|-?[1-9]\d{0,17}", re.ASCII)


class TableRow(Encoded):
    """A sequence whose bases have no other place than the one within it."""

    def positions(self, start: int, stop: int) -> Ints:
        """(stop - start,) 0-based places of its bases ``start`` to before ``stop``."""
        return np.arange(start, stop)


class TableRows(Sources):
    """The sequences of a table and its columns, held in memory.

    Args:
        encoded: the sequences.
        columns: name -> a value a row: ``id``, and what is kept.
        sequence: what the column of sequences is called.
    """

    def __init__(self, encoded: Sources, columns: dict[str, list[Any]], sequence: str) -> None:
        self._encoded, self._columns, self.sequence = encoded, columns, sequence
        self.lengths, self._rows = encoded.lengths, np.arange(len(encoded))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(self._columns)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.take(index)
        return TableRow(self._encoded[index].tokens)

    def take(self, numbers: Sequence[int] | NDArray[Any] | slice) -> "TableRows":
        some = copy(self)
        some._encoded, some._rows = self._encoded.take(numbers), self._rows[numbers]
        some.lengths = some._encoded.lengths
        return some

    def write(self, starts: Ints, stops: Ints, out: NDArray[np.uint8]) -> None:
        self._encoded.write(starts, stops, out)

    def column(self, name: str) -> list[Any]:
        """The values of one of ``names``; of others, ``start`` and ``end``, within the sequence."""
        if name not in self._columns:
            values: list[Any] = self.lengths.tolist() if name == "end" else [0] * len(self)
            return values
        values = self._columns[name]
        return [values[i] for i in self._rows.tolist()]


def read_table(
    path: str | Path,
    tokenizer: Tokenizer,
    column: str | None = None,
    keep: Sequence[str] = (),
    taken: Callable[[str], bool] = lambda name: False,
) -> TableRows:
    """Read a table, row by row; the sequences become ids as they come.

    Args:
        path: see ``data.labelled.tables.read_rows``.
        tokenizer: how sequences are read.
        column: of sequences; None: that which is called as training calls it.
        keep: further columns, or ``all`` for every one that has a name. Whole numbers stay whole
            numbers, anything else is text.
        taken: whether the output needs a name for itself, beside ``id``.

    Raises:
        ValueError: a damaged file, no such column, one that is called as one of the output, a
            missing sequence or id, an id that stands twice, or a letter that the tokenizer
            refuses; names file, line and column.
        ModuleNotFoundError: a Parquet file without pyarrow; names the extra.
    """
    path = arguments.path("the table", path)
    keep = list(dict.fromkeys([keep] if isinstance(keep, str) else keep))
    asked = [] if column is None else [column]
    header = header_of(path, [*SEQUENCES, *IDS, *asked, *keep])
    sequence = picked(header, SEQUENCES, "sequences", str(path), column, "name it by --column")
    id = known_name([name for name in header if name != sequence], IDS)
    kept = _kept(path, header, keep, id, taken)
    names = [sequence, *([] if id is None else [id]), *kept]
    ids: list[str] = []
    cells: list[list[str]] = [[] for _ in kept]
    known: dict[str, str] = {}

    def sequences() -> Iterator[tuple[str, bytes]]:
        for where, values in read_rows(path, names):
            where_bases = f"{where}, column {sequence!r}"
            bases = _present(values[0], where_bases, "the sequence")
            if id is None:
                ids.append(name_of(path, where))
            else:
                ids.append(_unique(values[1], f"{where}, column {id!r}", where, known))
            for store, cell in zip(cells, values[len(names) - len(kept) :], strict=True):
                store.append(cell)
            yield where_bases, bases.encode("latin-1", "replace")

    encoded = encode_named(tokenizer, _some(path, sequences()))
    columns: dict[str, list[Any]] = {"id": ids}
    columns |= {name: _typed(values) for name, values in zip(kept, cells, strict=True)}
    return TableRows(encoded, columns, sequence)


def _kept(
    path: Path, header: list[str], keep: Sequence[str], id: str | None, taken: Callable[[str], bool]
) -> list[str]:
    """The columns that are kept, beside ids, which always are."""
    if list(keep) == ["all"]:
        keep = [name for name in dict.fromkeys(header) if name]
    kept = [name for name in keep if name != id]
    for name in kept:
        place(path, header, name)
        if name == "id" or taken(name):
            raise ValueError(
                f"{path}: column {name!r} cannot be kept: the output needs this name for itself; "
                "rename the column, or leave it out of --keep"
            )
    return kept


def _some(path: Path, sequences: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    first = next(sequences, None)
    if first is None:
        raise ValueError(f"{path} has a header and no row; expected a sequence a row")
    yield first
    yield from sequences


def _present(cell: str, where: str, what: str) -> str:
    if is_missing(cell):
        state = f"is a missing value, {cell!r}" if cell else "is empty"
        raise ValueError(f"{where}: {what} {state}; fill it in, or remove the row")
    return cell


def _unique(cell: str, place: str, where: str, known: dict[str, str]) -> str:
    name = _present(cell, place, "the id")
    if (first := known.setdefault(name, where)) != where:
        raise ValueError(
            f"{place}: the id {name!r} stands at {first} too; ids must be unique: change one, or "
            "give the column another name than id, and rows are called by their numbers"
        )
    return name


def _typed(cells: list[str]) -> list[Any]:
    """Whole numbers where all are written as Python writes them, so that nothing is lost."""
    return [int(x) for x in cells] if all(map(_WHOLE.fullmatch, cells)) else cells
