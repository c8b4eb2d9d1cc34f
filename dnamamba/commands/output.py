"""Where results go: never over what stands there, unless asked."""

from pathlib import Path

from dnamamba import arguments

__all__ = ["check_output"]


def check_output(path: str | Path, endings: tuple[str, ...], overwrite: bool) -> Path:
    """Refuse an output before any work is done for it.

    Raises:
        ValueError: it exists and ``overwrite`` is False, or its ending is none of ``endings``.
    """
    path = arguments.path("output", path)
    if not path.name.endswith(endings):
        raise ValueError(f"output must end in {' or '.join(endings)}, got {str(path)!r}")
    if path.is_dir():
        raise ValueError(f"output {path} is a folder; name a file in it")
    if path.exists() and not overwrite:
        raise ValueError(f"output {path} exists; remove it, or set overwrite (--overwrite)")
    return path
