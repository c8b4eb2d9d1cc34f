"""What a model says of variants and of the substitutions of a region, and from what it says it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnamamba.arguments import switch, whole
from dnamamba.data.variants import Variant
from dnamamba.inference.settings import CONTEXT, FLANK

__all__ = ["BASES", "Effects", "Surroundings", "VariantScore"]

BASES = "ACGT"

Floats = NDArray[np.float64]


class Surroundings(NamedTuple):
    """What of a genome is read around a site.

    Attributes:
        context: most bases read before an allele, on either strand: of a model that reads both
            ways, on either side.
        flank: bases scored behind an allele, on either strand; by a causal model alone.
        both_strands: whether both strands are read and averaged, or the plus strand alone.
    """

    context: int = CONTEXT
    flank: int = FLANK
    both_strands: bool = True

    def check(self, causal: bool) -> None:
        """Refuse settings out of range, and those that have no meaning for a kind of model.

        Args:
            causal: the model compares likelihoods; else it reads both ways and guesses the site.

        Raises:
            ValueError: names the setting.
        """
        whole("context", self.context, 0)
        whole("flank", self.flank, 0)
        switch("both_strands", self.both_strands)
        if not causal and self.flank != FLANK:
            raise ValueError(
                "flank has no meaning for a model that reads both ways: it scores the site alone; "
                "leave it out"
            )


class VariantScore(NamedTuple):
    """What a model says of one variant: see ``likelihood_ratios`` and ``masked_marginals``.

    Attributes:
        variant: the variant.
        llr: log-likelihood ratio of ALT against REF in nats, mean of the strands; below 0 where
            the model finds ALT less likely. NaN where no base could be scored (N).
        llr_forward: of the plus strand alone.
        llr_reverse: of the minus strand alone; NaN where it was not asked for.
        l2: Euclidean distance of the mean hidden states, mean of the strands; NaN by masked
            marginals, which read no allele.
        cosine: one minus their cosine, mean of the strands; NaN likewise.
    """

    variant: Variant
    llr: float
    llr_forward: float
    llr_reverse: float
    l2: float
    cosine: float


class Effects(NamedTuple):
    """Substitutions of a region, all in nats; below 0 where the model prefers the reference.

    Attributes:
        contig: its name.
        start: 0-based position of the first base.
        ref: the region's L bases, upper case.
        llr: (L, 4) for A, C, G and T, mean of the strands; 0 for the reference's own base, NaN
            where the reference is none of them.
        forward: (L, 4) of the plus strand.
        reverse: (L, 4) of the minus strand; NaN where it was not asked for.
    """

    contig: str
    start: int
    ref: str
    llr: Floats
    forward: Floats
    reverse: Floats

    @property
    def mean(self) -> Floats:
        """(L,) mean of the three substitutions."""
        return self.llr.sum(axis=1) / 3

    @property
    def strongest(self) -> Floats:
        """(L,) the substitution of the greatest effect, up or down, with its sign."""
        largest = np.abs(np.nan_to_num(self.llr)).argmax(axis=1)
        return np.take_along_axis(self.llr, largest[:, None], axis=1)[:, 0]
