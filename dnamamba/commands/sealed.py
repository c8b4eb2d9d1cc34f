"""Rows of vectors as a file that ends with a checksum: whole, and what was written, or not at all.

It is an ``.npy`` of (rows, width) float32, little-endian. Behind it stand 32 bytes of BLAKE2b, of
the file's name and of all before them.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from dnamamba.files import replacing

__all__ = ["is_sealed", "past_header", "sealed"]

# Bytes of the checksum, and bytes read at a time to check it.
_DIGEST, _BLOCK = 32, 1 << 22


@contextmanager
def sealed(path: Path, shape: tuple[int, int]) -> Iterator[IO[bytes]]:
    """Write a file's values, row by row, behind its header; it appears when the block ends well.

    Args:
        path: the file.
        shape: rows, width.
    """
    with replacing(path) as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        yield file
        file.seek(0, os.SEEK_END)
        file.flush()
        file.write(_checksum(path.name, file.name, file.tell()))


def past_header(file: IO[bytes]) -> None:
    """Move to the first value of an open file."""
    np.lib.format.read_magic(file)
    np.lib.format.read_array_header_1_0(file)


def is_sealed(path: Path) -> bool:
    """Whether the file is there, and is what was written."""
    try:
        size = path.stat().st_size - _DIGEST
        with path.open("rb") as file:
            file.seek(max(0, size))
            return file.read() == _checksum(path.name, path, size)
    except OSError:
        return False


def _checksum(name: str, file: str | Path, size: int) -> bytes:
    """BLAKE2b of a name and the first ``size`` bytes of a file."""
    digest, left = hashlib.blake2b(name.encode(), digest_size=_DIGEST), size
    with open(file, "rb") as values:
        while left > 0 and (block := values.read(min(left, _BLOCK))):
            digest.update(block)
            left -= len(block)
    return digest.digest()
