"""Reading BED: intervals whose every row is checked against the genomes."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnamamba import arguments
from dnamamba.data.genome.source import old_mac
from dnamamba.data.genome.text import damage_first, text_lines
from dnamamba.data.windows.regions import Contigs, Regions

__all__ = ["BedRow", "BedRows", "bed_rows", "parse_region", "read_bed"]

_SKIPPED = ("#", "track", "browser")
_STRANDS = frozenset("+-.")
_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?")
_DIGITS = 18  # of a coordinate, at most
_HEADERS = ("start", "chromstart", "chrom_start", "txstart", "begin")


class BedRow(NamedTuple):
    """One row of a BED file.

    Attributes:
        line: where it stands, from 1.
        contig: its number in ``Contigs``.
        start: 0-based.
        end: exclusive.
        name: the fourth column; "" where absent.
        strand: the sixth column as written, whatever it is; "" where absent.
    """

    line: int
    contig: int
    start: int
    end: int
    name: str
    strand: str


class BedRows(NamedTuple):
    """The rows of a BED file as they stand: neither sorted nor joined.

    Attributes:
        regions: (R,) intervals.
        lines: (R,) int64, the line each stands on, from 1.
    """

    regions: Regions
    lines: NDArray[np.int64]


def bed_rows(path: str | Path, contigs: Contigs) -> Iterator[BedRow]:
    """The rows of a BED file, one by one; coordinates are 0-based and half-open.

    Tabs part the columns, or white space in a row without any; then a name may hold blanks where
    score and strand stand behind it. Comments, ``track`` and ``browser`` lines, empty lines and
    one header line at the top are skipped. A contig name that several genomes share is written
    ``genome:contig``. The file may be compressed (gzip, bgzip).

    Raises:
        ValueError: a row with too few columns, coordinates that are no integers, start >= end, a
            contig that no genome has, or an end beyond it; names file, line and remedy.
    """
    path = arguments.path("the BED", path)
    with damage_first(path):
        yield from _rows(path, contigs)


def _rows(path: Path, contigs: Contigs) -> Iterator[BedRow]:
    first = True
    for number, text in enumerate(text_lines(path), 1):
        line = text.strip()
        if not line or (line.startswith(_SKIPPED) and _is_skipped(line)):
            continue
        if "\r" in line:
            raise ValueError(old_mac(path))
        tabs = "\t" in line
        columns = line.split("\t") if tabs else line.split()
        if first and len(columns) > 1 and columns[1].strip().lower() in _HEADERS:
            continue
        fields = columns if tabs else _joined_name(columns)
        try:
            interval = _interval(fields, contigs)
        except ValueError as error:
            raise ValueError(f"{path}, line {number:,}: {error}") from error
        first = False
        name = fields[3].strip() if len(fields) > 3 else ""
        strand = fields[5].strip() if len(fields) > 5 else ""
        yield BedRow(number, *interval, name, strand)


def _is_skipped(line: str) -> bool:
    return line.startswith(_SKIPPED[0]) or line.split(None, 1)[0] in _SKIPPED


def _joined_name(fields: list[str]) -> list[str]:
    """The columns of a row parted by blanks, whose name may hold some, too."""
    behind = fields[4:]
    if not behind or (_is_number(behind[0]) and (len(behind) < 2 or behind[1] in _STRANDS)):
        return fields
    end = len(fields)
    if len(behind) > 1 and behind[-1] in _STRANDS and _is_number(behind[-2]):
        end -= 2  # score and strand
    elif len(behind) > 1 and _STRANDS.intersection(behind):
        text = " ".join(fields[3:])
        return [*fields[:3], text, "", text]  # whoever wants the strand is to complain
    elif _is_number(behind[-1]):
        end -= 1
    return [*fields[:3], " ".join(fields[3:end]), *fields[end:]]


def _is_number(field: str) -> bool:
    return field == "." or bool(_NUMBER.fullmatch(field))


def read_bed(path: str | Path, contigs: Contigs) -> BedRows:
    """The intervals of a BED file; further columns are ignored. Errors: see ``bed_rows``."""
    rows = [row[:4] for row in bed_rows(path, contigs)]
    lines, *columns = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    return BedRows(Regions(*columns), lines)


def parse_region(text: str, contigs: Contigs) -> Regions:
    """One region from ``contig:start-end``, 0-based and half-open, as a row of BED.

    Raises:
        ValueError: another form, or no such place; repeats the text.
    """
    contig, colon, span = text.rpartition(":")
    start, dash, end = span.partition("-")
    if not (contig and colon and dash):
        raise ValueError(
            f"region {text!r} must be written contig:start-end, 0-based and half-open as in BED"
        )
    try:
        row = _interval([contig, start, end], contigs)
    except ValueError as error:
        raise ValueError(f"region {text!r}: {error}") from error
    return Regions(*np.array([row], dtype=np.int64).T)


def _interval(fields: list[str], contigs: Contigs) -> tuple[int, int, int]:
    if len(fields) < 3:
        raise ValueError(
            f"expected contig, start and end parted by tabs, got {len(fields)} column(s): "
            f"{' '.join(fields)[:60]!r}"
        )
    start, end = _integer(fields[1], "start"), _integer(fields[2], "end")
    contig = contigs.number(fields[0].strip())
    length = int(contigs.length[contig])
    if start >= end:
        raise ValueError(
            f"start {start} is not below end {end}; BED is 0-based and half-open, so the first "
            "base of a contig is 0 to 1"
        )
    if start < 0 or end > length:
        raise ValueError(
            f"{start}-{end} is out of range: {contigs.names[contig]!r} has {length:,} bases; is "
            "this BED for another version of the genome?"
        )
    return contig, start, end


def _integer(field: str, name: str) -> int:
    field = field.strip()
    if len(field) > _DIGITS or not (field.isascii() and field.removeprefix("-").isdecimal()):
        raise ValueError(f"{name} must be an integer without separators, got {field[:40]!r}")
    return int(field)
