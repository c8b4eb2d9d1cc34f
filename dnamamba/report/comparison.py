"""A model against its baselines on the same windows, with an honest interval."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnamamba.report.markov import WindowBits

__all__ = ["UNIFORM_BITS", "Comparison", "bootstrap_difference", "compare"]

UNIFORM_BITS = 2.0
_RESAMPLES = 10_000
# Window weights drawn at once: about 8 MB.
_DRAWN = 1 << 20


@dataclass(frozen=True)
class Comparison:
    """Bits per base over all scored bases of the held-out windows; every window has the same.

    Attributes:
        windows: held-out windows.
        bases: scored bases in them.
        markov: of each order from 0 up.
        best_order: the order that does best on these very windows, the hardest choice for the
            model.
        mamba: of the model.
        difference: ``mamba - markov[best_order]``; negative where the model wins.
        interval: its 95 % interval, bootstrapped over windows.
    """

    windows: int
    bases: int
    markov: tuple[float, ...]
    best_order: int
    mamba: float
    difference: float
    interval: tuple[float, float]


def compare(markov: WindowBits, mamba: NDArray[np.float64], seed: int = 0) -> Comparison:
    """Compare a model with Markov chains.

    Args:
        markov: bits of every window under every order, and the scored bases.
        mamba: (windows,) bits of the same bases under the model.
        seed: of the bootstrap.

    Raises:
        ValueError: the windows hold no scored base.
    """
    bits, bases = markov
    total = int(bases.sum())
    if not total:
        raise ValueError(f"the {bases.size} held-out windows hold no A, C, G or T to score")
    per_base = bits.sum(0) / total
    best = int(np.argmin(per_base))
    difference = mamba - bits[:, best]
    return Comparison(
        windows=int(bases.size),
        bases=total,
        markov=tuple(per_base.tolist()),
        best_order=best,
        mamba=float(mamba.sum() / total),
        difference=float(difference.sum() / total),
        interval=bootstrap_difference(difference, bases, seed),
    )


def bootstrap_difference(
    difference: NDArray[np.float64], bases: NDArray[np.int64], seed: int
) -> tuple[float, float]:
    """The 95 % percentile interval of a paired difference in bits per base.

    Whole windows are drawn with replacement, 10,000 times (Efron and Tibshirani 1993, chapter
    13): bases within a window depend on each other, windows are taken to be independent.

    Args:
        difference: (windows,) bits under one model less bits under the other.
        bases: (windows,) scored bases.
        seed: of the resampling.
    """
    n = difference.size
    random = np.random.default_rng(seed)
    means = []
    for at in range(0, _RESAMPLES, block := max(1, _DRAWN // n)):
        rows = min(block, _RESAMPLES - at)
        times = random.multinomial(n, np.full(n, 1 / n), size=rows)  # (rows, windows)
        means.append((times @ difference) / np.maximum(times @ bases, 1))
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975]).tolist()
    return low, high
