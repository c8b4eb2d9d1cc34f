"""Frozen features in the benchmark: what scikit-learn makes of them by hand."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_cases import SIZES, read_part, task_of
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import matthews_corrcoef, roc_auc_score

import dnamamba
from dnamamba.benchmark.columns import frozen, measured
from dnamamba.benchmark.jobs.job import Job
from dnamamba.benchmark.jobs.work import Work
from dnamamba.data.labelled.codec import Codec
from dnamamba.probing import learners
from dnamamba.probing.learners import probabilities

Make = Callable[..., Job]
FILES = {part: f"{part}.csv" for part in SIZES}


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learners, "TREES", 20)


def by_hand(model: Path, root: Path) -> tuple[Any, ...]:
    """Standardised vectors and labels of training and test, by ``embed``."""
    network = dnamamba.load(model)
    parts = [read_part(root / f"{part}.csv") for part in ("train", "test")]
    train, test = (network.embed(sequences, both_strands=True) for sequences, _ in parts)
    mean, deviation = train.mean(0), train.std(0)
    labels = [np.array(column) for _, column in parts]
    return (train - mean) / deviation, labels[0], (test - mean) / deviation, labels[1]


def test_by_hand(job: Make, work: Work, models: Path, root: Path) -> None:
    row = measured(job("frozen", "one"), work)
    rows, labels, asked, truth = by_hand(models / "one", root)
    logistic = LogisticRegression(C=1, tol=1e-8, max_iter=1000).fit(rows, labels)
    scores = logistic.predict_proba(asked)[:, 1]
    assert row["figures"]["auroc"] == pytest.approx(roc_auc_score(truth, scores), abs=1e-6)
    assert row["figures"]["mcc"] == pytest.approx(matthews_corrcoef(truth, scores > 0.5), abs=1e-6)
    order = np.argsort(rows[:, 0])  # a forest of other samples is another forest, but as good
    forest = RandomForestClassifier(500, random_state=1).fit(rows[order], labels[order])
    scores = forest.predict_proba(asked)[:, 1]
    assert row["figures"]["forest/auroc"] == pytest.approx(roc_auc_score(truth, scores), abs=0.1)
    assert row["samples"] == SIZES
    assert "validation" not in row


def test_the_validation_part_is_not_used(job: Make, work: Work, root: Path) -> None:
    one = measured(job("frozen", "one"), work)
    lines = (root / "validation.csv").read_text().splitlines()
    (root / "validation.csv").write_text("\n".join(lines[:5]) + "\n")
    assert measured(job("frozen", "one"), work)["figures"] == one["figures"]


def test_new_weights_are_those_of_the_seed_and_the_sizes(job: Make, work: Work) -> None:
    one, two = (measured(job("random", name), work)["figures"] for name in ("one", "two"))
    assert one == two
    assert measured(job("random", "one", seed=2), work)["figures"] != one
    assert measured(job("frozen", "one"), work)["figures"] != one


def test_the_threads_change_nothing(job: Make, work: Work) -> None:
    one = measured(job("frozen", "one"), work)["figures"]
    assert measured(job("frozen", "one"), replace(work, threads=2))["figures"] == one


def test_numbers_by_hand(job: Make, work: Work, models: Path, root: Path) -> None:
    task = task_of({"files": FILES, "labels": {"kind": "number"}}, "pearson")
    row = measured(job("frozen", "one", task=task), work)
    rows, labels, asked, truth = by_hand(models / "one", root)
    said = Ridge(1.0).fit(rows, labels).predict(asked)
    assert row["figures"]["pearson"] == pytest.approx(np.corrcoef(said, truth)[0, 1], abs=1e-4)
    assert -1 <= row["figures"]["forest/pearson"] <= 1


def test_a_column_that_never_varies() -> None:
    vectors = np.array([[1, 2], [1, 4]], np.float32)
    assert frozen.standardised(vectors, vectors).tolist() == [[0, -1], [0, 1]]


def test_several_names() -> None:
    codec = Codec("multilabel", ("a", "b", "c"))
    rows = np.array([[0.0], [1.0], [2.0], [3.0]])
    labels = np.array([[0, 1, 0], [0, 1, 1], [1, 1, 0], [1, 1, 1]], np.float32)
    said = probabilities(learners.logistic, codec, rows, labels, rows)
    assert said.shape == (4, 3)
    assert said[:, 0].tolist() == sorted(said[:, 0])
    assert (said[:, 1] == 1).all()  # it holds of all


def test_a_class_without_training_rows() -> None:
    codec = Codec("class", ("a", "b", "c"))
    rows = np.array([[0.0], [1.0], [2.0], [3.0]])
    said = probabilities(learners.logistic, codec, rows, np.array([0, 0, 2, 2]), rows)
    assert (said[:, 1] == 0).all()
    assert said.sum(1) == pytest.approx(1)
