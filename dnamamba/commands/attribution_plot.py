"""The contributions of a region's bases as a picture: letters as high as what they add."""

from typing import IO

import numpy as np

from dnamamba.commands.letters import LEGIBLE, draw_bases, lines_of
from dnamamba.inference.attribution import Contributions

__all__ = ["plot_contributions"]


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
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    size = len(found.ref)
    per_line, lines, width = lines_of(size)
    figure = Figure(figsize=(width, 1.5 * lines + 0.7), dpi=150)
    figure.set_layout_engine("constrained")
    grid = figure.subplots(lines, 1, squeeze=False)[:, 0]
    margin = 0.05 * max(float(np.ptp([*found.values, 0.0])), 1e-6)
    limits = min(found.values.min(), 0) - margin, max(found.values.max(), 0) + margin
    step = max(1, per_line // 10)
    for line, axes in enumerate(grid):
        columns = slice(line * per_line, min((line + 1) * per_line, size))
        ref = found.ref[columns]
        draw_bases(axes, ref, found.values[columns], per_line <= LEGIBLE)
        axes.set_ylim(*limits)
        axes.set_xlim(-0.5, per_line - 0.5)
        ticks = range(0, len(ref), step)
        axes.set_xticks(ticks, [f"{start + columns.start + at:,}" for at in ticks], fontsize=7)
        axes.set_ylabel("contribution", fontsize=7)
    place = f"{contig}:{start:,}-{start + size:,}"
    grid[0].set_title(f"{place}, contributions to {number}", fontsize=9)
    grid[-1].set_xlabel("position (0-based)", fontsize=8)
    FigureCanvasAgg(figure).print_png(output)
