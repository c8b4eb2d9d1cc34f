"""Where the files that a task names lie below a folder, and what they hold."""

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = ["content_digest", "joined", "named_files", "stored"]

_PARTS = ("genome", "train", "validation", "test", "predict")
_GZIP = b"\x1f\x8b"
_BLOCK = 1 << 20


def named_files(files: Mapping[str, Any]) -> Iterator[str]:
    """Every path in the section ``files`` of a data module, in the order of the parts."""
    for part in _PARTS:
        value = files.get(part)
        if isinstance(value, Mapping):
            yield from map(str, value.values())
        elif isinstance(value, list | tuple):
            yield from map(str, value)
        elif value is not None:
            yield str(value)


def joined(files: Mapping[str, Any], root: Path, aliases: Mapping[str, str]) -> dict[str, Any]:
    """The section with each path as it lies below ``root`` (see ``stored``)."""

    def place(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(name): place(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [place(item) for item in value]
        return None if value is None else str(stored(root, str(value), aliases) or root / value)

    return {part: place(value) for part, value in files.items()}


def stored(root: Path, name: str, aliases: Mapping[str, str]) -> Path | None:
    """A file below ``root``, compressed by gzip or not; None where there is none.

    Args:
        root: the folder.
        name: relative to it.
        aliases: beginning of a name -> another beginning under which the file may lie.
    """
    names = [name]
    names += [other + name[len(one) :] for one, other in aliases.items() if name.startswith(one)]
    for each in names:
        plain = each.removesuffix(".gz")
        for path in (root / each, root / plain, root / f"{plain}.gz"):
            if path.is_file():
                return path
    return None


def content_digest(path: Path) -> str:
    """Hex digits of what a file holds, the same whether it is compressed by gzip or not.

    Raises:
        ValueError: what gzip wrote is damaged; names the file.
        OSError: it cannot be read.
    """
    status = path.stat()
    return _content_digest(path.resolve(), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _content_digest(path: Path, size: int, changed: int) -> str:
    digest = hashlib.sha256()
    with closing(path.open("rb")) as raw:
        compressed = raw.read(2) == _GZIP
        raw.seek(0)
        file: Any = gzip.GzipFile(fileobj=raw) if compressed else raw
        try:
            while block := file.read(_BLOCK):
                digest.update(block)
        except (EOFError, gzip.BadGzipFile) as error:
            raise ValueError(f"{path}: {error}; copy the file again") from error
    return digest.hexdigest()
