"""Training, validation and test: exact shares, whole groups, no dependence on order."""

from collections import Counter

import numpy as np
import pytest

from dnamamba.data.labelled.splits import (
    Split,
    canonical_digests,
    shared_sequences,
    stratified_parts,
)


def one_each(n: int) -> list[str]:
    return [f"g{i}" for i in range(n)]


def test_every_class_is_divided_by_the_shares() -> None:
    classes = ["a"] * 1000 + ["b"] * 100 + ["c"] * 10
    parts = stratified_parts(classes, one_each(1110), [0.8, 0.1, 0.1], seed=0)
    counts = Counter(zip(classes, parts.tolist(), strict=True))
    assert [counts[c, p] for c in "abc" for p in range(3)] == [800, 100, 100, 80, 10, 10, 8, 1, 1]


def test_a_class_too_small_to_divide_goes_to_training() -> None:
    parts = stratified_parts(["a"] * 50 + ["rare"] * 2, one_each(52), [0.8, 0.1, 0.1], seed=3)
    assert parts[50:].tolist() == [0, 0]


def test_every_class_reaches_training() -> None:
    classes = [f"c{i}" for i in range(60)]
    assert set(stratified_parts(classes, one_each(60), [0.6, 0.2, 0.2], seed=0)) == {0}


def test_small_classes_meet_the_shares_in_sum() -> None:
    classes = [f"c{i % 10}" for i in range(40)]
    parts = stratified_parts(classes, one_each(40), [0.8, 0.1, 0.1], seed=0)
    assert np.bincount(parts).tolist() == [32, 4, 4]


def test_folds_are_of_one_size_and_cover_everything() -> None:
    parts = stratified_parts(["a"] * 52 + ["b"] * 51, one_each(103), [0.2] * 5, seed=1)
    sizes = np.array([np.bincount(parts[:52], minlength=5), np.bincount(parts[52:], minlength=5)])
    assert (sizes.max(axis=1) - sizes.min(axis=1) <= 1).all()


def test_groups_stay_whole_and_shares_are_met_as_far_as_they_allow() -> None:
    random = np.random.default_rng(0)
    groups = [f"g{i}" for i in random.integers(0, 60, 1000)]
    classes = [str(i) for i in random.integers(0, 2, 1000)]
    parts = stratified_parts(classes, groups, [0.7, 0.15, 0.15], seed=0)
    where = {}
    for group, part in zip(groups, parts.tolist(), strict=True):
        assert where.setdefault(group, part) == part
    for name in ("0", "1"):
        share = np.bincount(parts[np.array(classes) == name], minlength=3) / classes.count(name)
        assert np.abs(share - [0.7, 0.15, 0.15]).max() < 0.03


def test_seed_decides_and_order_does_not() -> None:
    classes, groups = ["a", "b"] * 100, one_each(200)
    parts = stratified_parts(classes, groups, [0.5, 0.5], seed=7)
    order = np.random.default_rng(0).permutation(200)
    shuffled = stratified_parts(
        [classes[i] for i in order], [groups[i] for i in order], [0.5, 0.5], seed=7
    )
    assert shuffled.tolist() == parts[order].tolist()
    other = stratified_parts(classes, groups, [0.5, 0.5], seed=8)
    assert other.tolist() != parts.tolist()


def test_the_division_is_the_same_in_every_version() -> None:
    """It is part of what makes a published figure repeatable."""
    parts = stratified_parts(["a"] * 12, one_each(12), [0.5, 0.25, 0.25], seed=0)
    assert "".join(map(str, parts)) == "201020110002"


def test_digests_know_strand_and_case() -> None:
    sequence, opposite, other = b"AACGTTN", b"NAACGTT", b"AACGTTA"
    digests = canonical_digests([sequence, opposite, sequence.lower(), other])
    assert digests[0] == digests[1] == digests[2] != digests[3]


def test_shared_sequences_are_counted() -> None:
    lines = shared_sequences(
        {"train": ["a", "b"], "validation": ["c"], "test": ["a", "c", "c", "d"]}
    )
    assert lines == [
        "1 of 4 in test also stand in train",
        "2 of 4 in test also stand in validation",
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"validation": 1.0}, r"split\.validation must be a share from 0 to below 1, got 1"),
        ({"test": -0.1}, r"split\.test must be a share"),
        ({"validation": 0.5, "test": 0.5}, "leave nothing to train on"),
        ({"folds": 1}, r"split\.folds must be at least 2, got 1"),
        ({"folds": 5, "fold": 5}, r"split\.fold must be 0 to 4, got 5"),
        ({"fold": 1}, r"split\.fold is 1, but split\.folds is not set"),
        ({"folds": 5, "test": 0.1}, r"split\.folds sets the test share"),
    ],
)
def test_impossible_splits_are_refused(options: dict[str, float], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        Split(**options)
