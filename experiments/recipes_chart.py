"""docs/recipes.png: learning curves of some recipes, a panel a task."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure
from recipes_plan import PRETRAINED, SCRATCH

from dnamamba.pictures import COLOURS, GREYS, grid, new_figure, styled

__all__ = ["Line", "Panel", "curves_chart"]

OF_RECIPES = (GREYS[0], *COLOURS, GREYS[1])
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


@styled()
def curves_chart(model: str, panels: Sequence[Panel]) -> Figure:
    """The metric on the validation part against epochs: colour says recipe, style the start.

    Args:
        model: stands in the title.
        panels: one a task.
    """
    rows = -(-(len(panels) + 1) // COLUMNS)
    figure = new_figure(12, 3.6 * rows + 0.2)
    figure.suptitle(f"Fine-tuning {model}, and the same from scratch: mean over seeds")
    places = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    recipes = dict.fromkeys(line.recipe for panel in panels for line in panel.lines)
    colours = {r: OF_RECIPES[i % len(OF_RECIPES)] for i, r in enumerate(recipes)}
    for axes, panel in zip(places, panels, strict=False):
        for line in panel.lines:
            axes.plot(line.epochs, line.values, STYLES[line.start], marker="o", ms=3,
                      color=colours[line.recipe])  # fmt: skip
        axes.set_title(panel.title)
        axes.set_xlabel("epochs")
        axes.set_ylabel(f"{panel.metric}, validation part")
        axes.set_xlim(left=0)
        grid(axes, "both")
    for axes in places[len(panels) :]:
        axes.set_axis_off()
    legend = places[len(panels)]
    for recipe, colour in colours.items():
        legend.plot([], [], "-", lw=3, color=colour, label=recipe)
    for start, style in STYLES.items():
        legend.plot([], [], style, color=GREYS[0], label=LABELS[start])
    legend.legend(loc="center")
    return figure
