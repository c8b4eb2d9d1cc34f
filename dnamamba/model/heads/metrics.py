"""What the metrics of several heads share.

torchmetrics is imported where it is used: who only reads sequences should not wait for it.
"""

import math
from collections.abc import Iterable, Mapping

from torch import Tensor

__all__ = ["BINS", "areas", "mean_of_known"]

BINS = 15
"""Of the expected calibration error."""


def areas(probabilities: Tensor, ranked: Mapping[int, Tensor]) -> dict[str, float]:
    """``auroc`` and ``auprc``: areas under the curves, means over the labels that have them.

    Args:
        probabilities: (n, C).
        ranked: from ``Head.ranked``; a label that holds of all samples or of none has no curve.
    """
    from torchmetrics.functional.classification import binary_auroc, binary_average_precision

    curves = [
        (probabilities[:, i].contiguous(), holds)
        for i, holds in ranked.items()
        if 0 < int(holds.sum()) < len(holds)
    ]
    return {
        "auroc": mean_of_known(float(binary_auroc(p, holds)) for p, holds in curves),
        "auprc": mean_of_known(float(binary_average_precision(p, holds)) for p, holds in curves),
    }


def mean_of_known(values: Iterable[float]) -> float:
    """The mean of those that are numbers; NaN if none is."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
