"""Names, lengths and offsets of a plain FASTA's records, as pyfaidx finds and validates them."""

import io
import re
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyfaidx

from dnamamba.data.genome.source import (
    BLOCK,
    BYTE_ORDER_MARK,
    NO_ROOM,
    REWRAP,
    Progress,
)

__all__ = ["Record", "index_records", "repeated_name"]

_SHOWN = 5  # of the records that share a name


class Record(NamedTuple):
    """One line of a .fai: ``length`` bases from byte ``offset`` on, ``line_bases`` a line.

    ``line_bytes`` counts the line's end too. Both are 0 where the file was parsed, not indexed.
    """

    name: str
    length: int
    offset: int
    line_bases: int
    line_bytes: int

    def byte_of(self, base: int) -> int:
        """File offset of the base at 0-based position ``base``."""
        return self.offset + base // self.line_bases * self.line_bytes + base % self.line_bases


def index_records(plain: Path, folder: Path, shown: Path, progress: Progress) -> list[Record]:
    """Index a plain FASTA without trusting or leaving anything beside it.

    Args:
        plain: the FASTA text.
        folder: a private scratch folder, empty of earlier indices.
        shown: the path the user gave, for errors.
        progress: called as bytes are read.

    Returns:
        Every record in file order, those without bases included.

    Raises:
        ValueError: pyfaidx refuses the file; names record and line or position.
    """
    with open(plain, "rb") as file:
        if file.read(len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK:
            raise ValueError(
                f"{shown} starts with a UTF-8 byte-order mark, and there is no room for its "
                "cache; make room, name another place with cache_dir or $DNAMAMBA_CACHE, or drop "
                "the mark (tail -c +4)"
            )
    # pyfaidx judges compression by the name: a link gives every file a neutral one.
    link, index = folder / "source.fa", folder / "source.fai"
    if plain != link:
        link.symlink_to(plain.resolve())
    try:
        with _Indexer(link, index, progress) as faidx:
            return [
                Record(name, r.rlen, r.offset, r.lenc, r.lenb) for name, r in faidx.index.items()
            ]
    except UnicodeDecodeError as error:
        raise ValueError(_undecodable(plain, shown, error)) from error
    except OSError as error:
        cause = error.__context__ if isinstance(error.__context__, OSError) else error
        if cause.errno in NO_ROOM:
            raise ValueError(
                f"{shown}: no room for its index in {folder.parent} or the temporary folder; "
                "make room, or name another place with cache_dir or $DNAMAMBA_CACHE"
            ) from error
        raise
    except (pyfaidx.FastaIndexingError, ValueError, RuntimeError) as error:
        raise ValueError(_explain(str(error), index, shown, str(link))) from error


class _Indexer(pyfaidx.Faidx):
    """pyfaidx reading through a view of the file, for its progress and trailing blank lines."""

    file: Any

    def __init__(self, fasta: Path, index: Path, progress: Progress) -> None:
        self._progress = progress
        super().__init__(str(fasta), indexname=str(index))

    def build_index(self) -> None:
        with self.file as file:
            self.file = io.BufferedReader(_Text(file, self._progress), BLOCK)
            super().build_index()
            self.file.close()


class _Text(io.RawIOBase):
    """A file up to its last line: blank lines behind it are legal, but pyfaidx refuses them."""

    def __init__(self, file: BinaryIO, progress: Progress) -> None:
        self._file, self._progress = file, progress
        end = file.seek(0, io.SEEK_END)
        self._end = end
        while end > 0:
            start = max(0, end - BLOCK)
            file.seek(start)
            block = file.read(end - start)
            if text := len(block.rstrip(b"\r\n")):
                line_end = re.match(rb"\r?\n?", block[text:])
                self._end = start + text + (line_end.end() if line_end else 0)
                break
            end = start
        file.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        left = self._end - self._file.tell()
        block = self._file.read(min(left, len(buffer)))
        buffer[: len(block)] = block
        self._progress(len(block))
        return len(block)


def _explain(message: str, index: Path, shown: Path, link: str) -> str:
    if match := re.search(r"Inconsistent line found in >(.*) at line (\d+)", message):
        return _ragged(shown, match[1], int(match[2]))
    if match := re.search(r"Unhandled exception .* at entry (.*)Please .*\[\((\d+)", message):
        return _ragged(shown, match[1], int(match[2]) + 1)  # two blank lines before a header
    if match := re.search(r'Duplicate key "(.*)"', message):
        rows = [row.split("\t") for row in index.read_text().splitlines()]
        return repeated_name(shown, match[1], [int(r[2]) for r in rows if r[0] == match[1]])
    if match := re.search(r"Bad sequence name .* at line (\d+)", message):
        return f"{shown}: header without a name on line {int(match[1]) + 1}; name the record"
    return f"{shown}: {message.replace(link, str(shown))}"


def repeated_name(shown: Path, name: str, offsets: list[int]) -> str:
    """The error for records of one name, whose sequences begin at these bytes."""
    starts = " and ".join(f"{offset:,}" for offset in offsets[:_SHOWN])
    more = " and others" if len(offsets) > _SHOWN else ""
    return (
        f"{shown}: {len(offsets):,} records are named {name!r} (sequences at bytes {starts}{more});"
        " names must be unique (seqkit rename)"
    )


def _ragged(shown: Path, name: str, line: int) -> str:
    return (
        f"{shown}: record {name!r}, line {line}: all lines of a record must have one width and "
        f"line end (only the last may be shorter), with no blank line inside{REWRAP}"
    )


def _undecodable(plain: Path, shown: Path, error: UnicodeDecodeError) -> str:
    """Say where the byte lies; pyfaidx knows only its line."""
    name, bases, number, byte = "?", 0, 1, error.object[error.start]
    with open(plain, "rb") as file:
        while (line := file.readline()) and line != error.object:
            number += 1
            if line.startswith(b">"):
                name, bases = line[1:].decode("utf-8", "replace").split(maxsplit=1)[0], 0
            else:
                bases += len(line.rstrip(b"\r\n"))
    if error.object.startswith(b">"):
        return (
            f"{shown}: header on line {number} is not UTF-8 (byte 0x{byte:02x}); "
            "convert it (iconv -f latin1 -t utf8)"
        )
    return (
        f"{shown}: {name}, position {bases + error.start} (0-based): byte 0x{byte:02x} is no "
        "nucleotide; is the file damaged or binary?"
    )
