"""What models are called in a table: as typed, but for folders on the way to them."""

from collections.abc import Sequence
from pathlib import PurePath

__all__ = ["short_names"]


def short_names(models: Sequence[str]) -> dict[str, str]:
    """As typed -> the last parts of the path, as few as tell it from the others.

    A run's folder ``model`` alone says nothing, and goes with the name of the run.
    """
    parts = {model: PurePath(model).parts or (model,) for model in models}
    names = {}
    for model, own in parts.items():
        n = 2 if own[-1] == "model" and len(own) > 1 else 1
        while n < len(own) and any(
            other[-n:] == own[-n:] for name, other in parts.items() if name != model
        ):
            n += 1
        names[model] = str(PurePath(*own[-n:]))
    return names
