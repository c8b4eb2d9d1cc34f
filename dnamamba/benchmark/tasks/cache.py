"""Where a benchmark keeps what it has fetched or computed, for other runs to find."""

from pathlib import Path

from dnamamba.data.genome.places import default_cache_dir

__all__ = ["cache_folder"]


def cache_folder(name: str) -> Path:
    """A folder of the cache, which is made if need be.

    Raises:
        OSError: it cannot be made; says how to name another place.
    """
    folder = default_cache_dir() / "benchmark" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            error.errno,
            f"cannot make {folder}: {error.strerror}; name another place for the cache by "
            "$DNAMAMBA_CACHE",
        ) from error
    return folder
