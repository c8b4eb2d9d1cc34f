"""Tables of results: files, Parquet by the name, tab-separated text else; and Markdown."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dnamamba.extras import library
from dnamamba.files import Opened, replacing

__all__ = ["TABLE_ENDINGS", "aligned", "check_table", "write_table"]

TABLE_ENDINGS = (".parquet", ".tsv")


def write_table(
    path: Path, columns: Mapping[str, Sequence[Any]], opened: Opened = replacing
) -> None:
    """Write equally long columns under their names; a file that stands there is replaced.

    Args:
        path: ends in .parquet, or anything else for tab-separated text, in which floats have six
            digits.
        columns: name -> values: text, integers or floats.
        opened: how the file is opened.

    Raises:
        ModuleNotFoundError: Parquet without pyarrow; names the extra.
        OSError: no room; what stood there is intact.
    """
    if path.suffix == ".parquet":
        check_table(path)
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table({name: list(values) for name, values in columns.items()})
        with opened(path) as file:
            pq.write_table(table, file)
        return
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(
        [f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row]
        for row in zip(*columns.values(), strict=True)
    )
    with opened(path) as file:
        file.write(text.getvalue().encode())


def check_table(path: Path) -> None:
    """See that ``write_table`` will be able to, before the work.

    Raises:
        ModuleNotFoundError: Parquet without pyarrow; names the extra.
    """
    if path.suffix == ".parquet":
        library("pyarrow.parquet", "io", "writing Parquet", "name another output")


def aligned(head: Sequence[str], lines: Sequence[Sequence[str]], left: int = 1) -> str:
    """A table as Markdown, columns as wide as their widest cells, ``left`` of them flush left."""
    head, *lines = ([cell.replace("|", "\\|") for cell in row] for row in [head, *lines])
    widths = [max(3, *map(len, column)) for column in zip(head, *lines, strict=True)]
    rule = ["-" * w if i < left else "-" * (w - 1) + ":" for i, w in enumerate(widths)]

    def row(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    return "\n".join([row(head), row(rule), *map(row, lines)])
