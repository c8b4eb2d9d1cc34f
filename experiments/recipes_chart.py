"""docs/recipes.png: learning curves of some recipes, a panel a task."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure
from recipes_plan import PRETRAINED, SCRATCH

__all__ = ["Line", "Panel", "curves_chart"]

COLOURS = ["#333333", "#56b4e9", "#0b559f", "#f0b429", "#b3460b", "#2a9d5c", "#9b59b6", "#999999"]
STYLES = {PRETRAINED: "-", SCRATCH: ":"}
LABELS = {PRETRAINED: "pretrained", SCRATCH: "from scratch"}
COLUMNS = 3


class Line(NamedTuple):
    """A recipe's curve on a task."""

    recipe: str
    start: str
    epochs: list[float]
    values: list[float]


class Panel(NamedTuple):
    """A task."""

    title: str
    metric: str
    lines: list[Line]


def curves_chart(model: str, panels: Sequence[Panel]) -> Figure:
    """The metric on the validation part against epochs: colour says recipe, style the start.

    Args:
        model: stands in the title.
        panels: one a task.
    """
    rows = -(-(len(panels) + 1) // COLUMNS)
    figure = Figure(figsize=(12, 3.6 * rows + 0.2), layout="constrained")
    figure.suptitle(f"Fine-tuning {model}, and the same from scratch: mean over seeds")
    grid = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    recipes = dict.fromkeys(line.recipe for panel in panels for line in panel.lines)
    colours = {r: COLOURS[i % len(COLOURS)] for i, r in enumerate(recipes)}
    for axes, panel in zip(grid, panels, strict=False):
        for line in panel.lines:
            axes.plot(line.epochs, line.values, STYLES[line.start], marker="o", ms=3,
                      lw=1.6, color=colours[line.recipe])  # fmt: skip
        axes.set_title(panel.title, fontsize=10)
        axes.set_xlabel("epochs")
        axes.set_ylabel(f"{panel.metric}, validation part")
        axes.set_xlim(left=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    legend = grid[len(panels)]
    for recipe, colour in colours.items():
        legend.plot([], [], "-", lw=3, color=colour, label=recipe)
    for start, style in STYLES.items():
        legend.plot([], [], style, lw=1.6, color="#333333", label=LABELS[start])
    legend.legend(loc="center", frameon=False, fontsize=10)
    return figure
