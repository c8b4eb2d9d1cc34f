"""One of several classes, or of two."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from dnamamba.model.heads.head import Head
from dnamamba.model.heads.metrics import BINS, areas

__all__ = ["Binary", "Multiclass"]


class Multiclass(Head):
    """One of several: softmax and cross-entropy."""

    label_kind = "class"
    higher_is_better: ClassVar[Mapping[str, bool]] = {
        "accuracy": True,
        "balanced_accuracy": True,
        "macro_f1": True,
        "mcc": True,
        "auroc": True,
        "auprc": True,
        "calibration_error": False,
    }
    shares = ("accuracy",)
    plots = ("confusion", "rankings")

    @staticmethod
    def check(labels: tuple[str, ...]) -> None:
        if len(labels) < 2:
            raise ValueError(f"a multiclass head needs at least 2 labels, got {len(labels)}")

    def losses(self, outputs: Tensor, label: Tensor, weight: Tensor | None = None) -> Tensor:
        losses = F.cross_entropy(outputs, label, reduction="none")
        return losses if weight is None else losses * weight[label]

    def probabilities(self, outputs: Tensor) -> Tensor:
        return outputs.softmax(1)

    @classmethod
    def decide(cls, probabilities: Tensor, labels: tuple[str, ...]) -> list[Any]:
        return [labels[i] for i in probabilities.argmax(1).tolist()]

    @classmethod
    def written(cls, label: Tensor, labels: tuple[str, ...]) -> list[Any]:
        return [labels[i] for i in label.tolist()]

    @classmethod
    def counts(cls, label: Tensor, labels: tuple[str, ...]) -> dict[str, int]:
        return {name: int((label == i).sum()) for i, name in enumerate(labels)}

    @classmethod
    def ranked(cls, label: Tensor, labels: int) -> dict[int, Tensor]:
        return {i: (label == i).long() for i in ((1,) if labels == 2 else range(labels))}

    @classmethod
    def metrics(cls, probabilities: Tensor, label: Tensor) -> dict[str, float]:
        """Accuracy; balanced_accuracy, the mean recall; macro_f1; and of the classes' ranking.

        ``mcc`` is Matthews's, for more than two classes its generalisation by Gorodkin; ``auroc``
        and ``auprc`` of two classes are those of the second, else the mean of one against the
        rest; ``calibration_error`` is the expected one of the most probable class, in 15 bins.
        """
        from torchmetrics.functional import classification as tm

        C = probabilities.shape[1]
        counts = tm.multiclass_confusion_matrix(probabilities, label, C).double()
        present = counts.sum(1) > 0
        recall = counts.diagonal()[present] / counts.sum(1)[present]
        return {
            "accuracy": float(counts.diagonal().sum() / counts.sum()),
            "balanced_accuracy": float(recall.mean()),
            "macro_f1": float(tm.multiclass_f1_score(probabilities, label, C, average="macro")),
            "mcc": float(tm.multiclass_matthews_corrcoef(probabilities, label, C)),
            **areas(probabilities, cls.ranked(label, C)),
            "calibration_error": float(
                tm.multiclass_calibration_error(probabilities, label, C, n_bins=BINS)
            ),
        }


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

    def explained(self, outputs: Tensor, label: int) -> Tensor:
        return outputs[:, 0] if label else -outputs[:, 0]

    def probabilities(self, outputs: Tensor) -> Tensor:
        return torch.cat([-outputs, outputs], 1).sigmoid()
