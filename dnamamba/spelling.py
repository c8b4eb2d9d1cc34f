"""What a misspelt name was probably meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["closest"]


def closest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name that is most like this one; None where none is near.

    Args:
        name: as it was written.
        known: names there are.
        cutoff: how alike they must be, 0 to 1 (the ratio of ``difflib``).
    """
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=cutoff)), None)
