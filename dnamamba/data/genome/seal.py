"""The seal beside a cache: how the file looked when its bases were known to be whole.

Bases are read here and there, so that nobody hashes them on the way. But every change of a file
moves its ctime, which nobody can put back: a cache that looks as it did is taken for whole, at the
price of a few bytes, and only one that was changed, copied or touched is read in full and hashed.
What a damaged disk changes moves no time; that is left to ``Genome.verify``.
"""

import hashlib
import struct
from contextlib import suppress
from pathlib import Path

from dnamamba.data.genome.cache import Contents
from dnamamba.data.genome.passing import passing_folder
from dnamamba.data.genome.source import BLOCK, Identity, identify
from dnamamba.data.genome.trust import is_trusted
from dnamamba.files import replacing

__all__ = ["file_hash", "is_whole", "seal"]

_IDENTITY = struct.Struct("<qqQq")


def file_hash(path: Path, size: int | None = None) -> str:
    """BLAKE2b of a file, or of its first ``size`` bytes, in hexadecimal."""
    digest, left = hashlib.blake2b(), identify(path).size if size is None else size
    with open(path, "rb") as file:
        while left and (block := file.read(min(left, BLOCK))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


def is_whole(cache: Path, contents: Contents) -> bool:
    """Whether a cache's bases are what was written; seals it again where that had to be proven.

    Args:
        cache: the file.
        contents: what it says of itself, which is checked elsewhere.
    """
    if not contents.has_bases or _sealed(cache) == contents.file:
        return True
    try:
        hashed = file_hash(cache, contents.total)
    except OSError:
        return False
    if hashed != contents.bases_hash or identify(cache) != contents.file:
        return False
    seal(cache)
    return True


def seal(cache: Path) -> None:
    """Note how a file looks that is known to be whole, where its folder can be written in."""
    if passing_folder() not in (None, cache.parent):
        return
    identity = identify(cache)
    with suppress(OSError), replacing(_seal_of(cache)) as file:
        file.write(_IDENTITY.pack(*identity))


def _sealed(cache: Path) -> Identity | None:
    """How the file looked when it was sealed; a seal of somebody else is none."""
    try:
        with open(_seal_of(cache), "rb") as file:
            if is_trusted(file.fileno(), cache.parent):
                return Identity(*_IDENTITY.unpack(file.read(_IDENTITY.size + 1)))
    except (OSError, struct.error):
        pass
    return None


def _seal_of(cache: Path) -> Path:
    return cache.with_suffix(".seal")
