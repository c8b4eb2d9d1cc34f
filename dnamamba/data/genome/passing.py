"""Genomes opened for once: a cache that they have not yet does not stay."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["keep_no_cache", "passing_folder"]

_folder: Path | None = None


@contextmanager
def keep_no_cache() -> Iterator[None]:
    """Within this block a genome that has no cache yet gets one that is gone after it.

    It lies in the temporary folder ($TMPDIR), and takes a byte a base there. A genome that is
    opened in the block is not to be read behind it.
    """
    global _folder
    before = _folder
    with TemporaryDirectory(prefix="dnamamba-genomes-") as folder:
        _folder = Path(folder)
        try:
            yield
        finally:
            _folder = before


def passing_folder() -> Path | None:
    """Where caches lie that do not stay; None: they stay."""
    return _folder
