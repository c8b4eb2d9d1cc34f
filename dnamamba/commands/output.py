"""Where results go: never over what stands there, unless asked."""

from pathlib import Path

from dnamamba import arguments
from dnamamba.files import why_not_writable

__all__ = ["check_output"]


def check_output(path: str | Path, endings: tuple[str, ...], overwrite: bool) -> Path:
    """Refuse an output before any work is done for it.

    Raises:
        ValueError: it exists and ``overwrite`` is False, it cannot be written, or its ending is
            none of ``endings``.
    """
    path = arguments.path("output", path)
    if not path.name.endswith(endings):
        raise ValueError(f"output must end in {' or '.join(endings)}, got {str(path)!r}")
    if why := why_not_writable(path):
        raise ValueError(f"output {path} {why}")
    if path.exists() and not overwrite:
        raise ValueError(f"output {path} exists; remove it, or set overwrite (--overwrite)")
    return path
