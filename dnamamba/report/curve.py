"""The loss curve of a run as a picture, beside what it has to beat."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnamamba.files import Opened, replacing
from dnamamba.pictures import (
    COLOURS,
    GREYS,
    SMALL,
    WIDE,
    grid,
    legend_above,
    new_figure,
    save_png,
    styled,
)
from dnamamba.report.comparison import UNIFORM_BITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Curve", "plot_curve", "read_curve"]

Floats = NDArray[np.float64]

_UNITS = ((1e9, "Gb"), (1e6, "Mb"), (1e3, "kb"), (1.0, "bases"))


class Curve(NamedTuple):
    """A metric over the course of a run.

    Attributes:
        step: (n,) optimiser steps.
        bits: (n,) bits per base.
    """

    step: Floats
    bits: Floats


def read_curve(metrics: Path, stage: str) -> Curve:
    """The bits per base that a run logged for ``train`` or ``validation``.

    Raises:
        ValueError: there is no ``metrics.csv``.
    """
    if not metrics.is_file():
        raise ValueError(f"there is no {metrics}; is its folder that of a run of dnamamba fit?")
    with metrics.open(newline="") as lines:
        rows = [
            (float(row["step"]), float(row[column]))
            for row in csv.DictReader(lines)
            if row.get(column := f"{stage}/bits_per_base")
        ]
    step, bits = np.array(rows, dtype=np.float64).reshape(-1, 2).T
    return Curve(step, bits)


@styled()
def plot_curve(
    output: Path,
    train: Curve,
    validation: Curve,
    bases_per_step: int,
    markov: tuple[float, str] | None,
    opened: Opened = replacing,
    lengths: Sequence[tuple[int, int]] = (),
) -> None:
    """Bits per base against bases seen, with the lines to beat.

    Args:
        output: the PNG; replaced if it stands.
        train: logged while training.
        validation: logged after each validation.
        bases_per_step: positions that one optimiser step sees.
        markov: bits per base of the best Markov chain, and what the legend calls it; None: the
            curves are of masked bases, for which there is none.
        opened: how the file is opened.
        lengths: (step, bases in a window) of each stage of the run, where there are several.
    """
    figure = new_figure(WIDE, 4.4)
    axes = figure.subplots()
    steps = np.concatenate([train.step, validation.step])
    most = bases_per_step * float(steps.max(initial=1))
    scale, unit = next((scale, unit) for scale, unit in _UNITS if most >= scale or scale == 1)
    bases = bases_per_step / scale
    dots: Any = {"marker": "o", "markersize": 3}
    alone: Any = dots if len(train.step) == 1 else {}
    pale: Any = {"color": COLOURS[5], "linewidth": 1}
    axes.plot(train.step * bases, train.bits, label="Mamba training", **pale, **alone)
    if len(validation.step):  # a run cut short has none yet
        dark: Any = {"color": COLOURS[0], **dots}
        axes.plot(validation.step * bases, validation.bits, label="Mamba validation", **dark)
    if markov is not None:
        axes.axhline(markov[0], color=COLOURS[1], linestyle="--", label=markov[1])
    axes.axhline(UNIFORM_BITS, color=GREYS[1], linestyle=":", label="uniform")
    axes.set_xlabel(f"bases seen ({unit})" if scale > 1 else "bases seen")
    axes.set_ylabel("bits per base" if markov is not None else "bits per masked base")
    # The first steps, when all ids are still likely, would squeeze the rest into a line.
    values = np.concatenate([train.bits, validation.bits, [markov[0] if markov else UNIFORM_BITS]])
    low, high = float(values.min()), max(UNIFORM_BITS, float(np.median(values)))
    margin = 0.15 * (high - low)
    axes.set_ylim(low - margin, high + margin)
    axes.set_xlim(left=0)
    grid(axes, "y")
    _mark(axes, [(step * bases, length) for step, length in lengths])
    legend_above(figure, 4)
    with opened(output) as file:
        save_png(figure, file)


def _mark(axes: "Axes", stages: Sequence[tuple[float, int]]) -> None:
    """A line where each stage but the first begins, and each stage's length at its foot."""
    end = axes.get_xlim()[1]
    for start, length in stages:
        if start > end:
            break
        if start:
            axes.axvline(start, color=GREYS[2], linewidth=0.8, zorder=0)
        axes.annotate(
            f"windows of {length:,} bp",
            (start, 0),
            xycoords=("data", "axes fraction"),
            xytext=(3, 4),
            textcoords="offset points",
            rotation=90,
            fontsize=SMALL,
            color=GREYS[0],
            bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 0.5},
        )
