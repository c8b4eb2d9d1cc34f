"""The lines of a probe: features of whole records, learned and tested fold by fold."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dnamamba.model.heads import HEADS, kind_for
from dnamamba.probing.folds import Divided, parts
from dnamamba.probing.kmers import STRENGTHS, Choice, across, chosen, learned, scaled
from dnamamba.probing.learners import LEARNERS, metrics_of, probabilities, standardised
from dnamamba.probing.rows import METRICS, Row
from dnamamba.probing.words import word_shares

__all__ = ["metrics_there_are", "of_kmers", "of_vectors"]

_INNER = 3  # folds of a training part by which k-mers are chosen
_CHOOSING_BASES = 1_000_000  # each of some hundred fits takes a second for so many


def of_vectors(
    name: str, layer: int, vectors: NDArray[np.float32], data: Divided, learners: Sequence[str]
) -> list[Row]:
    """A row a learner, of vectors (n, width) that are standardised by each training part."""
    figures: dict[str, list[dict[str, float]]] = {learner: [] for learner in learners}
    for number in range(int(data.fold.max()) + 1):
        test = data.fold == number
        rows, asked = (standardised(vectors[some], vectors[~test]) for some in (~test, test))
        for learner in learners:
            said = _said(learner, data, ~test, rows, asked)
            figures[learner].append(metrics_of(data.codec, said, data.targets[test]))
    return [Row(name, layer, learner, tuple(each)) for learner, each in figures.items()]


def of_kmers(
    sequences: Sequence[bytes],
    data: Divided,
    lengths: Sequence[int],
    learners: Sequence[str],
    seed: int,
    advance: Callable[[int], None],
) -> list[Row]:
    """A row a learner, of shares of canonical k-mers.

    k and the strength of the linear model are chosen within each training part, by folds of it in
    which groups are together too; the forest takes the same k.
    """
    counted = {k: word_shares(sequences, k) for k in lengths}
    sizes = np.array([len(bases) for bases in sequences])
    figures: dict[str, list[dict[str, float]]] = {learner: [] for learner in learners}
    choices = []
    for number in range(int(data.fold.max()) + 1):
        test = data.fold == number
        best = _chosen(counted, data, _some(~test, sizes, seed), seed)
        choices.append(best._asdict())
        rows, asked = scaled([counted[best.k][some] for some in (~test, test)])
        for learner in learners:
            if learner == "linear":
                said = learned(data.codec, best.C, data.targets[~test], rows, asked)
            else:
                said = _said(learner, data, ~test, rows, asked)
            figures[learner].append(metrics_of(data.codec, said, data.targets[test]))
        advance(1)
    return [Row("k-mers", None, name, tuple(x), tuple(choices)) for name, x in figures.items()]


def metrics_there_are(data: Divided) -> tuple[str, ...]:
    """The names of all figures of such labels, the main one first."""
    head = HEADS[kind_for(data.codec.kind, tuple(data.codec.classes))]
    return tuple(dict.fromkeys([*METRICS[data.codec.kind], *head.higher_is_better]))


def _said(learner: str, data: Divided, train: NDArray[np.bool_], rows: Any, asked: Any) -> Any:
    n, threads = int(train.sum()), torch.get_num_threads()
    make = partial(LEARNERS[learner], data.codec.kind, n, threads)
    return probabilities(make, data.codec, rows, data.targets[train], asked)


def _some(train: NDArray[np.bool_], sizes: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Numbers of training records that are enough to choose by."""
    order = np.random.default_rng(seed).permutation(np.flatnonzero(train))
    enough = int((np.cumsum(sizes[order]) <= _CHOOSING_BASES).sum())
    return np.sort(order[: max(enough, 2 * _INNER)])


def _chosen(
    counted: dict[int, Any], data: Divided, numbers: NDArray[np.int64], seed: int
) -> Choice:
    labels = data.targets[numbers]
    strata, groups = ([each[i] for i in numbers.tolist()] for each in (data.strata, data.groups))
    fold = parts(strata, groups, _INNER, seed)
    if len(np.unique(fold)) < 2:  # one group alone
        return Choice(min(counted), 1.0)
    metric = next(iter(METRICS[data.codec.kind]))
    tried = {}
    for k, shares in counted.items():
        (rows,) = scaled([shares[numbers]])
        for C in STRENGTHS:
            said = across(data.codec, C, labels, fold, rows)
            tried[Choice(k, C)] = metrics_of(data.codec, said, labels)[metric]
    return chosen(tried, metric)
