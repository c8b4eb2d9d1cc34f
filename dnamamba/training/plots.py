"""Pictures of a test: confusion matrix, ROC and precision-recall curves; a scatter of numbers."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torchmetrics.functional import classification as tm

from dnamamba.files import Opened
from dnamamba.model.heads import Head
from dnamamba.pictures import (
    COLOURS,
    GREYS,
    NARROW,
    SEQUENTIAL,
    SMALL,
    grid,
    new_figure,
    save_png,
    shortened,
    styled,
)
from dnamamba.training.held_out import Outcomes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_test"]

Figures = dict[str, "Figure"]  # by the names of their files

_SQUARE = NARROW, 4.5  # inches
_INSIDE = 6  # lines of a legend that leave room for curves
_LETTERS = 32  # of a label
_LETTER = 0.07  # inches
_COUNTED = 40  # classes up to which each cell says its count


@styled()
def plot_test(
    folder: Path, outcomes: Outcomes, head: Head, labels: tuple[str, ...], opened: Opened
) -> list[Path]:
    """Draw what suits the head; files that stand there are replaced.

    Args:
        folder: where to.
        outcomes: the samples, at least one.
        head: what gave them; its ``plots`` are of ``PLOTS``.
        labels: names of the classes; empty for regression.
        opened: how the files are opened.

    Returns:
        The files.
    """
    files, shown = [], [shortened(label, _LETTERS) for label in labels]
    for plot in head.plots:
        for name, figure in PLOTS[plot](outcomes, head, shown).items():
            files.append(folder / name)
            with opened(files[-1]) as file:
                save_png(figure, file)
    return files


def _confusion(outcomes: Outcomes, head: Head, labels: Sequence[str]) -> Figures:
    """``confusion.png``, of one label a sample."""
    C = len(labels)
    counts = tm.multiclass_confusion_matrix(outcomes.probabilities, outcomes.label, C).numpy()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    names = [f"{label} ({n:,})" for label, n in zip(labels, counts.sum(1), strict=True)]
    many = C > 8
    cell = min(1.0, max(0.28, 8 / (C + 4)))  # inches
    words = _LETTER * max(map(len, names))
    below = _LETTER * max(map(len, labels)) * (1.0 if many else 0.6)
    figure = new_figure(C * cell + words + 2.0, C * cell + below + 1.0)
    axes = figure.subplots()
    image = axes.imshow(shares, vmin=0, vmax=1, cmap=SEQUENTIAL)
    figure.colorbar(image, label="share of the true class", fraction=0.3 / (C * cell), pad=0.03)
    axes.set_yticks(range(C), names)
    turned: Any = {"rotation": 90} if many else {"rotation": 30, "ha": "right"}
    axes.set_xticks(range(C), labels, **turned)
    axes.tick_params(length=0)
    for (row, column), count in np.ndenumerate(counts) if C <= _COUNTED else ():
        shade = "white" if shares[row, column] > 0.5 else "black"
        style: Any = {"ha": "center", "va": "center", "color": shade}
        axes.text(column, row, f"{count:,}", fontsize=SMALL - 1 if cell < 0.5 else None, **style)
    axes.set(xlabel="predicted class", ylabel="true class (samples)")
    return {"confusion.png": figure}


def _rankings(outcomes: Outcomes, head: Head, labels: Sequence[str]) -> Figures:
    """``roc.png`` and ``pr.png``, one curve a label that has both kinds of samples."""
    ranked = head.ranked(outcomes.label, len(labels))
    drawn = {i: holds for i, holds in ranked.items() if 0 < int(holds.sum()) < len(holds)}
    width, height = _SQUARE
    if len(drawn) > _INSIDE:
        width += _LETTER * (max(len(labels[i]) for i in drawn) + 26)
        height = max(height, 0.7 + 0.17 * len(drawn))
    figures = [new_figure(width, height) for _ in range(2)]
    roc, pr = (figure.subplots() for figure in figures)
    for i, holds in drawn.items():
        probability = outcomes.probabilities[:, i].contiguous()
        false, true, _ = tm.binary_roc(probability, holds)
        area = float(tm.binary_auroc(probability, holds))
        roc.plot(false, true, label=f"{labels[i]}: area {area:.3f}")
        precision, recall, _ = tm.binary_precision_recall_curve(probability, holds)
        area = float(tm.binary_average_precision(probability, holds))
        chance = float(holds.double().mean())
        name = f"{labels[i]}: area {area:.3f} (chance {chance:.3f})"
        pr.step(recall, precision, where="pre", label=name)
    roc.plot([0, 1], [0, 1], color=GREYS[1], linewidth=0.8, linestyle=":", label="chance")
    roc.set(xlabel="false positive rate", ylabel="true positive rate")
    pr.set(xlabel="recall", ylabel="precision", ylim=(-0.02, 1.02))
    for axes, corner in ((roc, "lower right"), (pr, "lower left")):
        grid(axes, "both")
        _name(axes, corner, len(drawn))
    return dict(zip(("roc.png", "pr.png"), figures, strict=True))


def _name(axes: "Axes", corner: Any, lines: int) -> None:
    if not axes.get_legend_handles_labels()[0]:
        return
    if lines > _INSIDE:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    else:
        axes.legend(loc=corner, frameon=True, framealpha=0.9, edgecolor="none")


def _scatter(outcomes: Outcomes, head: Head, labels: Sequence[str]) -> Figures:
    """``scatter.png``, of numbers."""
    figure = new_figure(*_SQUARE)
    axes = figure.subplots()
    values = outcomes.probabilities[:, 0]
    axes.scatter(outcomes.label, values, s=10, alpha=0.5, linewidths=0, color=COLOURS[0])
    ends = [float(f(torch.cat([outcomes.label.double(), values]))) for f in (torch.min, torch.max)]
    axes.plot(ends, ends, color=GREYS[1], linewidth=0.8, linestyle=":", label="predicted = true")
    grid(axes, "both")
    axes.set(xlabel="true value", ylabel="predicted value")
    axes.legend(loc="upper left")
    return {"scatter.png": figure}


PLOTS: dict[str, Callable[[Outcomes, Head, Sequence[str]], Figures]] = {
    "confusion": _confusion,
    "rankings": _rankings,
    "scatter": _scatter,
}
"""Every picture, by the name that ``Head.plots`` gives it."""
