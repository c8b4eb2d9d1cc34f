"""One pass over a plain FASTA that is to be read by its index: the proof of that index.

Random access trusts the index's arithmetic, so every line end is checked to stand where the
arithmetic says, and every byte between two records to be a header.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from dnamamba.data.genome.census import Census
from dnamamba.data.genome.index import Record
from dnamamba.data.genome.source import BLOCK, REWRAP, old_mac

__all__ = ["scan"]

_HEADER = re.compile(rb"[\r\n]*>[^\r\n]*(?:\r?\n)?")
_FIRST_HEADER = re.compile(rb"(?:;[^\n]*\n|[^\S\n]*\n)*>[^\r\n]*(?:\r?\n)?")


def scan(
    plain: Path,
    shown: Path,
    records: list[Record],
    seen: Callable[[bytes], object],
    write: Callable[[bytes], object],
) -> Census:
    """Read the whole file once.

    Args:
        plain: the FASTA text that ``records`` index.
        shown: the path the user gave, for errors.
        records: the index, in file order.
        seen: called with every byte of the file, in order.
        write: called with the bare bases, in order.

    Raises:
        ValueError: a byte that is no nucleotide (names record and 0-based position), or a line
            whose end is not where the index says (names record and line).
    """
    census = Census()
    for record, base, bases in _pieces(plain, shown, records, seen):
        census.add(bases, record.name, base, shown)
        write(bases)
    return census


def _pieces(
    plain: Path, shown: Path, records: list[Record], seen: Callable[[bytes], object]
) -> Iterator[tuple[Record, int, bytes]]:
    """Every record in blocks: the record, the block's first position, its bare bases."""
    with open(plain, "rb") as file:

        def read(size: int) -> bytes:
            block = file.read(size)
            seen(block)
            return block

        for number, record in enumerate(records):
            gap = read(max(0, record.offset - file.tell()))
            if not (_HEADER if number else _FIRST_HEADER).fullmatch(gap):
                raise ValueError(_bad_header(shown, records, number, gap))
            base, at = 0, record.offset
            end = record.byte_of(record.length - 1) + 1 if record.length else at
            while at < end:
                raw = read(min(BLOCK, end - at))
                if not raw:
                    raise ValueError(f"{shown} was truncated while it was read; open it again")
                bases = _bare(raw, at, record, shown)
                yield record, base, bases
                base += len(bases)
                at += len(raw)
        while rest := read(BLOCK):
            if rest.strip():
                raise ValueError(_bad_line(shown, records[-1], _last_line(records[-1])))


def _bare(raw: bytes, at: int, record: Record, shown: Path) -> bytes:
    """Drop the line ends, after checking that each is where it must be and no other is."""
    bases = raw.translate(None, b"\r\n")
    phase = (at - record.offset) % record.line_bytes
    width = np.frombuffer(raw, np.uint8)
    ends = 0
    line_end = b"\r\n"[2 - (record.line_bytes - record.line_bases) :]
    for place, byte in enumerate(line_end, record.line_bases):
        column = width[(place - phase) % record.line_bytes :: record.line_bytes]
        if not len(column):
            continue
        ends += len(column)
        if (wrong := np.flatnonzero(column != byte)).size:
            line = (at - record.offset) // record.line_bytes + int(wrong[0]) + 1
            raise ValueError(_bad_line(shown, record, line))
    if len(raw) - len(bases) != ends:
        stray = next(m.start() for m in re.finditer(rb"[\r\n]", raw) if _inside(m, phase, record))
        line = (at + stray - record.offset) // record.line_bytes + 1
        raise ValueError(_bad_line(shown, record, line))
    return bases


def _inside(match: re.Match[bytes], phase: int, record: Record) -> bool:
    return (match.start() + phase) % record.line_bytes < record.line_bases


def _bad_line(shown: Path, record: Record, line: int) -> str:
    return (
        f"{shown}: record {record.name!r}, near its line {line}: all lines of a record must have "
        f"one width and line end (only the last may be shorter){REWRAP}"
    )


def _bad_header(shown: Path, records: list[Record], number: int, gap: bytes) -> str:
    if b"\r" in gap.rstrip(b"\r\n"):
        return old_mac(shown)
    before = records[max(0, number - 1)]
    return _bad_line(shown, before, _last_line(before))


def _last_line(record: Record) -> int:
    return record.length // max(1, record.line_bases) + 1
