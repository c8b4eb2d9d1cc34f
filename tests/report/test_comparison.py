import numpy as np
import pytest

from dnamamba.report import comparison
from dnamamba.report.comparison import bootstrap_difference, compare
from dnamamba.report.markov import WindowBits


def test_figures_by_hand() -> None:
    bits = np.array([[4.0, 3.0, 3.5], [20.0, 17.0, 16.0]])
    result = compare(WindowBits(bits, np.array([2, 10])), np.array([2.0, 16.0]))
    assert result.markov == pytest.approx((24 / 12, 20 / 12, 19.5 / 12))
    assert result.best_order == 2
    assert result.mamba == pytest.approx(18 / 12)
    assert result.difference == pytest.approx(-1.5 / 12)
    assert (result.windows, result.bases) == (2, 12)
    assert result.interval == pytest.approx((-1.5 / 2, 0.0))


def test_the_interval_is_that_of_the_central_limit() -> None:
    random = np.random.default_rng(0)
    difference = random.normal(-3.0, 20.0, 400)
    bases = np.full(400, 1000)
    low, high = bootstrap_difference(difference, bases, seed=0)
    spread = 1.96 * difference.std() / 20 / 1000
    assert low == pytest.approx(difference.mean() / 1000 - spread, rel=0.05)
    assert high == pytest.approx(difference.mean() / 1000 + spread, rel=0.05)


def test_the_interval_is_repeatable_and_does_not_depend_on_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    random = np.random.default_rng(1)
    difference, bases = random.normal(size=50), random.integers(1, 100, 50)
    once = bootstrap_difference(difference, bases, seed=0)
    assert bootstrap_difference(difference, bases, seed=0) == once
    assert bootstrap_difference(difference, bases, seed=1) != once
    monkeypatch.setattr(comparison, "_DRAWN", 1000)
    assert bootstrap_difference(difference, bases, seed=0) == once


def test_windows_without_a_base_are_refused() -> None:
    with pytest.raises(ValueError, match="the 2 held-out windows hold no A, C, G or T"):
        compare(WindowBits(np.zeros((2, 3)), np.zeros(2, dtype=np.int64)), np.zeros(2))
