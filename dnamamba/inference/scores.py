"""How sequences are scored."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Scores"]


class Scores(NamedTuple):
    """How n sequences are scored.

    Attributes:
        log_likelihood: (n,) float64, natural logarithm of the probability of each sequence's
            scored bases, each given all that stands before it; or, by a model that reads both
            ways, each masked and given what stands on both sides (pseudo-log-likelihood).
        bases: (n,) int64, how many bases were scored: every A, C, G and T, the first included,
            but of a causal model without a start token; N and IUPAC codes are read but not scored.
    """

    log_likelihood: NDArray[np.float64]
    bases: NDArray[np.int64]

    @property
    def bits_per_base(self) -> NDArray[np.float64]:
        """(n,) float64, ``-log2(probability) / bases``; NaN where no base was scored."""
        known = np.where(self.bases > 0, self.bases, 1)
        bits = -self.log_likelihood / (math.log(2) * known)
        return np.where(self.bases > 0, bits, np.nan)
