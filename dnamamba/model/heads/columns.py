"""What a table of predictions says."""

from collections.abc import Sequence
from typing import Any

__all__ = ["prediction_columns"]


def prediction_columns(
    decided: Sequence[Any], labels: Sequence[str], probabilities: Any
) -> dict[str, list[Any]]:
    """``predicted``, and ``probability_...`` of each label.

    Args:
        decided: n items, of ``Head.decide``.
        labels: names of the labels; none for regression.
        probabilities: (n, C) array or tensor.
    """
    return {
        "predicted": [";".join(item) if isinstance(item, tuple) else item for item in decided],
        **{f"probability_{name}": probabilities[:, i].tolist() for i, name in enumerate(labels)},
    }
