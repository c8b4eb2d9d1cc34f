"""docs/results.png: the table of tasks, to be seen."""

import math
import statistics

from matplotlib.figure import Figure

from dnamamba.pictures import COLOURS, WIDEST, grid, legend_above, new_figure, styled

__all__ = ["Column", "chart"]

Column = dict[str, list[float]]  # title of a task -> its metric, run by run

# Pale and full for the sizes, blue and orange for the starts: told apart by lightness, too.
PAIRED = (COLOURS[5], COLOURS[4], COLOURS[0], COLOURS[1])


@styled()
def chart(columns: dict[str, Column]) -> Figure:
    """A line for each task, a dot for each column with the deviation over seeds or folds.

    Args:
        columns: what stands in the legend -> metrics; the first is drawn as a bar, the baseline
            that the others are held against.
    """
    baseline, *others = columns
    tasks = list(columns[baseline])
    figure = new_figure(WIDEST, 0.5 * len(tasks) + 1.2)
    axes = figure.subplots()
    places = range(len(tasks))
    means = [_mean(columns[baseline][task]) for task in tasks]
    axes.barh(places, means, 0.8, color="#dddddd", label=baseline)
    for i, (name, colour) in enumerate(zip(others, PAIRED, strict=True)):
        axes.errorbar(
            [_mean(columns[name][task]) for task in tasks],
            [place + 0.2 * (i - (len(others) - 1) / 2) for place in places],
            xerr=[_deviation(columns[name][task]) for task in tasks],
            fmt="o", ms=5, color=colour, label=name,
        )  # fmt: skip
    axes.set_yticks(places, tasks)
    axes.invert_yaxis()
    axes.set_xlim(0.5, 1.01)
    axes.set_xlabel("the task's figure on the test part")
    grid(axes, "x")
    legend_above(figure, len(columns))
    return figure


def _mean(values: list[float]) -> float:
    return statistics.fmean(values) if values else math.nan


def _deviation(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0
