"""The substitutions of a region as a picture: a track of letters above a heat map."""

from typing import IO, TYPE_CHECKING

import numpy as np

from dnamamba.commands.letters import LEGIBLE, draw_bases, lines_of
from dnamamba.inference.mutagenesis import BASES, Effects

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

__all__ = ["plot_effects"]


def plot_effects(effects: Effects, output: IO[bytes]) -> None:
    """Draw a PNG into an open file.

    Letters are as high as the mean substitution costs: up where the model wants the reference's
    base, down where it would rather have another. In a region of more than 2,400 bases areas
    of the same colours take their place. Each line of the picture holds 100 bases or more.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    size = len(effects.ref)
    per_line, lines, width = lines_of(size)
    figure = Figure(figsize=(width, 2.3 * lines + 0.6), dpi=150)
    figure.set_layout_engine("constrained")
    grid = figure.subplots(2 * lines, 1, squeeze=False, height_ratios=[3, 2] * lines)[:, 0]
    height = np.nan_to_num(-effects.mean)
    margin = 0.05 * max(float(np.ptp([*height, 0.0])), 1e-6)
    limits = min(height.min(), 0) - margin, max(height.max(), 0) + margin
    colour = max(float(np.nanmax(np.abs(effects.llr), initial=0)), 1e-6)
    for line in range(lines):
        columns = slice(line * per_line, min((line + 1) * per_line, size))
        letters, heat = grid[2 * line : 2 * line + 2]
        draw_bases(letters, effects.ref[columns], height[columns], per_line <= LEGIBLE)
        letters.set_ylabel("cost of\nsubstitution", fontsize=7)
        letters.set_xticks([])
        letters.set_ylim(*limits)
        image = _heat(heat, effects, columns, colour, max(1, per_line // 10))
        for axes in (letters, heat):
            axes.set_xlim(-0.5, per_line - 0.5)
    grid[0].set_title(f"{effects.contig}:{effects.start:,}-{effects.start + size:,}", fontsize=9)
    bar = figure.colorbar(image, ax=list(grid), shrink=min(1.0, 1.5 / lines), pad=0.01)
    bar.set_label("log-likelihood ratio (nats)", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    FigureCanvasAgg(figure).print_png(output)


def _heat(axes: "Axes", effects: Effects, columns: slice, limit: float, step: int) -> "AxesImage":
    from matplotlib import colormaps

    image = axes.imshow(
        effects.llr[columns].T,
        cmap=colormaps["RdBu"].with_extremes(bad="0.85"),  # N in the reference
        vmin=-limit,
        vmax=limit,
        aspect="auto",
        interpolation="nearest",
    )
    shown = [(at, BASES.find(base)) for at, base in enumerate(effects.ref[columns])]
    own = np.array([place for place in shown if place[1] >= 0]).reshape(-1, 2)
    if len(shown) <= LEGIBLE:
        axes.scatter(own[:, 0], own[:, 1], s=3, color="0.4", linewidths=0)
    axes.set_yticks(range(4), list(BASES), fontsize=7)
    ticks = range(0, len(shown), step)
    labels = [f"{effects.start + columns.start + at:,}" for at in ticks]
    axes.set_xticks(ticks, labels, fontsize=7)
    return image
