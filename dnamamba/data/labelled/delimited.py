"""Tables of text: the separator is found by the header, every row is told by its line."""

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain, repeat
from pathlib import Path

from dnamamba.data.genome.text import LONGEST_SEQUENCE_LINE, text_lines
from dnamamba.data.labelled.rows import Row, place

__all__ = ["delimited_header", "delimited_rows"]

_SEPARATORS = (",", "\t", ";", "|", " ")
# A quote that is never closed makes one field of all that follows.
_LINES_OF_A_ROW = 1000
_EXCEL = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)


def delimited_rows(path: Path, columns: Sequence[str], usual: str) -> Iterator[Row]:
    """Named columns of a table of text.

    The separator is that of comma, tab, ``;``, ``|`` and space under which the header has most of
    the columns asked for, or what Excel's line ``sep=;`` says. An error names any other sign that
    parts the header into these columns.

    Args:
        path: plain, gzip or bgzip.
        columns: names from the header.
        usual: the separator that the file's name promises; taken where others are no better.

    Raises:
        ValueError: see ``tables.read_rows``.
    """
    # csv refuses fields above 131,072 characters unless told otherwise, and a contig is longer.
    before = csv.field_size_limit(LONGEST_SEQUENCE_LINE)
    lines = _Lines(path)
    try:
        above, first, separator = _header_line(lines, columns, usual)
        _check_separator(path, first, columns, separator)
        whole = chain(repeat("\n", above), [first], lines)
        reader = csv.reader(whole, delimiter=separator, strict=True)
        header = [name.strip() for name in next(filter(None, reader))]
        places = [place(path, header, column) for column in columns]
        for fields in reader:
            lines.row_ends()
            if len(fields) < 2 and not "".join(fields).strip():
                continue
            where = f"{path}, line {reader.line_num}"
            if len(fields) != len(header):
                raise ValueError(
                    f"{where}: {len(fields)} fields where the header has {len(header)} "
                    f"({', '.join(header)}); is the separator {separator!r}?"
                )
            yield Row(where, tuple(fields[number].strip() for number in places))
    except csv.Error as error:
        what = (
            "new-line character CR alone; save the file with line ends of Unix or Windows "
            "(tr '\\r' '\\n')"
        )
        what = what if str(error).startswith("new-line") else str(error)
        raise ValueError(f"{path}, line {reader.line_num}: {what}") from error
    finally:
        csv.field_size_limit(before)


def delimited_header(path: Path, columns: Sequence[str], usual: str) -> list[str]:
    """Names of the columns; ``columns`` are those to expect, of which some may be absent.

    Raises:
        ValueError: see ``tables.read_rows``.
    """
    _, first, separator = _header_line(_Lines(path), columns, usual)
    return _names(first, separator)


class _Lines:
    """The lines of a file, which notices a row that does not end."""

    def __init__(self, path: Path) -> None:
        self.path, self._lines = path, text_lines(path, LONGEST_SEQUENCE_LINE)
        self._read = self._begun = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._read += 1
        if self._read - self._begun > _LINES_OF_A_ROW:
            raise ValueError(
                f"{self.path}, line {self._begun + 1}: a quote opens and is not closed within "
                f"{_LINES_OF_A_ROW:,} lines; close it, or write a quote within a field twice"
            )
        return line

    def row_ends(self) -> None:
        """What follows is another row."""
        self._begun = self._read


def _header_line(lines: _Lines, columns: Sequence[str], usual: str) -> tuple[int, str, str]:
    """How many lines stand above the header, its first line, and the separator."""
    said = None
    for above, line in enumerate(lines):
        lines.row_ends()
        if excel := _EXCEL.fullmatch(line):
            said = excel[1]
        elif line.strip():
            return above, line, said or _separator(line, columns, usual)
    raise ValueError(f"{lines.path} has no header: expected a line with {', '.join(columns)}")


def _separator(line: str, columns: Sequence[str], usual: str) -> str:
    def fit(separator: str) -> tuple[int, bool, int]:
        names = _names(line, separator)
        matches = sum(column in names for column in columns)
        several = separator == usual and len(names) > 1
        return matches, several, 0 if matches else len(names)

    return max((usual, *_SEPARATORS), key=fit)


def _check_separator(path: Path, line: str, columns: Sequence[str], separator: str) -> None:
    """Refuse a header that another sign than those looked for parts into the columns."""
    if any(column in _names(line, separator) for column in columns):
        return
    for sign in dict.fromkeys(line.strip()):
        if sign.isalnum() or sign in "_\"'\\" or not sign.isprintable():
            continue
        if len(columns) < 2 and sign in ".-/":  # may be part of a name
            continue
        if set(columns) <= set(_names(line, sign)):
            raise ValueError(
                f"{path}: its columns are parted by {sign!r}, which is not looked for; put a line "
                f"sep={sign} above the header (sed '1i sep={sign}'), or part them by commas or tabs"
            )


def _names(line: str, separator: str) -> list[str]:
    """Of the columns; none where the line cannot be read, which is said when the table is."""
    with suppress(csv.Error):
        return [name.strip() for name in next(csv.reader([line], delimiter=separator))]
    return []
