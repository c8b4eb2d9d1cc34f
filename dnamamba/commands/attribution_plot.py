"""The contributions of a region's bases as a picture: letters as high as what they add."""

from typing import IO

import numpy as np

from dnamamba.commands.letters import LEGIBLE, Lines, draw_bases, name_places
from dnamamba.inference.contributions import Contributions
from dnamamba.pictures import (
    BASE_COLOURS,
    SMALL,
    legend_above,
    new_figure,
    save_png,
    shortened,
    styled,
)

__all__ = ["plot_contributions"]

_LETTER = 0.08  # inches


@styled()
def plot_contributions(
    found: Contributions, contig: str, start: int, number: str, output: IO[bytes]
) -> None:
    """Draw a PNG into an open file.

    Args:
        found: of the region.
        contig: where it lies.
        start: 0-based place of its first base.
        number: what is explained, and its unit.
        output: the file.
    """
    from matplotlib.patches import Patch

    lines = Lines.of(len(found.ref))
    width = 1 + lines.width
    figure = new_figure(width, 1.5 * lines.number + 0.7)
    grid = figure.subplots(lines.number, 1, squeeze=False)[:, 0]
    margin = 0.05 * max(float(np.ptp([*found.values, 0.0])), 1e-6)
    limits = min(found.values.min(), 0) - margin, max(found.values.max(), 0) + margin
    as_letters = lines.each <= LEGIBLE
    for line, axes in enumerate(grid):
        columns = lines.columns(line)
        ref = found.ref[columns]
        draw_bases(axes, ref, found.values[columns], as_letters)
        axes.set_ylim(*limits)
        axes.set_xlim(-0.5, lines.each - 0.5)
        axes.set_ylabel("contribution", fontsize=SMALL)
        name_places(axes, start + columns.start, len(ref), lines.step)
    place = f"{contig}:{start:,}-{start + lines.size:,}"
    titles = [shortened(x, int(width / _LETTER)) for x in (place, f"contributions to {number}")]
    grid[0].set_title("\n".join(titles))
    grid[-1].set_xlabel(f"position in {contig} (0-based)")
    if not as_letters:
        colours = [Patch(color=colour, label=base) for base, colour in BASE_COLOURS.items()]
        legend_above(figure, len(colours), handles=colours)
    save_png(figure, output)
