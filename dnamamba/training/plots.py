"""Pictures of a test: confusion matrix, ROC and precision-recall curves; a scatter of numbers."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torchmetrics.functional import classification as tm

from dnamamba.files import Opened
from dnamamba.model.heads import Head
from dnamamba.training.held_out import Outcomes

__all__ = ["plot_test"]

Figures = dict[str, Figure]  # by the names of their files

_INCHES = (5.0, 4.4)


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
    files = []
    for plot in head.plots:
        for name, figure in PLOTS[plot](outcomes, head, labels).items():
            files.append(folder / name)
            with opened(files[-1]) as file:
                figure.savefig(file, format="png", dpi=150)
    return files


def _confusion(outcomes: Outcomes, head: Head, labels: Sequence[str]) -> Figures:
    """``confusion.png``, of one label a sample."""
    C = len(labels)
    counts = tm.multiclass_confusion_matrix(outcomes.probabilities, outcomes.label, C).numpy()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = Figure(figsize=(max(5.0, 2 + 0.7 * C), max(4.4, 1.6 + 0.6 * C)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    figure.colorbar(image, label="share of the true class")
    names = [f"{label} ({n})" for label, n in zip(labels, counts.sum(1), strict=True)]
    axes.set_yticks(range(C), names)
    axes.set_xticks(range(C), labels, rotation=30, ha="right")
    for (row, column), count in np.ndenumerate(counts):
        shade = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(count), ha="center", va="center", color=shade)
    axes.set(xlabel="predicted", ylabel="true (samples)")
    return {"confusion.png": figure}


def _rankings(outcomes: Outcomes, head: Head, labels: Sequence[str]) -> Figures:
    """``roc.png`` and ``pr.png``, one curve a label that has both kinds of samples."""
    figures = [Figure(figsize=_INCHES, layout="constrained") for _ in range(2)]
    roc, pr = (figure.subplots() for figure in figures)
    for i, holds in head.ranked(outcomes.label, len(labels)).items():
        if not 0 < int(holds.sum()) < len(holds):
            continue
        probability = outcomes.probabilities[:, i].contiguous()
        false, true, _ = tm.binary_roc(probability, holds)
        area = float(tm.binary_auroc(probability, holds))
        roc.plot(false, true, label=f"{labels[i]}: area {area:.3f}")
        precision, recall, _ = tm.binary_precision_recall_curve(probability, holds)
        area = float(tm.binary_average_precision(probability, holds))
        chance = float(holds.double().mean())
        name = f"{labels[i]}: area {area:.3f} (chance {chance:.3f})"
        pr.step(recall, precision, where="pre", label=name)
    roc.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle=":", label="chance")
    roc.set(xlabel="false positive rate", ylabel="true positive rate")
    pr.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02))
    for axes in (roc, pr):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize="small")
    return dict(zip(("roc.png", "pr.png"), figures, strict=True))


def _scatter(outcomes: Outcomes, head: Head, labels: Sequence[str]) -> Figures:
    """``scatter.png``, of numbers."""
    figure = Figure(figsize=_INCHES, layout="constrained")
    axes = figure.subplots()
    values = outcomes.probabilities[:, 0]
    axes.scatter(outcomes.label, values, s=8, alpha=0.5, linewidths=0)
    ends = [float(f(torch.cat([outcomes.label.double(), values]))) for f in (torch.min, torch.max)]
    axes.plot(ends, ends, color="grey", linewidth=0.8, linestyle=":")
    axes.set(xlabel="true", ylabel="predicted")
    return {"scatter.png": figure}


PLOTS: dict[str, Callable[[Outcomes, Head, Sequence[str]], Figures]] = {
    "confusion": _confusion,
    "rankings": _rankings,
    "scatter": _scatter,
}
"""Every picture, by the name that ``Head.plots`` gives it."""
