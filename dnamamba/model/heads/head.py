"""A linear map from a vector to outputs, and all that is to be known of its labels.

A kind of labels is a subclass and a row of ``dnamamba.model.heads.table``. Whoever trains,
measures, draws or writes asks the head; nobody else tells one kind from another.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dnamamba.model.heads.columns import prediction_columns

__all__ = ["Head"]


class Head(nn.Module, ABC):
    """Standardisation, dropout and a linear map from a vector to outputs.

    Pooled vectors of different sequences differ little: without standardisation the weights would
    have to grow for thousands of steps before they tell them apart. ``center`` and ``scale`` are
    taken once, before training, and stored with the weights.

    Args:
        width: of the vector.
        outputs: how many.
        dropout: share of the vector's entries that training sets to 0.
    """

    label_kind: ClassVar[str]
    """The labels that it learns, as the data's ``labels.kind`` names them."""
    higher_is_better: ClassVar[Mapping[str, bool]]
    """The names of its metrics, in order, and which way is up."""
    shares: ClassVar[Sequence[str]] = ()
    """The metrics that are shares of all samples, of which an interval can be given."""
    plots: ClassVar[Sequence[str]]
    """The pictures of a held-out part that suit it, by their names in the training room."""
    scales_labels: ClassVar[bool] = False
    """Whether ``standardise`` wants to see the training labels."""

    center: Tensor
    scale: Tensor

    def __init__(self, width: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, outputs)
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)

    @torch.no_grad()
    def standardise_inputs(self, vectors: Tensor) -> None:
        """Take ``center`` and ``scale`` from vectors (n, width) of training sequences.

        An entry that hardly varies among them is not blown up: its deviation counts as at least a
        tenth of the median one. Fewer than 2 vectors change nothing.
        """
        if len(vectors) < 2:
            return
        deviation = vectors.double().std(0)
        least = max(float(deviation.median()) / 10, 1e-12)
        self.center.copy_(vectors.double().mean(0))
        self.scale.copy_(1 / deviation.clamp(min=least))

    def standardise(self, labels: Tensor) -> None:
        """Take from the training labels (n,) what ``scales_labels`` asks for; else nothing."""

    def forward(self, vector: Tensor) -> Tensor:
        """(B, width) fp32 -> outputs (B, outputs) fp32."""
        with torch.autocast(vector.device.type, enabled=False):
            standard = (vector.float() - self.center) * self.scale
            return self.linear(self.dropout(standard.to(self.linear.weight))).float()

    @abstractmethod
    def losses(self, outputs: Tensor, label: Tensor, weight: Tensor | None = None) -> Tensor:
        """Loss of each row, in nats (regression: squared deviations).

        Args:
            outputs: from ``forward``.
            label: as the table in ``dnamamba.model.heads`` has it.
            weight: (C,) class weights, or for ``multilabel`` the weight of a label that holds.

        Returns:
            (B,) fp32.
        """

    @abstractmethod
    def probabilities(self, outputs: Tensor) -> Tensor:
        """(B, C) fp32: of each label, in their order; (B, 1) values for regression."""

    def explained(self, outputs: Tensor, label: int) -> Tensor:
        """(B,) what says how much a label holds, before it becomes a probability.

        Args:
            outputs: from ``forward``.
            label: its number; of a head without labels 0.
        """
        return outputs[:, label]

    @staticmethod
    @abstractmethod
    def check(labels: tuple[str, ...]) -> None:
        """Refuse labels that do not fit.

        Raises:
            ValueError: says how many there must be.
        """

    @staticmethod
    def outputs(labels: int) -> int:
        """How many outputs there are for so many labels."""
        return labels

    @classmethod
    @abstractmethod
    def decide(cls, probabilities: Tensor, labels: tuple[str, ...]) -> list[Any]:
        """One item a row: a name, a tuple of names, or a number."""

    @classmethod
    @abstractmethod
    def written(cls, label: Tensor, labels: tuple[str, ...]) -> list[Any]:
        """True labels as a table has them, one cell a row: text, or a number."""

    @classmethod
    def columns(cls, probabilities: Tensor, labels: tuple[str, ...]) -> dict[str, list[Any]]:
        """What a table of predictions says (see ``prediction_columns``)."""
        return prediction_columns(cls.decide(probabilities, labels), labels, probabilities)

    @classmethod
    def names(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        """What each column of ``probabilities`` is."""
        return labels

    @classmethod
    @abstractmethod
    def counts(cls, label: Tensor, labels: tuple[str, ...]) -> dict[str, int]:
        """How many samples each label holds of; empty without names."""

    @classmethod
    @abstractmethod
    def ranked(cls, label: Tensor, labels: int) -> dict[int, Tensor]:
        """Of each label by whose probability samples are ranked, its number and where it holds.

        Args:
            label: (n, ...) of a held-out part.
            labels: how many there are.

        Returns:
            (n,) int64 of 0 and 1 each: of two classes the second, for one says all.
        """

    @classmethod
    @abstractmethod
    def metrics(cls, probabilities: Tensor, label: Tensor) -> dict[str, float]:
        """How well labels are predicted over a whole held-out part, in torchmetrics' formulas.

        Where a metric asks for what a part does not hold (a class without a sample has no ROC
        curve), the average is over the classes that have it, and NaN if none has.

        Args:
            probabilities: (n, C) float64; n at least 1.
            label: (n, ...), as ``losses`` takes it.

        Returns:
            A float for each name in ``higher_is_better``, in their order.
        """
