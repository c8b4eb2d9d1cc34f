"""Letters of bases as high as what they weigh, on an axis: a sequence logo, in lines."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dnamamba.pictures import BASE_COLOURS, GREYS, SMALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LEGIBLE", "Lines", "draw_bases", "name_places"]

LEGIBLE = 200
"""Most bases in a line whose letters can be read."""

# Lines of a picture, bases in a line: as many lines as fit first, then longer ones.
_LINE, _LINES = 100, 12
_BASE, _NARROWEST, _TICK = 0.13, 3.0, 0.9  # inches: a base, a line, a coordinate and its room
_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # from coordinate to coordinate


class Lines(NamedTuple):
    """How the bases of a region stand in the lines of a picture.

    Attributes:
        size: bases.
        each: bases in a line.
        number: of lines.
        width: of a line, in inches.
        step: from one coordinate that is written to the next.
    """

    size: int
    each: int
    number: int
    width: float
    step: int

    @classmethod
    def of(cls, size: int) -> "Lines":
        """Those of so many bases."""
        each = min(size, max(_LINE, -(-size // _LINES)))
        width = max(_NARROWEST, _BASE * min(each, _LINE))
        least = each * _TICK / width
        step = next((step for step in _STEPS if step >= least), each)
        return cls(size, each, -(-size // each), width, step)

    def columns(self, line: int) -> slice:
        """The bases of a line."""
        return slice(line * self.each, min((line + 1) * self.each, self.size))


def draw_bases(axes: "Axes", ref: str, height: np.ndarray, as_letters: bool) -> None:
    """From the zero line to their heights (L,), upside down below it; or as areas of colour."""
    if as_letters:
        _letters(axes, ref, height)
    else:
        for base, colour in BASE_COLOURS.items():
            own = np.array([letter == base for letter in ref.replace("U", "T")])
            axes.fill_between(
                range(len(ref)), np.where(own, height, 0), step="mid", color=colour, linewidth=0
            )
    axes.plot([-0.5, len(ref) - 0.5], [0, 0], color=GREYS[0], linewidth=0.6)
    axes.tick_params(labelsize=SMALL)
    axes.spines["bottom"].set_visible(False)


def name_places(axes: "Axes", first: int, size: int, step: int) -> None:
    """Write the coordinates of some of a line's bases, whose first is ``first``."""
    ticks = range(-first % step, size, step)
    axes.set_xticks(ticks, [f"{first + at:,}" for at in ticks], fontsize=SMALL)


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
        colour = BASE_COLOURS.get(letter.replace("U", "T"), GREYS[2])
        # One artist for all of them; the limits, which are set, are not to be looked for in it.
        axes.add_artist(PathPatch(path, facecolor=colour, linewidth=0))
