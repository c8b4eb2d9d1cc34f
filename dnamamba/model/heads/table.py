"""Every head there is."""

from collections.abc import Mapping

from dnamamba.model.heads.classes import Binary, Multiclass
from dnamamba.model.heads.head import Head
from dnamamba.model.heads.multilabel import Multilabel
from dnamamba.model.heads.regression import Regression

__all__ = ["HEADS", "HIGHER_IS_BETTER", "kind_for"]

HEADS: dict[str, type[Head]] = {
    "binary": Binary,
    "multiclass": Multiclass,
    "multilabel": Multilabel,
    "regression": Regression,
}
"""Every head, by the name that settings give it; of those that fit the same labels, the first is
taken where none is set."""


def _metrics() -> Mapping[str, bool]:
    metrics = {"loss": False}
    # The longest list first, so that the names of each are in its order.
    for head in sorted(HEADS.values(), key=lambda head: -len(head.higher_is_better)):
        metrics |= head.higher_is_better
    return metrics


HIGHER_IS_BETTER = _metrics()
"""Every metric that a head may have, and which way is up."""


def kind_for(label_kind: str, labels: tuple[str, ...]) -> str:
    """The name of the head that learns such labels.

    Args:
        label_kind: as the data's ``labels.kind`` has it.
        labels: names by number.

    Raises:
        ValueError: none does; says why.
    """
    reasons = []
    for kind, head in HEADS.items():
        if head.label_kind == label_kind:
            try:
                head.check(labels)
            except ValueError as error:
                reasons.append(str(error))
            else:
                return kind
    raise ValueError("; ".join(reasons) or f"no head learns labels of the kind {label_kind}")
