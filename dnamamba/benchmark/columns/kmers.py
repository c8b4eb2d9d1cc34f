"""The column of k-mers: a linear model of their counts, both strands together.

A sequence is the counts of its canonical k-mers as shares of all of them (see ``words``), each
divided by its deviation in training. k and the strength of the regularisation are chosen by the
task's metric on the validation part, or where there is none by five-fold cross-validation within
the training part; of a large training part some millions of bases, in the order of training, serve
to choose. The test part is read once, by what was chosen and learned from the whole training part.
Splits and pieces are those of the networks, set up as for the test.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnamamba.benchmark.columns.data import data_of, samples
from dnamamba.benchmark.columns.features import batches
from dnamamba.benchmark.jobs.job import Job, Row
from dnamamba.benchmark.jobs.work import Work
from dnamamba.data.modules.labelled import LabelledDataModule
from dnamamba.data.modules.resumable import DataPart
from dnamamba.model.heads import HIGHER_IS_BETTER
from dnamamba.probing.learners import (
    check_metric,
    logistic,
    metrics_of,
    probabilities,
    ridge,
)
from dnamamba.probing.words import stacked, word_features

__all__ = ["LENGTHS", "STRENGTHS", "baseline"]

LENGTHS = (3, 4, 5, 6, 7, 8)
STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
PIECES = 4  # of each training sequence, where the networks draw random ones
FOLDS = 5
CHOOSING_BASES = 8_000_000  # all of most tasks; each of 42 choices takes seconds for so many
ITERATIONS = 300

Floats = NDArray[np.float64]


class _Part(NamedTuple):
    """A part's samples, uncounted, their labels, and the number of each one's record."""

    read: list[dict[str, NDArray[Any]]]
    labels: NDArray[Any]
    records: NDArray[np.int64]

    def first(self, bases: int) -> "_Part":
        """As many of the first batches as hold so many bases, at least one."""
        sizes = np.cumsum([batch["lengths"].sum() for batch in self.read])
        read = self.read[: max(1, int((sizes <= bases).sum()))]
        n = sum(len(batch["label"]) for batch in read)
        return _Part(read, self.labels[:n], self.records[:n])


class _Choice(NamedTuple):
    k: int
    C: float


def baseline(job: Job, work: Work) -> Row:
    """Fit every k and strength, choose without the test part, and test once."""
    data = data_of(job, test=True)
    check_metric(data.codec, job.task.metric)
    train = _part(data, "train")
    tried = _tried(data, train.first(CHOOSING_BASES), job.task.metric)
    sign = 1 if HIGHER_IS_BETTER[job.task.metric] else -1
    best = max(tried, key=lambda c: -math.inf if math.isnan(tried[c]) else sign * tried[c])
    test = _part(data, "test")
    said = _learned(data, best.C, train.labels, *_counted(data, best.k, train, test))
    return {
        "figures": metrics_of(data.codec, said, test.labels),
        "validation": tried[best],
        "chosen": best._asdict(),
        "tried": [{"chosen": x._asdict(), "validation": value} for x, value in tried.items()],
        "samples": samples(data),
    }


def _tried(data: LabelledDataModule, train: _Part, metric: str) -> dict[_Choice, float]:
    """The metric by each choice."""
    validation = _part(data, "validation") if len(data.dataset("validation")) else None
    labels = (validation or train).labels
    tried = {}
    for k in LENGTHS:
        rows = _counted(data, k, *filter(None, (train, validation)))
        for C in STRENGTHS:
            if validation is None:
                said = _across(data, C, train, *rows)
            else:
                said = _learned(data, C, train.labels, *rows)
            tried[_Choice(k, C)] = metrics_of(data.codec, said, labels)[metric]
    return tried


def _across(data: LabelledDataModule, C: float, train: _Part, rows: Any) -> Floats:
    """What is said of each training row by what was learned from the other folds."""
    fold = train.records % FOLDS
    said: Floats | None = None
    for number in np.unique(fold):
        out = fold == number
        some = _learned(data, C, train.labels[~out], rows[~out], rows[out])
        said = np.zeros((len(fold), some.shape[1])) if said is None else said
        said[out] = some
    assert said is not None
    return said


def _learned(
    data: LabelledDataModule, C: float, labels: NDArray[Any], rows: Any, held_out: Any
) -> Floats:
    make: Callable[[], Any] = partial(logistic, C, solver="lbfgs", max_iter=ITERATIONS)
    if data.codec.kind == "number":
        make = partial(ridge, C)
    return probabilities(make, data.codec, rows, labels, held_out)


def _part(data: LabelledDataModule, part: DataPart) -> _Part:
    drawn = getattr(getattr(data, "length", None), "longer", "") == "random"
    read = batches(data, part, PIECES if drawn and part == "train" else 1)
    order: Any = getattr(data.dataset(part), "order")  # noqa: B009 (of labelled datasets alone)
    index, labels = (np.concatenate([b[name] for b in read]) for name in ("index", "label"))
    return _Part(read, labels, order.numbers(index))


def _counted(data: LabelledDataModule, k: int, train: _Part, *others: _Part) -> list[Any]:
    """(n, width) of each part, in deviations of the training part; of what that has, alone."""
    parts = [
        stacked([word_features(batch, k, data.tokenizer) for batch in part.read])
        for part in (train, *others)
    ]
    mean, square = (np.asarray(x.mean(0)).ravel() for x in (parts[0], parts[0].multiply(parts[0])))
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    varied = np.flatnonzero(deviation > 0)
    return [rows[:, varied].multiply(1 / deviation[varied]).tocsr() for rows in parts]
