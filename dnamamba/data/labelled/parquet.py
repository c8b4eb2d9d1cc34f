"""Tables of Parquet, batch by batch."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dnamamba.data.labelled.rows import Row, place
from dnamamba.extras import library

__all__ = ["parquet_header", "parquet_rows"]

_ROWS_AT_ONCE = 4096


def parquet_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """Named columns of a Parquet file; numbers come as Python prints them.

    Changed bytes within a page are noticed if the file was written with checksums of its pages
    (``write_page_checksum=True`` of pyarrow).

    Raises:
        ValueError: see ``tables.read_rows``.
        ModuleNotFoundError: pyarrow is missing; names the extra.
    """
    pa, parquet = (
        library(name, "io", f"reading {path}") for name in ("pyarrow", "pyarrow.parquet")
    )
    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            schema = file.schema_arrow
            for column in columns:
                kind = schema.types[place(path, schema.names, column)]
                if pa.types.is_nested(kind):
                    raise ValueError(
                        f"{path}: column {column!r} holds {kind} in each cell; expected text or "
                        "numbers"
                    )
            number = 0
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=list(dict.fromkeys(columns))):
                cells = [
                    _texts(batch.column(column), f"{path}, column {column!r}", number)
                    for column in columns
                ]
                for values in zip(*cells, strict=True):
                    number += 1
                    yield Row(f"{path}, row {number}", values)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"cannot read Parquet {path}: {error}") from error


def parquet_header(path: Path) -> list[str]:
    """Names of the columns. Raises: see ``parquet_rows``."""
    pa, parquet = (
        library(name, "io", f"reading {path}") for name in ("pyarrow", "pyarrow.parquet")
    )
    try:
        return list(parquet.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"cannot read Parquet {path}: {error}") from error


def _texts(column: Any, where: str, rows_before: int) -> list[str]:
    try:
        return [_text(cell) for cell in column.to_pylist()]
    except (ValueError, OverflowError):
        pass
    for number, cell in enumerate(column, rows_before + 1):  # to say which one it is
        try:
            cell.as_py()
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            raise ValueError(
                f"{where}, row {number}: byte 0x{byte:02x} is not UTF-8; write the table anew from "
                "text in its right encoding"
            ) from error
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{where}, row {number}: {error}") from error
    raise AssertionError(where)


def _text(cell: object) -> str:
    if cell is None:
        return ""
    return (cell.decode("latin-1") if isinstance(cell, bytes) else str(cell)).strip()
