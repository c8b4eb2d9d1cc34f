"""Columns of a CSV, TSV or Parquet file, every row with the name that an error calls it by."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from dnamamba import arguments
from dnamamba.data.genome.text import damage_first
from dnamamba.data.labelled.delimited import delimited_header, delimited_rows
from dnamamba.data.labelled.parquet import parquet_header, parquet_rows
from dnamamba.data.labelled.rows import Row

__all__ = ["Row", "header_of", "is_table", "read_rows"]

_SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_PARQUET = (".parquet", ".pq")


def is_table(path: str | Path) -> bool:
    """True for names that end in .csv, .tsv, .tab (or these and .gz), .parquet or .pq."""
    return _kind(Path(path)) in (*_SEPARATORS, *_PARQUET)


def header_of(path: str | Path, columns: Sequence[str]) -> list[str]:
    """Names of all columns of a table.

    Args:
        path: as in ``read_rows``.
        columns: names to expect, by which the separator is found; some may be absent.

    Raises:
        ValueError: see ``read_rows``.
        ModuleNotFoundError: a Parquet file without pyarrow; names the extra.
    """
    path = arguments.path("the table", path)
    kind = _kind(path)
    if kind in _PARQUET:
        return parquet_header(path)
    with damage_first(path):
        return delimited_header(path, columns, _SEPARATORS[kind])


def read_rows(path: str | Path, columns: Sequence[str]) -> Iterator[Row]:
    """Read named columns, row by row.

    Text may be separated by commas, tabs, ``;``, ``|`` or spaces, whatever the file is called: the
    header says by which, that under which it has most of the columns asked for. Blank lines are
    skipped.

    Args:
        path: ``.csv``, ``.tsv`` or ``.tab``, plain, gzip or bgzip; or ``.parquet``.
        columns: names from the header.

    Raises:
        ValueError: the file is damaged or of another kind, a column is absent (suggests the
            nearest) or stands twice, or a row has too few or too many fields (names the line).
        ModuleNotFoundError: a Parquet file without pyarrow; names the extra.
    """
    path = arguments.path("the table", path)
    kind = _kind(path)
    if kind in _PARQUET:
        yield from parquet_rows(path, columns)
    elif kind in _SEPARATORS:
        with damage_first(path):
            yield from delimited_rows(path, columns, _SEPARATORS[kind])
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
