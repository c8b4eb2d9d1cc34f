"""A probe as one picture: a mark a column, or of several layers a line over them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnamamba.files import Opened, replacing
from dnamamba.pictures import (
    COLOURS,
    GREYS,
    WIDE,
    grid,
    legend_above,
    new_figure,
    save_png,
    shortened,
    styled,
)
from dnamamba.probing.rows import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

_MARKS = ("o", "s")
_LINES = ("-", "--")
_LETTERS = 28  # of a model's name


@styled()
def draw(
    rows: Sequence[Row], metric: str, shown: str, path: Path, opened: Opened = replacing
) -> None:
    """Draw means, sample deviations and folds of a metric; a file that stands there is replaced.

    Args:
        rows: at least one.
        metric: of their figures.
        shown: what it is called.
        path: the PNG.
        opened: how the file is opened.
    """
    layers = list(dict.fromkeys(row.layer for row in rows if row.layer is not None))
    swept = len(layers) > 1
    features = list(dict.fromkeys(row.features for row in rows))
    size = (max(WIDE, 3 + 0.5 * len(layers)), 4.4) if swept else (WIDE, 1.5 + 0.75 * len(features))
    figure = new_figure(*size)
    axes = figure.subplots()
    folds = len(rows[0].folds)
    spread = f"mean, sample deviation over {folds} folds"
    if swept:
        _lines(axes, rows, metric, layers)
        axes.set_xlabel("hidden states behind block (final: behind the last norm)")
        axes.set_ylabel(f"{shown}\n({spread})")
        grid(axes, "y")
    else:
        _dots(axes, rows, metric, features)
        axes.set_xlabel(f"{shown} ({spread}; small: each fold)")
        grid(axes, "x")
    legend_above(figure, 3 if swept else 2)
    with opened(path) as file:
        save_png(figure, file)


def _dots(axes: "Axes", rows: Sequence[Row], metric: str, features: Sequence[str]) -> None:
    learners = list(dict.fromkeys(row.learner for row in rows))
    for row in rows:
        number = learners.index(row.learner)
        at = features.index(row.features) + 0.36 * (number - (len(learners) - 1) / 2)
        values, (mean, deviation, _) = row.values(metric), row.spread(metric)
        colour, mark = _colour(row), _MARKS[number]
        below = [at + 0.1] * len(values)
        axes.plot(values, below, mark, color=colour, alpha=0.5, markersize=3.5, markeredgewidth=0)
        if mean is not None:
            axes.errorbar(
                mean, at, xerr=deviation or 0, color=colour, marker=mark, markersize=8,
                markerfacecolor="white" if number else colour, elinewidth=1.5, capsize=3,
            )  # fmt: skip
    for number, name in enumerate(learners):
        face = "white" if number else GREYS[0]
        axes.plot(
            [], [], _MARKS[number], color=GREYS[0], markerfacecolor=face, markersize=7, label=name
        )
    axes.set_yticks(range(len(features)), [shortened(name, _LETTERS) for name in features])
    axes.set_ylim(len(features) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def _lines(axes: "Axes", rows: Sequence[Row], metric: str, layers: Sequence[int | None]) -> None:
    learners = list(dict.fromkeys(row.learner for row in rows))
    series: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.layer is None):  # level lines are the last
        series.setdefault((row.features, row.learner), []).append(row)
    beside = len({name for name, some in series.items() if some[0].layer is not None})
    for place, ((features, learner), some) in enumerate(series.items()):
        spreads = [(row.layer, *row.spread(metric)[:2]) for row in some]
        known = [(layer, mean, spread or 0) for layer, mean, spread in spreads if mean is not None]
        if known:
            shift = 0.3 * ((place + 0.5) / beside - 0.5)  # bars stand side by side
            number, label = learners.index(learner), f"{shortened(features, _LETTERS)}, {learner}"
            _line(axes, known, layers, _colour(some[0]), number, shift, label)
    names = ["final" if layer == -1 else str(layer) for layer in layers]
    axes.set_xticks(range(len(layers)), names)


def _line(
    axes: "Axes",
    known: Sequence[tuple[int | None, float, float]],
    layers: Sequence[int | None],
    colour: str,
    number: int,
    shift: float,
    label: str,
) -> None:
    """Of a learner, by its number, (layer, mean, deviation); what has no layer is level."""
    style: dict[str, Any] = {"color": colour, "linestyle": _LINES[number], "label": label}
    if known[0][0] is None:
        (_, mean, deviation), *_ = known
        axes.axhline(mean, linewidth=1.3, **style)
        if not number:
            low, high = mean - deviation, mean + deviation
            axes.axhspan(low, high, color=colour, alpha=0.1, linewidth=0)
        return
    axes.errorbar(
        [layers.index(layer) + shift for layer, *_ in known],
        [mean for _, mean, _ in known],
        yerr=[deviation for *_, deviation in known],
        marker=_MARKS[number], markersize=5, markerfacecolor="white" if number else colour,
        elinewidth=1, **style,
    )  # fmt: skip


def _colour(row: Row) -> str:
    return {"k-mers": COLOURS[1], "random weights": GREYS[1]}.get(row.features, COLOURS[0])
