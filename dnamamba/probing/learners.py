"""What learns labels from fixed features, with nothing to tune, and the metrics of what it says.

=============  ====================================  ==================================
labels         linear                                forest
=============  ====================================  ==================================
class          logistic regression                   random forest
multilabel     the same for each name by itself      the same for each name by itself
number         ridge regression                      random forest
=============  ====================================  ==================================
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dnamamba.data.labelled.codec import Codec
from dnamamba.extras import library
from dnamamba.model.heads import HEADS, Head, kind_for

__all__ = [
    "LEARNERS",
    "check_metric",
    "logistic",
    "metrics_of",
    "probabilities",
    "ridge",
    "standardised",
]

STRENGTH = 1.0  # C of the logistic regression, and alpha of the ridge regression
ITERATIONS = 1000
TREES, FOREST_SEED = 500, 0
# Of so many rows each tree draws its sample; more cost minutes, and change next to nothing.
TREE_ROWS = 10_000

Features = Any
"""(n, width) floats, dense or of ``scipy.sparse``."""
Floats = NDArray[np.float64]


def _sklearn(module: str) -> Any:
    """A module of scikit-learn.

    Raises:
        ModuleNotFoundError: it is not installed; names the extra.
    """
    return library(f"sklearn.{module}", "benchmark", "Learning from frozen features")


def logistic(strength: float = STRENGTH, **settings: Any) -> Any:
    """A logistic regression, regularised by 1 / ``strength``."""
    settings = {"solver": "newton-cholesky", "max_iter": ITERATIONS, **settings}
    return _sklearn("linear_model").LogisticRegression(C=strength, **settings)


def ridge(strength: float = STRENGTH) -> Any:
    """A ridge regression, regularised by 1 / ``strength``."""
    return _sklearn("linear_model").Ridge(alpha=1 / strength)


def _linear(kind: str, rows: int, threads: int) -> Any:
    return ridge() if kind == "number" else logistic()


def _forest(kind: str, rows: int, threads: int) -> Any:
    name = "RandomForestRegressor" if kind == "number" else "RandomForestClassifier"
    settings = {
        "n_estimators": TREES,
        "max_features": "sqrt",
        "max_samples": min(rows, TREE_ROWS),
        "random_state": FOREST_SEED,
        "n_jobs": threads,
    }
    return getattr(_sklearn("ensemble"), name)(**settings)


LEARNERS: dict[str, Callable[[str, int, int], Any]] = {"linear": _linear, "forest": _forest}
"""Makes a learner, of the kind of labels, the number of training rows and the threads."""


def standardised(vectors: NDArray[np.float32], by: NDArray[np.float32]) -> NDArray[np.float32]:
    """In deviations from the mean of others; an entry that never varies is only centred."""
    deviation = by.std(0, dtype=np.float64)
    scale = np.where(deviation > 0, deviation, 1)
    standard = (vectors - by.mean(0, dtype=np.float64)) / scale
    return standard.astype(np.float32)


def probabilities(
    make: Callable[[], Any], codec: Codec, rows: Features, labels: NDArray[Any], held_out: Features
) -> Floats:
    """Learn from a training part, and say what each held-out row is.

    Args:
        make: gives a new learner.
        codec: what the labels mean.
        rows: (n, width) of the training part.
        labels: (n, ...) as ``Codec.encode`` has them.
        held_out: (m, width).

    Returns:
        (m, C) of each label; (m, 1) values of numbers.
    """
    if codec.kind == "number":
        values: Floats = make().fit(rows, labels).predict(held_out)
        return values.astype(np.float64)[:, None]
    several = partial(_shares, make, rows, held_out=held_out)
    if codec.kind == "multilabel":
        columns = [several(labels=label.astype(np.int64), classes=2)[:, 1] for label in labels.T]
        return np.stack(columns, 1)
    return several(labels=labels, classes=len(codec.classes))


def metrics_of(codec: Codec, predicted: Floats, labels: NDArray[Any]) -> dict[str, float]:
    """The metrics of the head that learns such labels, of (m, C) probabilities or (m, 1) values."""
    return _head(codec).metrics(torch.from_numpy(predicted), torch.from_numpy(labels))


def check_metric(codec: Codec, metric: str) -> None:
    """Refuse a metric that such labels do not have.

    Raises:
        ValueError: names those that they have.
    """
    if metric not in (known := _head(codec).higher_is_better):
        raise ValueError(
            f"{codec.kind} labels have no metric {metric}; choose one of {', '.join(known)}"
        )


def _head(codec: Codec) -> type[Head]:
    return HEADS[kind_for(codec.kind, tuple(codec.classes))]


def _shares(
    make: Callable[[], Any], rows: Features, labels: NDArray[Any], held_out: Features, classes: int
) -> Floats:
    """(m, classes); a class without a training row has none, and one alone has all."""
    shares = np.zeros((held_out.shape[0], classes))
    seen = np.unique(labels)
    if len(seen) == 1:
        shares[:, seen[0]] = 1
    else:
        shares[:, seen] = make().fit(rows, labels).predict_proba(held_out)
    return shares
