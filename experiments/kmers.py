"""The baseline: logistic regression on counts of k-mers, both strands together.

A sequence is the counts of its canonical k-mers as shares of all of them; each column is scaled by
its deviation in training. k and the strength C of the regularisation are chosen on the validation
part by the task's own metric; the test part is read once, by that choice. A variant is the counts
of the k-mers that its alternative allele makes minus those that it breaks, and the shares of its
window. Splits and pieces are those of the networks: they come from the same data modules, set up
as for the test.
"""

import contextlib
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from finetuning import data_of
from numpy.typing import NDArray
from plan import Task
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from dnamamba.alphabet import Tokenizer
from dnamamba.data.modules import VariantDataModule
from dnamamba.model.heads import Multiclass

__all__ = ["baseline", "canonical_counts", "canonical_words"]

LENGTHS = (3, 4, 5, 6, 7, 8)
STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
PIECES = 4  # of each training sequence, where the networks draw random ones
ITERATIONS = 300

FIRST = Tokenizer().base_ids[0]  # A; C, G and T follow

Ints = NDArray[np.int64]


def baseline(task: Task, fold: int, folder: Path) -> dict[str, Any]:
    """Fit every k and C, choose by the validation part, test once."""
    began = time.monotonic()
    with contextlib.chdir(folder):
        data = data_of(task, fold, test=True)
        parts = {part: _batches(data, part) for part in ("train", "validation", "test")}
    labels = {part: np.concatenate([b["label"] for b in those]) for part, those in parts.items()}
    variants = isinstance(data, VariantDataModule)
    best: tuple[float, int, float, Any, Any] | None = None
    tried = {}
    for k in LENGTHS:
        rows = {
            part: sparse.vstack([_features(b, k, variants) for b in parts[part]]).tocsr()
            for part in ("train", "validation")
        }
        scale = _scale(rows["train"])
        for strength in STRENGTHS:
            model = LogisticRegression(C=strength, max_iter=ITERATIONS)
            model.fit(rows["train"] @ scale, labels["train"])
            probabilities = model.predict_proba(rows["validation"] @ scale)
            metric = _metrics(probabilities, labels["validation"])[task.metric]
            tried[f"k={k} C={strength:g}"] = round(metric, 4)
            if best is None or metric > best[0]:
                best = metric, k, strength, model, scale
    assert best is not None
    validation, k, strength, model, scale = best
    tested = sparse.vstack([_features(b, k, variants) for b in parts["test"]]).tocsr()
    metrics = _metrics(model.predict_proba(tested @ scale), labels["test"])
    return {
        "metric": task.metric,
        "k": k,
        "C": strength,
        "iterations": int(max(model.n_iter_)),
        "validation": validation,
        "figures": metrics,
        "tried": tried,
        "samples": {part: len(label) for part, label in labels.items()},
        "seconds": round(time.monotonic() - began, 1),
    }


def _batches(data: Any, part: str, rows: int = 256) -> list[dict[str, Any]]:
    dataset = data.dataset(part)
    drawn = getattr(getattr(data, "length", None), "longer", "") == "random"
    count = len(dataset) * (PIECES if drawn and part == "train" else 1)
    return [
        {name: column.numpy() for name, column in dataset[numbers].items()}
        for numbers in np.array_split(np.arange(count), max(1, count // rows))
    ]


def _features(batch: dict[str, Any], k: int, variants: bool) -> sparse.csr_matrix:
    if not variants:
        return _shares(canonical_counts(batch["tokens"], batch["lengths"], k))
    ref, alt = (
        canonical_counts(batch["tokens"][:, allele], batch["lengths"][:, allele], k)
        for allele in (0, 1)
    )
    return sparse.hstack([alt - ref, _shares(ref)])


def canonical_counts(tokens: NDArray[np.uint8], lengths: Ints, k: int) -> sparse.csr_matrix:
    """(n, 4^k) how often each k-mer or its reverse complement occurs, under the smaller of both.

    Args:
        tokens: (n, L) ids of the nucleotide tokenizer; k-mers with another letter than A, C, G, T
            are not counted.
        lengths: (n,) bases of each row.
        k: length.
    """
    base = tokens.astype(np.int64) - FIRST
    base[(base < 0) | (base > 3) | (np.arange(base.shape[1]) >= lengths[:, None])] = -1
    n = max(0, base.shape[1] - k + 1)
    forward, reverse = np.zeros((2, len(base), n), np.int64)
    known = np.ones((len(base), n), np.bool_)
    for i in range(k):
        letter = base[:, i : i + n]
        known &= letter >= 0
        forward = forward * 4 + letter
        reverse += (3 - letter) * 4**i
    row = np.nonzero(known)[0]
    word = np.minimum(forward, reverse)[known]
    return sparse.csr_matrix((np.ones(len(word)), (row, word)), shape=(len(base), 4**k))


def canonical_words(k: int) -> Ints:
    """The columns of ``canonical_counts`` that may hold counts."""
    word = np.arange(4**k)
    reverse = sum((3 - word // 4**i % 4) * 4 ** (k - 1 - i) for i in range(k))
    return np.flatnonzero(word <= reverse)


def _shares(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    total = np.asarray(counts.sum(1)).ravel()
    return sparse.diags(1 / np.maximum(total, 1)) @ counts


def _scale(rows: sparse.csr_matrix) -> sparse.csr_matrix:
    mean = np.asarray(rows.mean(0)).ravel()
    square = np.asarray(rows.multiply(rows).mean(0)).ravel()
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    return sparse.diags(np.where(deviation > 0, 1 / np.where(deviation > 0, deviation, 1), 0))


def _metrics(probabilities: NDArray[np.float64], label: Ints) -> dict[str, float]:
    return Multiclass.metrics(torch.from_numpy(probabilities), torch.from_numpy(label))
