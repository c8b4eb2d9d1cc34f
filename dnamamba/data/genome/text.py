"""Lines of a text file that may be compressed, with errors that name file and line."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from dnamamba.data.genome.source import FOREIGN, check_end_block

__all__ = ["text_lines"]

_GZIP = b"\x1f\x8b"
_HEAD = 4096


def text_lines(path: Path) -> Iterator[str]:
    """The lines of a plain, gzip or bgzip file, each with its line end.

    Compression is told by the content, never by the name; a byte-order mark of UTF-8, as Excel
    writes it, is dropped.

    Raises:
        ValueError: the file is missing, empty, in another compression, binary, not UTF-8
            (names the line), or truncated (names the last good line).
    """
    number = 0
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(_decompressed(path, file), 1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
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
            yield from unpacked
        return
    for magic, name in FOREIGN.items():
        if head.startswith(magic):
            raise ValueError(f"{path} is compressed with {name}; unpack it or use bgzip or gzip")
    if b"\0" in head:
        raise ValueError(f"{path} has NUL bytes; is it binary or UTF-16?")
    yield from file
