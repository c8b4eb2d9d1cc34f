"""A number."""

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from dnamamba.model.heads.head import Head

__all__ = ["Regression"]


class Regression(Head):
    """A number, learned in standard deviations from the mean of the training labels.

    ``mean`` and ``deviation`` are stored with the weights.
    """

    label_kind = "number"
    higher_is_better: ClassVar[Mapping[str, bool]] = {
        "pearson": True,
        "spearman": True,
        "r2": True,
        "mse": False,
    }
    plots = ("scatter",)
    scales_labels = True

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int, outputs: int, dropout: float) -> None:
        super().__init__(width, outputs, dropout)
        self.register_buffer("mean", torch.zeros(1))
        self.register_buffer("deviation", torch.ones(1))

    @staticmethod
    def check(labels: tuple[str, ...]) -> None:
        if labels:
            raise ValueError(f"a regression head has no labels, got {', '.join(labels)}")

    @staticmethod
    def outputs(labels: int) -> int:
        return 1

    @torch.no_grad()
    def standardise(self, labels: Tensor) -> None:
        """Take mean and deviation from the training labels (n,).

        Raises:
            ValueError: they are all the same.
        """
        deviation = labels.double().std(correction=0)
        if not deviation > 0:
            raise ValueError("the training labels are all the same number: nothing can be learned")
        self.mean.fill_(labels.double().mean())
        self.deviation.fill_(deviation)

    def losses(self, outputs: Tensor, label: Tensor, weight: Tensor | None = None) -> Tensor:
        return (outputs[:, 0] - (label - self.mean) / self.deviation) ** 2

    def explained(self, outputs: Tensor, label: int) -> Tensor:
        return self.probabilities(outputs)[:, label]

    def probabilities(self, outputs: Tensor) -> Tensor:
        return outputs * self.deviation + self.mean

    @classmethod
    def decide(cls, probabilities: Tensor, labels: tuple[str, ...]) -> list[Any]:
        return probabilities[:, 0].tolist()

    @classmethod
    def written(cls, label: Tensor, labels: tuple[str, ...]) -> list[Any]:
        return label.tolist()

    @classmethod
    def names(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        return ("value",)

    @classmethod
    def counts(cls, label: Tensor, labels: tuple[str, ...]) -> dict[str, int]:
        return {}

    @classmethod
    def ranked(cls, label: Tensor, labels: int) -> dict[int, Tensor]:
        return {}

    @classmethod
    def metrics(cls, probabilities: Tensor, label: Tensor) -> dict[str, float]:
        """Correlations and the coefficient of determination, NaN where nothing varies; mse."""
        from torchmetrics.functional import regression as tm

        value, label = probabilities[:, 0].double(), label.double()
        several = len(label) > 1

        def if_varied(metric: Callable[[Tensor, Tensor], Tensor], *of: Tensor) -> float:
            varied = several and all(x.std() > 0 for x in of)
            return float(metric(value, label)) if varied else math.nan

        return {
            "pearson": if_varied(tm.pearson_corrcoef, value, label),
            "spearman": if_varied(tm.spearman_corrcoef, value, label),
            "r2": if_varied(tm.r2_score, label),
            "mse": float(tm.mean_squared_error(value, label)),
        }
