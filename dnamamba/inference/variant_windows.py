"""Both alleles of variants as sequences for a model, read when they are needed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dnamamba.alphabet import Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants import Variant, window_around

__all__ = ["VariantWindow", "variant_windows"]


@dataclass(frozen=True, slots=True)
class VariantWindow:
    """The window around a variant, with one of its alleles.

    Attributes:
        genome: where it lies.
        tokenizer: how it is read.
        variant: the variant.
        allele: which allele stands in it.
        start: 0-based first base of the window on the reference; see ``window_around``.
        end: one past its last base on the reference.
    """

    genome: Genome
    tokenizer: Tokenizer
    variant: Variant
    allele: Literal["ref", "alt"]
    start: int
    end: int

    @property
    def id(self) -> str:
        """``contig:position:ref:alt`` as the VCF writes them; both alleles share it."""
        return self.variant.vcf_name

    @property
    def contig(self) -> str:
        """Its name in the FASTA."""
        return self.variant.contig

    @property
    def strand(self) -> Literal["+"]:
        """Windows are read on the plus strand."""
        return "+"

    def __len__(self) -> int:
        longer = len(self.variant.alt) - len(self.variant.ref) if self.allele == "alt" else 0
        return self.end - self.start + longer

    def ids(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Token ids of the window's bases ``start`` to before ``stop``; no others are read."""
        if self.allele == "ref":
            bases = self._reference(start, stop)
        else:
            position, alt = self.variant.start - self.start, self.variant.alt.encode()
            shift = len(alt) - len(self.variant.ref)  # of what stands behind the variant
            behind = position + len(alt)
            bases = (
                self._reference(start, min(stop, position))
                + alt[max(start - position, 0) : max(stop - position, 0)]
                + self._reference(max(start, behind) - shift, stop - shift)
            )
        contig = f"{self.genome.name} {self.contig}"
        return self.tokenizer.encode(bases, contig=contig, start=self.start + start)

    def _reference(self, start: int, stop: int) -> bytes:
        """Bases of the reference, counted from the window's start; none where stop <= start."""
        if stop <= start:
            return b""
        return self.genome.fetch(self.contig, self.start + start, self.start + stop)

    def positions(self, start: int, stop: int) -> NDArray[np.int64]:
        """(stop - start,) 0-based places of these bases on the reference.

        Bases that ALT has beyond REF stand at REF's last base.
        """
        at = np.arange(start, stop) + self.start
        if self.allele == "ref":
            return at
        first, size = self.variant.start, len(self.variant.ref)
        inside = np.minimum(at, first + size - 1)
        behind = at - len(self.variant.alt) + size
        return np.where(at < first + len(self.variant.alt), inside, behind)


def variant_windows(
    genome: Genome, tokenizer: Tokenizer, variants: Iterable[Variant], length: int
) -> list[VariantWindow]:
    """Two windows a variant, REF before ALT, in the order given.

    Args:
        genome: the reference that the variants were checked against.
        tokenizer: how they are read.
        variants: see ``read_variants``.
        length: most bases in a window.

    Raises:
        ValueError: a window of less than 2 bases, or an allele longer than half of it.
    """
    if length < 2:
        raise ValueError(f"window must be at least 2 bases, got {length}")
    windows: list[VariantWindow] = []
    for variant in variants:
        place = window_around(genome, variant, length)
        windows += [
            VariantWindow(genome, tokenizer, variant, "ref", *place),
            VariantWindow(genome, tokenizer, variant, "alt", *place),
        ]
    return windows
