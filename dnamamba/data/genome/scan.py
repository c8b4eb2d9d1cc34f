"""One pass over a plain FASTA: the bare bases, what letters occur, and proof of the index.

Random access trusts the index's arithmetic, so every line end is checked to stand where the
arithmetic says, and every byte between two records to be a header.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnamamba.alphabet import LETTERS, why_refused
from dnamamba.data.genome.index import Record
from dnamamba.data.genome.source import BLOCK

__all__ = ["Census", "scan"]

_HEADER = re.compile(rb"[\r\n]*>[^\r\n]*(?:\r?\n)?")
_FIRST_HEADER = re.compile(rb"(?:;[^\n]*\n|[^\S\n]*\n)*>[^\r\n]*(?:\r?\n)?")

_CERTAIN = b"ACGTUacgtu"
_AMBIGUOUS = np.array([b in LETTERS and b not in _CERTAIN for b in range(256)])
_NOTED = [b for b in LETTERS if b not in b"ACGTNacgtn"]


@dataclass
class Census:
    """What occurs in a genome.

    Attributes:
        counts: (256,) int64, how often each byte occurs.
        noted: letter -> contig's name -> 0-based position of its first occurrence; for the
            letters that a tokenizer's policy may refuse (U and the IUPAC codes).
        runs: (k, 2) int64, half-open runs of bases that are not A, C, G, T or U, as offsets
            into all contigs laid end to end, ascending.
    """

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    noted: dict[str, dict[str, int]] = field(default_factory=dict)
    runs: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 2), np.int64))


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
    runs: list[NDArray[np.int64]] = []
    flat = 0
    for record, base, bases in _pieces(plain, shown, records, seen):
        if foreign := bases.translate(None, LETTERS):
            at = min(bases.find(byte) for byte in set(foreign))
            raise ValueError(
                f"{shown}: {record.name}, position {base + at:,} (0-based): "
                f"{why_refused(bases[at])}"
            )
        runs += _count(census, bases, record.name, base, flat)
        write(bases)
        flat += len(bases)
    if runs:
        census.runs = np.concatenate(runs)
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
        "one width and line end (only the last may be shorter); rewrap the file (seqkit seq -w 80)"
    )


def _count(
    census: Census, bases: bytes, contig: str, base: int, flat: int
) -> list[NDArray[np.int64]]:
    letters = np.frombuffer(bases, np.uint8)
    counts = np.bincount(letters, minlength=256)
    census.counts += counts
    for letter in _NOTED:
        if counts[letter]:
            first = census.noted.setdefault(chr(letter), {})
            first.setdefault(contig, base + bases.find(letter))
    if not counts[_AMBIGUOUS].any():
        return []
    edges = np.flatnonzero(np.diff(_AMBIGUOUS[letters], prepend=False, append=False))
    return [edges.reshape(-1, 2) + flat]


def _bad_header(shown: Path, records: list[Record], number: int, gap: bytes) -> str:
    if b"\r" in gap.rstrip(b"\r\n"):
        return f"{shown} has lines that end in CR alone (old Mac); convert it (dos2unix -c mac)"
    before = records[max(0, number - 1)]
    return _bad_line(shown, before, _last_line(before))


def _last_line(record: Record) -> int:
    return record.length // max(1, record.line_bases) + 1
