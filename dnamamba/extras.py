"""Libraries that come with an extra: imported where they are needed, or said how to install."""

from importlib import import_module
from types import ModuleType

__all__ = ["library"]


def library(name: str, extra: str, purpose: str, otherwise: str = "") -> ModuleType:
    """Import a library that the plain installation lacks.

    Args:
        name: the module.
        extra: of dnamamba, that installs it.
        purpose: what needs it, as a sentence begins.
        otherwise: what to do without it.

    Raises:
        ModuleNotFoundError: it is not installed; names the extra.
    """
    try:
        return import_module(name)
    except ImportError as error:
        remedy = f"pip install 'dnamamba[{extra}]'" + (f"; or {otherwise}" if otherwise else "")
        raise ModuleNotFoundError(f"{purpose} needs {name.partition('.')[0]}: {remedy}") from error
