"""Lines of a text file that may be compressed, with errors that name file and line."""

import codecs
import gzip
import io
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, cast

from dnamamba.data.genome.source import (
    FOREIGN,
    WIDE_MARKS,
    DamagedArchiveError,
    check_end_block,
    wide_encoding,
)

__all__ = ["LONGEST_LINE", "LONGEST_SEQUENCE_LINE", "damage_first", "text_lines"]

LONGEST_LINE = 1 << 26
"""Most characters in a line, its end included: a VCF of a million samples has less."""
LONGEST_SEQUENCE_LINE = 1 << 28
"""The same where a line may hold a whole sequence: human chromosome 1 has 249 million bases."""

_GZIP = b"\x1f\x8b"
_DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile)
_HEAD = 4096
_BLOCK = 1 << 20
_CHECKED = 1 << 30  # most bytes of text that are read to see whether an archive is damaged
_MARKS = {codecs.BOM_UTF8: "UTF-8", **WIDE_MARKS}


def text_lines(
    path: Path,
    longest: int | None = None,
    undecodable: Literal["strict", "surrogateescape"] = "strict",
) -> Generator[str, None, None]:
    """The lines of a plain, gzip or bgzip file, each with its line end.

    Compression is told by the content, never by the name. Text is UTF-8, or what a byte-order
    mark says (UTF-8, UTF-16 or UTF-32, as Excel writes them); the mark is dropped.

    Args:
        path: the file.
        longest: most characters in a line, ``LONGEST_LINE`` if None; memory never holds more than
            a few times as much.
        undecodable: ``surrogateescape`` hands on bytes that are not UTF-8, as Python's codec of
            that name does, for a caller who judges each line himself.

    Raises:
        ValueError: the file is missing, empty, in another compression or binary; a line is not in
            its encoding, is too long or has NUL bytes (names the line); or the file is truncated
            (names the last good line).
    """
    number, encoding = 0, "UTF-8"
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise ValueError(
                f"{path} is no regular file but a pipe or a device; write its text to a file first"
            )
        with open(path, "rb") as file:
            stream = _decompressed(path, file)
            encoding = _encoding(path, stream)
            read = _reader(stream, encoding, longest or LONGEST_LINE, undecodable)
            while line := read():
                number += 1
                if "\0" in line:
                    raise ValueError(
                        f"{path}, line {number:,} has NUL bytes: a copy that was cut short? Copy "
                        "or fetch the file again"
                    )
                yield line
    except _TooLongError as error:
        raise ValueError(
            f"{path}, line {number + 1:,} is longer than {(longest or LONGEST_LINE) >> 20:,} MiB, "
            "the most that a line may have; is it binary, or do its lines end in CR alone "
            "(tr '\\r' '\\n')?"
        ) from error
    except _DAMAGE as error:
        raise DamagedArchiveError(
            f"{path}: truncated or damaged gzip data after line {number:,} ({error}); "
            "fetch or compress the file again"
        ) from error
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}, line {number + 1:,}: byte 0x{error.object[error.start]:02x} is not "
            f"{encoding}; convert the file (iconv -f latin1 -t utf8)"
        ) from error
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror or error}") from error


@contextmanager
def damage_first(path: Path) -> Iterator[None]:
    """What is wrong with a line of a damaged archive is that the archive is damaged.

    The text of a gzip file is handed on before its checksum, which stands at the end, is read.
    Whoever judges lines does so in this block: if it refuses one, the rest is read first.

    Raises:
        ValueError: the archive's damage, or the block's own error.
    """
    try:
        yield
    except ValueError as error:
        if not isinstance(error, DamagedArchiveError):
            _check_archive(path)
        raise


def _check_archive(path: Path) -> None:
    """Read a gzip file through, or as much as takes seconds. Raises: ValueError: its damage."""
    try:
        with open(path, "rb") as file:
            if file.read(len(_GZIP)) != _GZIP:
                return
            file.seek(0)
            with gzip.GzipFile(fileobj=file) as stream:
                while stream.tell() < _CHECKED and stream.read(_BLOCK):
                    pass
    except _DAMAGE as error:
        raise DamagedArchiveError(
            f"{path}: truncated or damaged gzip data ({error}); fetch or compress the file again"
        ) from error
    except OSError:  # whoever opens it says what is wrong
        pass


def _decompressed(path: Path, file: BinaryIO) -> BinaryIO:
    head = file.read(_HEAD)
    file.seek(0)
    if not head:
        raise ValueError(f"{path} is empty")
    if head.startswith(_GZIP):
        check_end_block(path, file)
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    for magic, name in FOREIGN.items():
        if head.startswith(magic):
            raise ValueError(f"{path} is compressed with {name}; unpack it or use bgzip or gzip")
    return file


def _encoding(path: Path, stream: BinaryIO) -> str:
    """By the byte-order mark, behind which the stream then stands."""
    head = stream.read(_HEAD)
    for mark, name in _MARKS.items():
        if head.startswith(mark):
            # The other decoders want to see their mark, which says the order.
            marks = len(head) - len(head.lstrip(mark)) if name == "UTF-8" else 0
            stream.seek(marks - marks % len(mark))
            return name
    if not head:
        raise ValueError(f"{path} holds no text")
    if head.startswith(_GZIP):
        raise ValueError(f"{path} is compressed twice; unpack it once (gzip -dc)")
    start = head[:64].rstrip(b"\0")  # NUL bytes at the end of a short file are its end
    if b"\0" in start or not start:
        name = wide_encoding(head)
        raise ValueError(
            f"{path} has NUL bytes; is it binary or {name[:6]}? Convert the latter "
            f"(iconv -f {name} -t UTF-8)"
        )
    stream.seek(0)
    return "UTF-8"


def _reader(stream: BinaryIO, encoding: str, longest: int, undecodable: str) -> Callable[[], str]:
    """Gives the next line, "" at the end; never reads far beyond ``longest``."""
    text = None if encoding == "UTF-8" else io.TextIOWrapper(stream, encoding, newline="\n")

    def read() -> str:
        line: str | bytes = (text or stream).readline(longest + 1)
        if len(line) > longest:
            raise _TooLongError
        return line if isinstance(line, str) else line.decode("utf-8", undecodable)

    return read


class _TooLongError(Exception):
    """A line has more characters than it may."""
