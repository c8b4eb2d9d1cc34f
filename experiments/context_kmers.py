"""The baseline of the labels: logistic regression on counts of k-mers of the same windows.

A window is the shares of its canonical k-mers, each centred and scaled by its deviation in
training. k and the strength C of the regularisation are chosen on the last fifth of each species'
training record, and the model is then fitted to all of it. What is held out is read once.
"""

from collections import Counter
from typing import Any

import numpy as np
import yaml
from context_labels import CONFIG, data_settings
from context_plan import Context, KmersJob, LabelsJob
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from dnamamba.benchmark.tasks.task import changed
from dnamamba.data.modules import SpeciesDataModule
from dnamamba.probing.words import canonical_counts

__all__ = ["canonical_words", "kmers"]

LENGTHS = (4, 6)
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
ITERATIONS = 200
MOST = 20_000  # training windows
CHOICE = 0.8  # of a training record, behind which k and C are chosen
AT_ONCE = 1 << 21  # bases that are counted together

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


def kmers(job: KmersJob, context: Context) -> dict[str, Any]:
    """Fit every k and C, choose, fit again, test once."""
    settings = data_settings(job.length, LabelsJob(job.length).batch)
    section = changed(yaml.safe_load(CONFIG.read_text()), settings)["data"]
    data = SpeciesDataModule(**section["init_args"])
    count = min(MOST, context.steps(job.length))
    label, fitted, choosing = _sides(data, count)
    rows = {k: _features(data, "train", count, job.length, k) for k in LENGTHS}
    tried = {
        (k, strength): _accuracy(_fit(rows[k][fitted], label[fitted], strength), rows[k][choosing],
                                 label[choosing])
        for k in LENGTHS
        for strength in STRENGTHS
    }  # fmt: skip
    k, strength = max(tried, key=lambda choice: tried[choice])
    model = _fit(rows[k], label, strength)
    tested = data.dataset("test")
    where = data.windows("test").samples(np.arange(len(tested)))
    truth = data.plans.contigs.genome[where.contig]
    predicted = model.predict(_features(data, "test", len(tested), job.length, k))
    names = list(data.species)
    windows = Counter(names[i] for i in truth.tolist())
    right = Counter(names[i] for i in truth[predicted == truth].tolist())
    return {
        "k": k,
        "C": strength,
        "bases": count * job.length,
        "samples": {"train": count, "choice": int(choosing.sum()), "test": len(tested)},
        "tried": {f"k={k} C={strength:g}": value for (k, strength), value in tried.items()},
        "right": {name: right[name] for name in windows},
        "windows": dict(windows),
    }


def _sides(data: Any, count: int) -> tuple[Ints, NDArray[np.bool_], NDArray[np.bool_]]:
    """Labels of the first training windows, those to fit, and those to choose by."""
    where, contigs = data.windows("train").samples(np.arange(count)), data.plans.contigs
    edge = CHOICE * contigs.length[where.contig]
    label: Ints = contigs.genome[where.contig]
    fitted, choosing = where.start + where.length <= edge, where.start >= edge
    if not choosing.any() or len(np.unique(label[fitted])) < 2:
        raise ValueError(f"{count} windows are too few to choose by; set --bases to more")
    return label, fitted, choosing


def _features(data: Any, part: str, count: int, length: int, k: int) -> Floats:
    """(count, canonical k-mers) shares."""
    canonical, dataset = canonical_words(k), data.dataset(part)
    parts = []
    for numbers in np.array_split(np.arange(count), max(1, count * length // AT_ONCE)):
        batch = dataset[numbers]
        tokens, lengths = batch["tokens"].numpy(), batch["lengths"].numpy()
        counts = canonical_counts(tokens, lengths, k, data.tokenizer)
        own = counts[:, canonical].toarray().astype(np.float32)
        parts.append(own / np.maximum(own.sum(1, keepdims=True), 1))
    return np.concatenate(parts)


def canonical_words(k: int) -> Ints:
    """The columns of ``canonical_counts`` that may hold counts."""
    word = np.arange(4**k)
    reverse = sum((3 - word // 4**i % 4) * 4 ** (k - 1 - i) for i in range(k))
    return np.flatnonzero(word <= reverse)


def _fit(rows: Floats, label: Ints, strength: float) -> Pipeline:
    regression = LogisticRegression(C=strength, max_iter=ITERATIONS)
    return make_pipeline(StandardScaler(), regression).fit(rows, label)


def _accuracy(model: Pipeline, rows: Floats, label: Ints) -> float:
    return float((model.predict(rows) == label).mean())
