"""From a vector to labels: what a head gives out, what it costs to be wrong, what it decides.

=============  ===========================  ======================  ============================
kind           labels                       outputs                 label of a batch
=============  ===========================  ======================  ============================
binary         2 names                      (B, 1) log-odds         (B,) int64, 0 or 1
multiclass     C >= 2 names                 (B, C) logits           (B,) int64
multilabel     C >= 1 names, any hold       (B, C) log-odds         (B, C) float32, 0 or 1
regression     none                         (B, 1) in deviations    (B,) float32
=============  ===========================  ======================  ============================
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dnamamba.model.pooling import POOLINGS, PoolingName

__all__ = [
    "HEADS",
    "Head",
    "HeadConfig",
    "HeadKind",
    "Regression",
    "VariantHeadConfig",
    "prediction_columns",
]

HeadKind = Literal["binary", "multiclass", "multilabel", "regression"]


@dataclass(frozen=True)
class HeadConfig:
    """What a classifier adds to a backbone.

    Attributes:
        kind: see ``dnamamba.model.heads``; None until the labels are known.
        labels: names by number; empty for regression.
        pooling: over the bases' hidden states: ``mean``, ``max``, ``last`` or ``attention``.
        dropout: share of the pooled vector's entries that training sets to 0.
        both_strands: average the outputs over both strands, but in training; twice the time.

    Raises:
        ValueError: a value out of range, or labels that do not fit the kind.
    """

    kind: HeadKind | None = None
    labels: tuple[str, ...] = ()
    pooling: PoolingName = "mean"
    dropout: float = 0.0
    both_strands: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))  # YAML and JSON give lists
        if self.kind is not None and self.kind not in HEADS:
            raise ValueError(f"head.kind must be one of {', '.join(HEADS)}, got {self.kind!r}")
        if self.pooling not in POOLINGS:
            raise ValueError(
                f"head.pooling must be one of {', '.join(POOLINGS)}, got {self.pooling!r}"
            )
        if not (isinstance(self.dropout, int | float) and 0 <= self.dropout < 1):
            raise ValueError(f"head.dropout must be in [0, 1), got {self.dropout!r}")
        if not isinstance(self.both_strands, bool):
            raise ValueError(f"head.both_strands must be true or false, got {self.both_strands!r}")
        if not all(isinstance(label, str) for label in self.labels):
            raise ValueError(f"head.labels must be names, got {self.labels!r}")
        if len(set(self.labels)) < len(self.labels):
            raise ValueError(f"head.labels names a class twice: {', '.join(self.labels)}")
        if self.kind is not None:
            HEADS[self.kind].check(self.labels)


@dataclass(frozen=True)
class VariantHeadConfig(HeadConfig):
    """What a variant classifier adds to a backbone.

    Attributes:
        region: pool from the variant's first base on, where the two sequences begin to differ
            for a causal model (``variant``), or over the whole window (``window``).
        length: most bases in a window around a variant; None until the data is known.

    Raises:
        ValueError: a value out of range, or labels that do not fit the kind.
    """

    region: Literal["variant", "window"] = "variant"
    length: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.region not in ("variant", "window"):
            raise ValueError(f"head.region must be 'variant' or 'window', got {self.region!r}")
        if self.length is not None and (not isinstance(self.length, int) or self.length < 2):
            raise ValueError(f"head.length must be at least 2 bases, got {self.length!r}")


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

    label_kind: ClassVar[Literal["class", "multilabel", "number"]]
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

    @classmethod
    def of(cls, config: HeadConfig, width: int) -> "Head":
        """The head of a configuration whose kind is known."""
        if config.kind is None:
            raise ValueError(
                f"head.kind is not set; it must be one of {', '.join(HEADS)}, with its head.labels"
            )
        kind = HEADS[config.kind]
        return kind(width, kind.outputs(len(config.labels)), config.dropout)

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
            label: as the table above has it.
            weight: (C,) class weights, or for ``multilabel`` the weight of a label that holds.

        Returns:
            (B,) fp32.
        """

    @abstractmethod
    def probabilities(self, outputs: Tensor) -> Tensor:
        """(B, C) fp32: of each label, in their order; (B, 1) values for regression."""

    @abstractmethod
    def decide(self, probabilities: Tensor, labels: tuple[str, ...]) -> list[Any]:
        """One item a row: a name, a tuple of names, or a number."""


