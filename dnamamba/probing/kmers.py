"""The linear model of k-mer counts: what there is to choose from, the choice, and its fit."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnamamba.data.labelled.codec import Codec
from dnamamba.model.heads import HIGHER_IS_BETTER
from dnamamba.probing.learners import logistic, probabilities, ridge

__all__ = ["LENGTHS", "STRENGTHS", "Choice", "across", "chosen", "learned", "scaled"]

LENGTHS = (3, 4, 5, 6, 7, 8)
STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
ITERATIONS = 300

Floats = NDArray[np.float64]


class Choice(NamedTuple):
    """Length of the k-mers, and strength of the linear model."""

    k: int
    C: float


def chosen(tried: Mapping[Choice, float], metric: str) -> Choice:
    """The best by a metric; one that is NaN is the last."""
    sign = 1 if HIGHER_IS_BETTER[metric] else -1
    return max(tried, key=lambda c: -math.inf if math.isnan(tried[c]) else sign * tried[c])


def learned(codec: Codec, C: float, labels: NDArray[Any], rows: Any, held_out: Any) -> Floats:
    """(m, classes) or (m, 1): what a linear model of strength C says of held-out rows."""
    make: Callable[[], Any] = partial(logistic, C, solver="lbfgs", max_iter=ITERATIONS)
    if codec.kind == "number":
        make = partial(ridge, C)
    with warnings.catch_warnings():
        # What the weakest regularisation does not reach in these steps is worse by its figure.
        warnings.filterwarnings("ignore", "lbfgs failed to converge")
        return probabilities(make, codec, rows, labels, held_out)


def across(
    codec: Codec, C: float, labels: NDArray[Any], fold: NDArray[np.int64], rows: Any
) -> Floats:
    """What is said of each row by what was learned from the rows of the other folds."""
    said: Floats | None = None
    for number in np.unique(fold):
        out = fold == number
        some = learned(codec, C, labels[~out], rows[~out], rows[out])
        said = np.zeros((len(fold), some.shape[1])) if said is None else said
        said[out] = some
    assert said is not None
    return said


def scaled(parts: Sequence[Any]) -> list[Any]:
    """(n, width) sparse rows of each part, in deviations of the first; of what varies there."""
    mean, square = (np.asarray(x.mean(0)).ravel() for x in (parts[0], parts[0].multiply(parts[0])))
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    varied = np.flatnonzero(deviation > 0)
    if not varied.size:  # nothing is to be learned, of one column that never varies
        varied, deviation = np.zeros(1, np.int64), np.ones_like(deviation)
    return [rows[:, varied].multiply(1 / deviation[varied]).tocsr() for rows in parts]
