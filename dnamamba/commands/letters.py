"""Letters of bases as high as what they weigh, on an axis: a sequence logo."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LEGIBLE", "draw_bases", "lines_of"]

_COLOURS = dict(zip("ACGT", ("#3a9d4b", "#2f6db5", "#e09b1a", "#c8362f"), strict=True))
# Lines of a picture, bases in a line: as many lines as fit first, then longer ones.
_LINE, _LINES = 100, 12

LEGIBLE = 200
"""Most bases in a line whose letters can be read."""


def lines_of(size: int) -> tuple[int, int, float]:
    """How many bases stand in each line of a picture, how many lines, and its width in inches."""
    per_line = min(size, max(_LINE, -(-size // _LINES)))
    return per_line, -(-size // per_line), 2 + 0.13 * min(per_line, _LINE)


def draw_bases(axes: "Axes", ref: str, height: np.ndarray, as_letters: bool) -> None:
    """From the zero line to their heights (L,), upside down below it; or as areas of colour."""
    if as_letters:
        _letters(axes, ref, height)
    else:
        for base, colour in _COLOURS.items():
            own = np.array([letter == base for letter in ref])
            axes.fill_between(
                range(len(ref)), np.where(own, height, 0), step="mid", color=colour, linewidth=0
            )
    axes.axhline(0, color="0.3", linewidth=0.6)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right", "bottom"]].set_visible(False)


def _letters(axes: "Axes", ref: str, height: np.ndarray) -> None:
    from matplotlib.font_manager import FontProperties
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path
    from matplotlib.textpath import TextPath

    font = FontProperties(family="monospace", weight="bold")
    for letter in sorted(set(ref)):
        outline = TextPath((0, 0), letter, size=1, prop=font)
        box = outline.get_extents()
        at = np.flatnonzero([base == letter for base in ref])
        size = np.stack([np.full(len(at), 0.9 / box.width), height[at] / box.height], axis=1)
        left = np.stack([at - 0.45, np.zeros(len(at))], axis=1)
        corners = (outline.vertices - box.p0) * size[:, None] + left[:, None]
        assert outline.codes is not None
        path = Path(corners.reshape(-1, 2), np.tile(outline.codes, len(at)))
        colour = _COLOURS.get(letter, "0.6")
        # One artist for all of them; the limits, which are set, are not to be looked for in it.
        axes.add_artist(PathPatch(path, facecolor=colour, linewidth=0))
