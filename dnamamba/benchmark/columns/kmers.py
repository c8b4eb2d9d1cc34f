"""The column of k-mers: a linear model of their counts, both strands together.

A sequence is the counts of its canonical k-mers as shares of all of them (see ``words``), each
divided by its deviation in training. k and the strength of the regularisation are chosen by the
task's metric on the validation part, or where there is none by five-fold cross-validation within
the training part; of a large training part some millions of bases, in the order of training, serve
to choose. The test part is read once, by what was chosen and learned from the whole training part.
Splits and pieces are those of the networks, set up as for the test.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnamamba.benchmark.columns.data import data_of, samples
from dnamamba.benchmark.columns.features import batches
from dnamamba.benchmark.jobs.job import Job, Row
from dnamamba.benchmark.jobs.work import Work
from dnamamba.data.modules.labelled import LabelledDataModule
from dnamamba.data.modules.resumable import DataPart
from dnamamba.probing.kmers import LENGTHS, STRENGTHS, Choice, across, chosen, learned, scaled
from dnamamba.probing.learners import check_metric, metrics_of
from dnamamba.probing.words import stacked, word_features

__all__ = ["LENGTHS", "STRENGTHS", "baseline"]

PIECES = 4  # of each training sequence, where the networks draw random ones
FOLDS = 5
CHOOSING_BASES = 8_000_000  # all of most tasks; each of 42 choices takes seconds for so many


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


def baseline(job: Job, work: Work) -> Row:
    """Fit every k and strength, choose without the test part, and test once."""
    data = data_of(job, test=True)
    check_metric(data.codec, job.task.metric)
    train = _part(data, "train")
    tried = _tried(data, train.first(CHOOSING_BASES), job.task.metric)
    best = chosen(tried, job.task.metric)
    test = _part(data, "test")
    said = learned(data.codec, best.C, train.labels, *_counted(data, best.k, train, test))
    return {
        "figures": metrics_of(data.codec, said, test.labels),
        "validation": tried[best],
        "chosen": best._asdict(),
        "tried": [{"chosen": x._asdict(), "validation": value} for x, value in tried.items()],
        "samples": samples(data),
    }


def _tried(data: LabelledDataModule, train: _Part, metric: str) -> dict[Choice, float]:
    """The metric by each choice."""
    validation = _part(data, "validation") if len(data.dataset("validation")) else None
    labels = (validation or train).labels
    tried = {}
    for k in LENGTHS:
        rows = _counted(data, k, *filter(None, (train, validation)))
        for C in STRENGTHS:
            if validation is None:
                said = across(data.codec, C, train.labels, train.records % FOLDS, *rows)
            else:
                said = learned(data.codec, C, train.labels, *rows)
            tried[Choice(k, C)] = metrics_of(data.codec, said, labels)[metric]
    return tried


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
    return scaled(parts)
