"""The substitutions of a region as a picture: a track of letters above a heat map."""

from typing import IO, TYPE_CHECKING, Any

import numpy as np

from dnamamba.inference.mutagenesis import BASES, Effects
from dnamamba.pictures import (
    BASE_COLOURS,
    DIVERGING,
    GREYS,
    SMALL,
    legend_above,
    new_figure,
    save_png,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

__all__ = ["plot_effects"]

# Lines of a picture, bases in a line: as many lines as fit first, then longer ones.
_LINE, _LINES, _LEGIBLE = 100, 12, 200
_BASE, _NARROWEST, _TICK = 0.13, 3.0, 0.9  # inches: a base, a line, a coordinate and its room
_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # from coordinate to coordinate
_NOT_SCORED = "0.85"


@styled()
def plot_effects(effects: Effects, output: IO[bytes]) -> None:
    """Draw a PNG into an open file.

    Letters are as high as the mean substitution costs: up where the model wants the reference's
    base, down where it would rather have another. In a region of more than 2,400 bases areas
    of the same colours take their place. Each line of the picture holds 100 bases or more.
    """
    size = len(effects.ref)
    per_line = min(size, max(_LINE, -(-size // _LINES)))
    lines = -(-size // per_line)
    width = max(_NARROWEST, _BASE * min(per_line, _LINE))
    figure = new_figure(2 + width, 2.3 * lines + 0.9)
    grid = figure.subplots(2 * lines, 1, squeeze=False, height_ratios=[3, 2] * lines)[:, 0]
    height = np.nan_to_num(-effects.mean)
    margin = 0.05 * max(float(np.ptp([*height, 0.0])), 1e-6)
    limits = min(height.min(), 0) - margin, max(height.max(), 0) + margin
    colour = max(float(np.nanmax(np.abs(effects.llr), initial=0)), 1e-6)
    least = per_line * _TICK / width
    step = next((step for step in _STEPS if step >= least), per_line)
    for line in range(lines):
        columns = slice(line * per_line, min((line + 1) * per_line, size))
        letters, heat = grid[2 * line : 2 * line + 2]
        _track(letters, effects.ref[columns], height[columns], per_line <= _LEGIBLE)
        letters.set_ylim(*limits)
        image = _heat(heat, effects, columns, colour, step)
        for axes in (letters, heat):
            axes.set_xlim(-0.5, per_line - 0.5)
    grid[0].set_title(f"{effects.contig}:{effects.start:,}-{effects.start + size:,}")
    grid[-1].set_xlabel(f"position in {effects.contig} (0-based)")
    bar = figure.colorbar(image, ax=list(grid), shrink=min(1.0, 1.5 / lines), pad=0.01)
    bar.set_label("log-likelihood ratio (nats)")
    bar.ax.tick_params(labelsize=SMALL)
    signs = _signs(effects, per_line <= _LEGIBLE)
    legend_above(figure, max(1, min(len(signs), int(width / 1.4))), handles=signs)
    save_png(figure, output)


def _signs(effects: Effects, as_letters: bool) -> "list[Artist]":
    """What the legend says of colours without a letter, and of the heat map's marks."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    signs: list[Artist] = []
    if as_letters:
        dot: Any = {"color": GREYS[0], "marker": "o", "markersize": 2.5, "linestyle": "none"}
        signs.append(Line2D([], [], label="base of the reference", **dot))
    else:
        signs += [Patch(color=colour, label=base) for base, colour in BASE_COLOURS.items()]
    if np.isnan(effects.llr).all(axis=1).any():
        signs.append(Patch(color=_NOT_SCORED, label="not scored (N)"))
    return signs


def _track(axes: "Axes", ref: str, height: np.ndarray, as_letters: bool) -> None:
    if as_letters:
        _letters(axes, ref, height)
    else:
        for base, colour in BASE_COLOURS.items():
            own = np.array([letter == base for letter in ref])
            axes.fill_between(
                range(len(ref)), np.where(own, height, 0), step="mid", color=colour, linewidth=0
            )
    axes.plot([-0.5, len(ref) - 0.5], [0, 0], color=GREYS[0], linewidth=0.6)
    axes.set_ylabel("mean cost of\na change (nats)", fontsize=SMALL)
    axes.tick_params(labelsize=SMALL)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)


def _letters(axes: "Axes", ref: str, height: np.ndarray) -> None:
    """Letters from the zero line to their heights; upside down below it."""
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
        colour = BASE_COLOURS.get(letter, GREYS[2])
        # One artist for all of them; the limits, which are set, are not to be looked for in it.
        axes.add_artist(PathPatch(path, facecolor=colour, linewidth=0))


def _heat(axes: "Axes", effects: Effects, columns: slice, limit: float, step: int) -> "AxesImage":
    from matplotlib import colormaps

    image = axes.imshow(
        effects.llr[columns].T,
        cmap=colormaps[DIVERGING].with_extremes(bad=_NOT_SCORED),  # N in the reference
        vmin=-limit,
        vmax=limit,
        aspect="auto",
        interpolation="nearest",
    )
    shown = [(at, BASES.find(base)) for at, base in enumerate(effects.ref[columns])]
    own = np.array([place for place in shown if place[1] >= 0]).reshape(-1, 2)
    if len(shown) <= _LEGIBLE:
        axes.scatter(own[:, 0], own[:, 1], s=4, color=GREYS[0], linewidths=0)
    axes.set_yticks(range(4), list(BASES), fontsize=SMALL)
    first = effects.start + columns.start
    ticks = range(-first % step, len(shown), step)
    labels = [f"{first + at:,}" for at in ticks]
    axes.set_xticks(ticks, labels, fontsize=SMALL)
    axes.set_ylabel("changed to", fontsize=SMALL)
    axes.spines[:].set_visible(False)  # the last line may be short
    return image
