"""Any number of labels at once."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor
from torch.nn import functional as F

from dnamamba.model.heads.head import Head
from dnamamba.model.heads.metrics import BINS, areas, mean_of_known

__all__ = ["Multilabel"]


class Multilabel(Head):
    """Any number of labels: a log-odds each."""

    label_kind = "multilabel"
    higher_is_better: ClassVar[Mapping[str, bool]] = {
        "accuracy": True,
        "exact_match": True,
        "balanced_accuracy": True,
        "macro_f1": True,
        "mcc": True,
        "auroc": True,
        "auprc": True,
        "calibration_error": False,
    }
    plots = ("rankings",)

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

    @classmethod
    def decide(cls, probabilities: Tensor, labels: tuple[str, ...]) -> list[Any]:
        rows = (probabilities >= 0.5).tolist()
        return [
            tuple(label for label, holds in zip(labels, row, strict=True) if holds) for row in rows
        ]

    @classmethod
    def written(cls, label: Tensor, labels: tuple[str, ...]) -> list[Any]:
        # A label that is certain is decided as itself.
        return [";".join(names) for names in cls.decide(label, labels)]

    @classmethod
    def counts(cls, label: Tensor, labels: tuple[str, ...]) -> dict[str, int]:
        return {name: int((label[:, i] > 0).sum()) for i, name in enumerate(labels)}

    @classmethod
    def ranked(cls, label: Tensor, labels: int) -> dict[int, Tensor]:
        return {i: label[:, i].long() for i in range(labels)}

    @classmethod
    def metrics(cls, probabilities: Tensor, label: Tensor) -> dict[str, float]:
        """Means over the labels of the metrics of two classes, whether a label holds or not.

        ``exact_match`` is the share of samples with every label right.
        """
        from torchmetrics.functional import classification as tm

        ranked = cls.ranked(label, label.shape[1])
        columns = [(probabilities[:, i].contiguous(), holds) for i, holds in ranked.items()]
        hits = (probabilities >= 0.5) == (label > 0)
        counts = [tm.binary_confusion_matrix(p, y).double() for p, y in columns]
        recalls = [c.diagonal()[c.sum(1) > 0] / c.sum(1)[c.sum(1) > 0] for c in counts]
        return {
            "accuracy": float(hits.double().mean()),
            "exact_match": float(hits.all(1).double().mean()),
            "balanced_accuracy": mean_of_known(float(recall.mean()) for recall in recalls),
            "macro_f1": mean_of_known(float(tm.binary_f1_score(p, y)) for p, y in columns),
            "mcc": mean_of_known(float(tm.binary_matthews_corrcoef(p, y)) for p, y in columns),
            **areas(probabilities, ranked),
            "calibration_error": mean_of_known(
                float(tm.binary_calibration_error(p, y, n_bins=BINS)) for p, y in columns
            ),
        }
