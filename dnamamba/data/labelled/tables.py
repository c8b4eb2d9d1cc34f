"""Columns of a CSV, TSV or Parquet file, every row with the name that an error calls it by."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from dnamamba.data.genome.text import text_lines
from dnamamba.extras import library
from dnamamba.spelling import closest

__all__ = ["Row", "is_table", "read_rows"]

_DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_PARQUET = (".parquet", ".pq")
_ROWS_AT_ONCE = 4096
# csv refuses fields above 131,072 characters unless told otherwise, and a contig is longer.
_LONGEST_FIELD = 2**31 - 1


class Row(NamedTuple):
    """One row.

    Attributes:
        where: ``file, line 7`` (CSV, TSV) or ``file, row 6`` (Parquet, counted from 1).
        values: the text of the columns asked for, in that order; "" for an empty or null cell.
    """

    where: str
    values: tuple[str, ...]


def is_table(path: str | Path) -> bool:
    """True for names that end in .csv, .tsv, .tab (or these and .gz), .parquet or .pq."""
    return _kind(Path(path)) in (*_DELIMITERS, *_PARQUET)


def read_rows(path: str | Path, columns: Sequence[str]) -> Iterator[Row]:
    """Read named columns, row by row.

    Blank lines are skipped. Numbers of a Parquet file come as Python prints them.

    Args:
        path: ``.csv``, ``.tsv`` or ``.tab``, plain, gzip or bgzip; or ``.parquet``.
        columns: names from the header.

    Raises:
        ValueError: the file is damaged or of another kind, a column is absent (suggests the
            nearest) or stands twice, or a row has too few or too many fields (names the line).
        ModuleNotFoundError: a Parquet file without pyarrow; names the extra.
    """
    path = Path(path)
    kind = _kind(path)
    if kind in _PARQUET:
        yield from _parquet_rows(path, columns)
    elif kind in _DELIMITERS:
        yield from _text_rows(path, columns, _DELIMITERS[kind])
    else:
        raise ValueError(
            f"{path} is no table by its name; expected .csv, .tsv or .tab (also with .gz), "
            "or .parquet"
        )


def _kind(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] in ([".gz"], [".bgz"]):
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _text_rows(path: Path, columns: Sequence[str], delimiter: str) -> Iterator[Row]:
    before = csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(text_lines(path), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        places = [_place(path, header, column) for column in columns]
        for fields in reader:
            if not fields:
                continue
            where = f"{path}, line {reader.line_num}"
            if len(fields) != len(header):
                raise ValueError(
                    f"{where}: {len(fields)} fields where the header has {len(header)} "
                    f"({', '.join(header)}); is the separator {delimiter!r}?"
                )
            yield Row(where, tuple(fields[place] for place in places))
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}") from error
    finally:
        csv.field_size_limit(before)


def _parquet_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    pa, parquet = (
        library(name, "io", f"reading {path}") for name in ("pyarrow", "pyarrow.parquet")
    )
    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            for column in columns:
                _place(path, names, column)
            number = 0
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=list(dict.fromkeys(columns))):
                cells = [batch.column(column).to_pylist() for column in columns]
                for values in zip(*cells, strict=True):
                    number += 1
                    yield Row(f"{path}, row {number}", tuple(map(_text, values)))
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"cannot read Parquet {path}: {error}") from error


def _text(cell: object) -> str:
    if cell is None:
        return ""
    return cell.decode("latin-1") if isinstance(cell, bytes) else str(cell)


def _place(path: Path, header: Sequence[str], column: str) -> int:
    count = header.count(column)
    if count == 1:
        return header.index(column)
    if count:
        raise ValueError(f"{path}: {count} columns are named {column!r}; names must be unique")
    near = closest(column, header, cutoff=0.4)
    hint = f"; did you mean {near!r}?" if near else ""
    raise ValueError(f"{path} has no column {column!r}; it has {', '.join(header)}{hint}")
