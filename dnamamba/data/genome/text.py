"""Lines of a text file that may be compressed, with errors that name file and line."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

from dnamamba.data.genome.source import FOREIGN, check_end_block

__all__ = ["LONGEST_LINE", "text_lines"]

LONGEST_LINE = 1 << 26
"""Most bytes in a line: what is longer is no text, and memory is to stay bounded."""

_GZIP = b"\x1f\x8b"
_HEAD = 4096


def text_lines(
    path: Path, undecodable: Literal["strict", "surrogateescape"] = "strict"
) -> Iterator[str]:
    """The lines of a plain, gzip or bgzip file, each with its line end.

    Compression is told by the content, never by the name; a byte-order mark of UTF-8, as Excel
    writes it, is dropped.

    Args:
        path: the file.
        undecodable: ``surrogateescape`` hands on bytes that are not UTF-8, as Python's codec of
            that name does, for a caller who judges each line himself.

    Raises:
        ValueError: the file is missing, empty, in another compression, binary, not UTF-8
            (names the line), truncated (names the last good line), or has a line of more than
            64 MiB.
    """
    number = 0
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(_decompressed(path, file), 1):
                if len(line) > LONGEST_LINE:
                    raise ValueError(
                        f"{path}, line {number:,} is longer than {LONGEST_LINE >> 20} MiB; is it "
                        "binary, or do its lines end in CR alone (tr '\\r' '\\n')?"
                    )
                if b"\0" in line:
                    raise ValueError(
                        f"{path}, line {number:,} has NUL bytes: a copy that was cut short? Copy "
                        "or fetch the file again"
                    )
                yield line.decode("utf-8-sig" if number == 1 else "utf-8", undecodable)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(
            f"{path}: truncated or damaged gzip data after line {number:,} ({error}); "
            "fetch or compress the file again"
        ) from error
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}, line {number:,}: byte 0x{error.object[error.start]:02x} is not UTF-8; "
            "convert the file (iconv -f latin1 -t utf8)"
        ) from error
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror or error}") from error


def _decompressed(path: Path, file: BinaryIO) -> Iterator[bytes]:
    head = file.read(_HEAD)
    file.seek(0)
    if not head:
        raise ValueError(f"{path} is empty")
    if head.startswith(_GZIP):
        check_end_block(path, file)
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield from _bounded(unpacked)
        return
    for magic, name in FOREIGN.items():
        if head.startswith(magic):
            raise ValueError(f"{path} is compressed with {name}; unpack it or use bgzip or gzip")
    start = head[:64].rstrip(b"\0")  # NUL bytes at the end of a short file are its end
    if b"\0" in start or not start:
        raise ValueError(
            f"{path} has NUL bytes; is it binary or UTF-16? Convert the latter "
            "(iconv -f UTF-16 -t UTF-8)"
        )
    yield from _bounded(file)


def _bounded(file: BinaryIO | gzip.GzipFile) -> Iterator[bytes]:
    """Lines, but of one that is too long only as much as shows that it is."""
    return iter(lambda: file.readline(LONGEST_LINE + 1), b"")