class Multiclass(Head):
    """One of several: softmax and cross-entropy."""

    label_kind = "class"

    @staticmethod
    def check(labels: tuple[str, ...]) -> None:
        if len(labels) < 2:
            raise ValueError(f"a multiclass head needs at least 2 labels, got {len(labels)}")

    def losses(self, outputs: Tensor, label: Tensor, weight: Tensor | None = None) -> Tensor:
        losses = F.cross_entropy(outputs, label, reduction="none")
        return losses if weight is None else losses * weight[label]

    def probabilities(self, outputs: Tensor) -> Tensor:
        return outputs.softmax(1)

    def decide(self, probabilities: Tensor, labels: tuple[str, ...]) -> list[Any]:
        return [labels[i] for i in probabilities.argmax(1).tolist()]


class Binary(Multiclass):
    """One of two: one log-odds, for the second label."""

    @staticmethod
    def check(labels: tuple[str, ...]) -> None:
        if len(labels) != 2:
            raise ValueError(f"a binary head needs 2 labels, got {len(labels)}")

    @staticmethod
    def outputs(labels: int) -> int:
        return 1

    def losses(self, outputs: Tensor, label: Tensor, weight: Tensor | None = None) -> Tensor:
        target = label.to(outputs.dtype)
        losses = F.binary_cross_entropy_with_logits(outputs[:, 0], target, reduction="none")
        return losses if weight is None else losses * weight[label]

    def probabilities(self, outputs: Tensor) -> Tensor:
        return torch.cat([-outputs, outputs], 1).sigmoid()


class Multilabel(Head):
    """Any number of labels: a log-odds each."""

    label_kind = "multilabel"

    @staticmethod
    def check(labels: tuple[str, ...]) -> None:
        if not labels:
            raise ValueError("a multilabel head needs at least 1 label, got none")

    def losses(self, outputs: Tensor, label: Tensor, weight: Tensor | None = None) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            outputs, label, pos_weight=weight, reduction="none"
        ).mean(1)

    def probabilities(self, outputs: Tensor) -> Tensor:
        return outputs.sigmoid()

    def decide(self, probabilities: Tensor, labels: tuple[str, ...]) -> list[Any]:
        rows = (probabilities >= 0.5).tolist()
        return [
            tuple(label for label, holds in zip(labels, row, strict=True) if holds) for row in rows
        ]


class Regression(Head):
    """A number, learned in standard deviations from the mean of the training labels.

    ``mean`` and ``deviation`` are stored with the weights.
    """

    label_kind = "number"
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

    def probabilities(self, outputs: Tensor) -> Tensor:
        return outputs * self.deviation + self.mean

    def decide(self, probabilities: Tensor, labels: tuple[str, ...]) -> list[Any]:
        return probabilities[:, 0].tolist()


HEADS: dict[str, type[Head]] = {
    "binary": Binary,
    "multiclass": Multiclass,
    "multilabel": Multilabel,
    "regression": Regression,
}
"""Every head, by the name that settings give it."""


def prediction_columns(
    decided: Sequence[Any], labels: Sequence[str], probabilities: Any
) -> dict[str, list[Any]]:
    """What a table of predictions says: ``predicted``, and ``probability_...`` of each label.

    Args:
        decided: n items, of ``Head.decide``.
        labels: names of the labels; none for regression.
        probabilities: (n, C) array or tensor.
    """
    return {
        "predicted": [";".join(item) if isinstance(item, tuple) else item for item in decided],
        **{f"probability_{name}": probabilities[:, i].tolist() for i, name in enumerate(labels)},
    }
