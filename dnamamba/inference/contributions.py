"""What each base of a sequence adds to a number that a model gives of it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnamamba.inference.sites import base_columns

__all__ = ["Contributions", "Floats"]

Floats = NDArray[np.float64]


class Contributions(NamedTuple):
    """What the L bases of a sequence add to a number that a model gives of it.

    Attributes:
        ref: the bases, upper case.
        values: (L,) what each adds, in the number's units (nats, log-odds, or the label's); 0 where
            there is no A, C, G or T.
        each: (L, 4) what A, C, G and T would add in its place, by the same gradients; for
            ``substitution`` exactly.
        output: the number, of the sequence.
        baseline: the same, of the baseline; for ``substitution`` NaN.
    """

    ref: str
    values: Floats
    each: Floats
    output: float
    baseline: float

    @property
    def known(self) -> NDArray[np.bool_]:
        """(L,) where there is A, C, G or T (U counts as T)."""
        return base_columns(self.ref.encode()) >= 0

    @property
    def each_known(self) -> Floats:
        """``each``, NaN where there is none of them."""
        return np.where(self.known[:, None], self.each, np.nan)

    @property
    def gap(self) -> float:
        """By how much the contributions do not add up to ``output - baseline``."""
        return float(self.values.sum()) - (self.output - self.baseline)
