"""Which dnamamba this is."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["installed_version"]


def installed_version() -> str:
    """The version as installed; ``unknown`` where the code runs from a source tree alone."""
    try:
        return version("dnamamba")
    except PackageNotFoundError:
        return "unknown"
