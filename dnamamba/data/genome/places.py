"""Where caches lie, and what they are called."""

import hashlib
import os
import tempfile
from pathlib import Path

__all__ = ["cache_file", "default_cache_dir", "own_name"]


def default_cache_dir() -> Path:
    """``$DNAMAMBA_CACHE``, else ``~/.cache/dnamamba``.

    A user without a home, as in many containers, has a folder of his own in the temporary one.
    """
    if named := os.environ.get("DNAMAMBA_CACHE"):
        return Path(named)
    try:
        return Path.home() / ".cache" / "dnamamba"
    except RuntimeError:  # neither HOME nor an entry among the users
        return Path(tempfile.gettempdir()) / f"dnamamba-{os.geteuid()}"


def cache_file(path: Path, cache_dir: Path) -> Path:
    """Where the cache of a FASTA lies; links to one file share it."""
    real = path.resolve()
    key = hashlib.blake2b(os.fsencode(real), digest_size=8).hexdigest()
    return cache_dir / f"{real.name[:100]}-{key}.genome"


def own_name(path: Path) -> Path:
    """The name that this user takes where the file of the plain name is somebody else's."""
    return path.with_suffix(f".u{os.geteuid()}{path.suffix}")
