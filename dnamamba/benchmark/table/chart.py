"""The table as one picture: a line a task, a mark a column."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnamamba.benchmark.runs.heading import Heading
from dnamamba.benchmark.table.table import METRICS, Line, Table
from dnamamba.files import Opened, replacing
from dnamamba.pictures import (
    COLOURS,
    GREYS,
    WIDEST,
    band,
    fitting,
    grid,
    legend_above,
    new_figure,
    save_png,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

_BASELINES = {"kmers": "D", "random": "o", "scratch": "o"}
_LETTERS = 36  # in a line of a task's title
_SHAPES = ("o", "s", "^", "v", "P", "X")


@styled()
def draw(table: Table, output: Path, opened: Opened = replacing) -> None:
    """Draw it; a file that stands there is replaced.

    Filled marks are of what was trained on the task as a whole, open ones of frozen vectors; the
    bar is the sample deviation over seeds and folds.

    Args:
        table: what there is.
        output: the PNG.
        opened: how the file is opened.
    """
    headings = [h for h in table.headings if any(h.key in line.cells for line in table.lines)]
    n = max(1, len(table.lines))
    longest = max((len(heading.title) for heading in headings), default=0)
    columns = fitting(longest, WIDEST, most=min(4, max(1, len(headings))))
    height = 0.9 + n * max(0.42, 0.1 * len(headings)) + 0.2 * -(-len(headings) // columns)
    figure = new_figure(WIDEST, height)
    axes = figure.subplots()
    metrics = {METRICS.get(line.metric, line.metric) for line in table.lines}
    for i in range(0, n, 2):
        band(axes, i - 0.5, i + 0.5)
    for number, heading in enumerate(headings):
        offset = 0.74 * ((number + 0.5) / len(headings) - 0.5)
        _marks(axes, table, heading, offset, _style(heading, headings))
    titles = [_title(line, several=len(metrics) > 1) for line in table.lines]
    axes.set_yticks(range(len(titles)), titles)
    axes.set_ylim(n - 0.5, -0.5)
    figure_name = metrics.pop() if len(metrics) == 1 else "the task's figure"
    axes.set_xlabel(f"{figure_name} on the test part")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    grid(axes, "x")
    legend_above(figure, columns)
    with opened(output) as file:
        save_png(figure, file)


def _title(line: Line, several: bool) -> str:
    """Folded, so that marks have more room than words."""
    metric = METRICS.get(line.metric, line.metric)
    return textwrap.fill(f"{line.title} ({metric})" if several else line.title, _LETTERS)


def _marks(axes: "Axes", table: Table, heading: Heading, offset: float, style: Any) -> None:
    places, means, spreads = [], [], []
    for i, line in enumerate(table.lines):
        cell = line.cells.get(heading.key)
        if cell is not None and cell.mean is not None:
            places.append(i + offset)
            means.append(cell.mean)
            spreads.append(cell.deviation or 0.0)
    axes.errorbar(
        means, places, xerr=spreads, linestyle="none", markersize=5.5, elinewidth=1.2,
        label=heading.title, **style,
    )  # fmt: skip


def _style(heading: Heading, headings: Sequence[Heading]) -> dict[str, Any]:
    if heading.column in _BASELINES:
        alike = [h.key for h in headings if h.column == heading.column]
        colour = GREYS[alike.index(heading.key) % len(GREYS)]
        shape = _BASELINES[heading.column]
        filled = heading.column != "random"
    else:
        models = list(dict.fromkeys(h.model for h in headings if h.column not in _BASELINES))
        number = models.index(heading.model)
        colour, shape = COLOURS[number % len(COLOURS)], _SHAPES[number % len(_SHAPES)]
        filled = heading.column == "model"
        shape = "*" if heading.column == "zero_shot" else shape
    return {
        "color": colour, "marker": shape, "markerfacecolor": colour if filled else "white",
        "markeredgewidth": 1.3,
    }  # fmt: skip
