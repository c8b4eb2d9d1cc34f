"""Models that are read once in a process and shared by all that ask for them."""

from functools import lru_cache
from pathlib import Path

from dnamamba import checkpoint
from dnamamba.checkpoint.opened import Opened

__all__ = ["Stamp", "opened", "stamp"]

Stamp = tuple[tuple[str, int, int], ...]


def opened(model: str, device: str = "cpu") -> Opened:
    """What ``checkpoint.open_model`` gives, read once in a process; do not change it.

    Args:
        model: as the user typed it.
        device: where it is put.

    Raises:
        CheckpointError: it cannot be read; names the file and the remedy.
        ValueError: no such device.
    """
    return _opened(model, device, stamp(model))


def stamp(model: str) -> Stamp:
    """Sizes and times of a model's files, that another one under its name is read anew."""
    path = Path(model)
    files = sorted(path.iterdir()) if path.is_dir() else [path] if path.is_file() else []
    return tuple((f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files)


@lru_cache(maxsize=2)
def _opened(model: str, device: str, stamp: Stamp) -> Opened:
    return checkpoint.open_model(model, device)
