"""How well labels are predicted, over a whole held-out part; each figure is a float.

The formulas are torchmetrics'. Where a figure asks for what a part does not hold (a class without
a sample has no ROC curve), the average is over the classes that have it, and NaN if none has.
"""

import math
from collections.abc import Callable

from torch import Tensor
from torchmetrics.functional import classification as tm
from torchmetrics.functional import regression as tmr

__all__ = ["HIGHER_IS_BETTER", "figures_of", "wilson"]

Figures = dict[str, float]

HIGHER_IS_BETTER = {
    "loss": False,
    "accuracy": True,
    "exact_match": True,
    "balanced_accuracy": True,
    "macro_f1": True,
    "mcc": True,
    "auroc": True,
    "auprc": True,
    "calibration_error": False,
    "pearson": True,
    "spearman": True,
    "r2": True,
    "mse": False,
}
"""Every figure there is, and which way is up."""

_BINS = 15


def figures_of(probabilities: Tensor, label: Tensor) -> Figures:
    """The figures that suit the labels.

    Args:
        probabilities: (n, C) of each label; (n, 1) values for regression.
        label: (n,) int64 for classes, (n, C) 0 and 1 for several labels, (n,) floats for
            regression.

    Returns:
        Classes: accuracy, balanced_accuracy (mean recall), macro_f1, mcc (Matthews; its
        generalisation by Gorodkin for more than two), auroc and auprc (of two classes those of
        the second; else the mean of one against the rest), calibration_error (expected, of the
        most probable class, in 15 bins). Several labels: means over the labels, and exact_match,
        the share of samples with every label right. Regression: pearson, spearman, r2, mse.
    """
    if not len(label):
        return {}
    if label.ndim == 2:
        return _several(probabilities, label.long())
    return (
        _numbers(probabilities[:, 0], label)
        if label.is_floating_point()
        else _classes(probabilities, label)
    )


def _classes(probabilities: Tensor, label: Tensor) -> Figures:
    C = probabilities.shape[1]
    counts = tm.multiclass_confusion_matrix(probabilities, label, C).double()
    present = counts.sum(1) > 0
    recall = counts.diagonal()[present] / counts.sum(1)[present]
    ranked = (1,) if C == 2 else range(C)
    curves = [_ranking(probabilities[:, i].contiguous(), (label == i).long()) for i in ranked]
    return {
        "accuracy": float(counts.diagonal().sum() / counts.sum()),
        "balanced_accuracy": float(recall.mean()),
        "macro_f1": float(tm.multiclass_f1_score(probabilities, label, C, average="macro")),
        "mcc": float(tm.multiclass_matthews_corrcoef(probabilities, label, C)),
        "auroc": _mean([roc for roc, _ in curves]),
        "auprc": _mean([pr for _, pr in curves]),
        "calibration_error": float(
            tm.multiclass_calibration_error(probabilities, label, C, n_bins=_BINS)
        ),
    }


def _several(probabilities: Tensor, label: Tensor) -> Figures:
    columns = [(p.contiguous(), y) for p, y in zip(probabilities.T, label.T, strict=True)]
    curves = [_ranking(p, y) for p, y in columns]
    hits = (probabilities >= 0.5).long() == label
    counts = [tm.binary_confusion_matrix(p, y).double() for p, y in columns]
    recalls = [c.diagonal()[c.sum(1) > 0] / c.sum(1)[c.sum(1) > 0] for c in counts]
    return {
        "accuracy": float(hits.double().mean()),
        "exact_match": float(hits.all(1).double().mean()),
        "balanced_accuracy": _mean([float(recall.mean()) for recall in recalls]),
        "macro_f1": _mean([float(tm.binary_f1_score(p, y)) for p, y in columns]),
        "mcc": _mean([float(tm.binary_matthews_corrcoef(p, y)) for p, y in columns]),
        "auroc": _mean([roc for roc, _ in curves]),
        "auprc": _mean([pr for _, pr in curves]),
        "calibration_error": _mean(
            [float(tm.binary_calibration_error(p, y, n_bins=_BINS)) for p, y in columns]
        ),
    }


def _numbers(value: Tensor, label: Tensor) -> Figures:
    value, label = value.double(), label.double()
    mse = float(tmr.mean_squared_error(value, label))

    def if_varied(figure: Callable[[Tensor, Tensor], Tensor], *of: Tensor) -> float:
        return float(figure(value, label)) if all(x.std() > 0 for x in of) else math.nan

    if len(label) < 2:
        return {"pearson": math.nan, "spearman": math.nan, "r2": math.nan, "mse": mse}
    return {
        "pearson": if_varied(tmr.pearson_corrcoef, value, label),
        "spearman": if_varied(tmr.spearman_corrcoef, value, label),
        "r2": if_varied(tmr.r2_score, label),
        "mse": mse,
    }


def _ranking(probability: Tensor, holds: Tensor) -> tuple[float, float]:
    """Areas under the ROC and the precision-recall curve; NaN where all labels are alike."""
    if not 0 < int(holds.sum()) < len(holds):
        return math.nan, math.nan
    areas = tm.binary_auroc(probability, holds), tm.binary_average_precision(probability, holds)
    return float(areas[0]), float(areas[1])


def _mean(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927, JASA 22:209, equation 10); n independent."""
    z = 1.959964
    share = hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)
