"""The substitutions of a region as a picture: a track of letters above a heat map."""

from typing import IO, TYPE_CHECKING, Any

import numpy as np

from dnamamba.commands.letters import LEGIBLE, Lines, draw_bases, name_places
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

_NOT_SCORED = "0.85"


@styled()
def plot_effects(effects: Effects, output: IO[bytes]) -> None:
    """Draw a PNG into an open file.

    Letters are as high as the mean substitution costs: up where the model wants the reference's
    base, down where it would rather have another. In a region of more than 2,400 bases areas
    of the same colours take their place. Each line of the picture holds 100 bases or more.
    """
    size = len(effects.ref)
    lines = Lines.of(size)
    figure = new_figure(2 + lines.width, 2.3 * lines.number + 0.9)
    ratios = [3, 2] * lines.number
    grid = figure.subplots(2 * lines.number, 1, squeeze=False, height_ratios=ratios)[:, 0]
    height = np.nan_to_num(-effects.mean)
    margin = 0.05 * max(float(np.ptp([*height, 0.0])), 1e-6)
    limits = min(height.min(), 0) - margin, max(height.max(), 0) + margin
    colour = max(float(np.nanmax(np.abs(effects.llr), initial=0)), 1e-6)
    for line in range(lines.number):
        columns = lines.columns(line)
        letters, heat = grid[2 * line : 2 * line + 2]
        draw_bases(letters, effects.ref[columns], height[columns], lines.each <= LEGIBLE)
        letters.set_ylabel("mean cost of\na change (nats)", fontsize=SMALL)
        letters.set_xticks([])
        letters.set_ylim(*limits)
        image = _heat(heat, effects, columns, colour, lines.step)
        for axes in (letters, heat):
            axes.set_xlim(-0.5, lines.each - 0.5)
    grid[0].set_title(f"{effects.contig}:{effects.start:,}-{effects.start + size:,}")
    grid[-1].set_xlabel(f"position in {effects.contig} (0-based)")
    bar = figure.colorbar(image, ax=list(grid), shrink=min(1.0, 1.5 / lines.number), pad=0.01)
    bar.set_label("log-likelihood ratio (nats)")
    bar.ax.tick_params(labelsize=SMALL)
    signs = _signs(effects, lines.each <= LEGIBLE)
    legend_above(figure, max(1, min(len(signs), int(lines.width / 1.4))), handles=signs)
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
    if len(shown) <= LEGIBLE:
        axes.scatter(own[:, 0], own[:, 1], s=4, color=GREYS[0], linewidths=0)
    axes.set_yticks(range(4), list(BASES), fontsize=SMALL)
    name_places(axes, effects.start + columns.start, len(shown), step)
    axes.set_ylabel("changed to", fontsize=SMALL)
    axes.spines[:].set_visible(False)  # the last line may be short
    return image
