"""Folds: shares of classes, groups and relatives whole, and what is too little."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from dnamamba.probing.folds import Divided, divided
from dnamamba.probing.records import listed_records


def sequences(n: int, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    return ["".join(random.choice(list("ACGT"), 60)) for _ in range(n)]


def of(X: list[str], y: Any, groups: Any = None, folds: int = 5, apart: bool = True) -> Divided:
    return divided(listed_records(X, y, groups, None), folds, 0, apart)


def test_classes_have_their_share_in_every_fold() -> None:
    data = of(sequences(100), ["a"] * 70 + ["b"] * 30)
    for number in range(5):
        test = data.fold == number
        assert Counter(data.targets[test].tolist()) == {0: 14, 1: 6}
    assert data.apart == "groups of relatives"


def test_groups_are_whole() -> None:
    groups = np.arange(60) % 12
    data = of(sequences(60), ["a", "b"] * 30, groups)
    assert all(len(set(data.fold[groups == group])) == 1 for group in range(12))


def test_relatives_on_either_strand_are_in_one_fold() -> None:
    one = sequences(20)
    turned = [bases[::-1].translate(str.maketrans("ACGT", "TGCA")) for bases in one]
    data = of(one + turned, ["a", "b"] * 20)
    assert np.array_equal(data.fold[:20], data.fold[20:])
    data = of(one + turned, ["a", "b"] * 20, apart=False)
    assert not np.array_equal(data.fold[:20], data.fold[20:])


def test_numbers_are_divided_by_rank() -> None:
    data = of(sequences(100), np.linspace(0, 1, 100))
    means = [data.targets[data.fold == number].mean() for number in range(5)]
    assert np.ptp(means) < 0.1


@pytest.mark.parametrize(
    ("n", "y", "groups", "problem"),
    [
        (10, ["a"] * 10, None, "all 10 records have the label 'a'"),
        (10, [0.5] * 10, None, "all 10 records have the number '0.5'"),
        (3, ["a", "b", "a"], None, "3 records in 3 groups of relatives, too few for 5 folds"),
        (10, ["a"] * 7 + ["b"] * 3, None, "class 'b' has 3 groups of relatives, fewer than the 5"),
        (10, ["a", "b"] * 5, ["x"] * 10, "10 records in 1 group, too few for 5 folds; give more"),
        (9, np.linspace(0, 1, 9), None, "too few for 5 folds of 3 numbers each; take fewer"),
    ],
)
def test_too_little(n: int, y: Any, groups: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        of(sequences(n), y, groups)


def test_without_groups_there_is_no_word_of_them() -> None:
    with pytest.raises(ValueError, match="3 records, fewer than the 5 folds") as raised:
        of(sequences(10), ["a"] * 7 + ["b"] * 3, apart=False)
    assert "groups" not in str(raised.value)
