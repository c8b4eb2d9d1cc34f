"""A line of a probe's table: how well one learner does with one kind of features."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

__all__ = ["METRICS", "Row"]

_OF_NAMES = {"mcc": "MCC", "auroc": "AUROC", "auprc": "AUPRC", "accuracy": "accuracy"}
METRICS = {
    "class": _OF_NAMES,
    "multilabel": _OF_NAMES,
    "number": {"pearson": "Pearson's r", "spearman": "Spearman's ρ", "r2": "R²", "mse": "MSE"},
}
"""By the kind of labels what the table shows, the main figure first, and how it is called."""


@dataclass(frozen=True)
class Row:
    """What one learner makes of one kind of features.

    Attributes:
        features: k-mers, random weights, or the model's name.
        layer: whose hidden states they are; None of k-mers.
        learner: of ``LEARNERS``.
        folds: of each fold every metric of the labels' head, NaN where it is not defined.
        chosen: of k-mers what each fold's training part chose.
    """

    features: str
    layer: int | None
    learner: str
    folds: tuple[Mapping[str, float], ...]
    chosen: tuple[Mapping[str, Any], ...] = ()

    @property
    def layer_name(self) -> str:
        """As a table shows it."""
        return {None: "", -1: "final"}.get(self.layer, str(self.layer))

    def values(self, metric: str) -> list[float]:
        """Of the folds in which it is defined."""
        return [fold[metric] for fold in self.folds if math.isfinite(fold[metric])]

    def spread(self, metric: str) -> tuple[float | None, float | None, int]:
        """Mean and sample deviation over folds, None where there are too few, and their number."""
        values = self.values(metric)
        deviation = stdev(values) if len(values) > 1 else None
        return (fmean(values) if values else None), deviation, len(values)
