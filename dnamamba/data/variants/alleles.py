"""The two windows of bases around a variant that a model compares."""

from typing import NamedTuple

from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants.record import Variant

__all__ = ["Alleles", "allele_windows", "window_around"]


class Alleles(NamedTuple):
    """Bases around a variant, once with each allele.

    Both have the same left and right flank, so that they differ in length as the alleles do.

    Attributes:
        ref: the reference.
        alt: the reference with the alternative allele in place.
        position: 0-based place of the variant's first base in either.
    """

    ref: bytes
    alt: bytes
    position: int


def allele_windows(genome: Genome, variant: Variant, length: int) -> Alleles:
    """Cut both windows of a variant; they lie where ``window_around`` says.

    Args:
        genome: the reference that the variant was checked against.
        variant: see ``read_variants``.
        length: most bases in a window.

    Raises:
        ValueError: an allele does not fit behind the middle; names the variant.
    """
    first, last = window_around(genome, variant, length)
    bases = genome.fetch(variant.contig, first, last)
    position = variant.start - first
    after = bases[position + len(variant.ref) :]
    return Alleles(bases, bases[:position] + variant.alt.encode() + after, position)


def window_around(genome: Genome, variant: Variant, length: int) -> tuple[int, int]:
    """Where the windows of a variant lie on the reference: [first, last), 0-based.

    The variant's first base stands in the middle, at ``length // 2``, and the longer of the two
    windows has ``length`` bases; both are clipped, not shifted, where the contig begins or ends.

    Raises:
        ValueError: an allele does not fit behind the middle; names the variant.
    """
    left = length // 2
    longest = max(len(variant.ref), len(variant.alt))
    right = length - left - longest
    if right < 0:
        raise ValueError(
            f"{variant.name[:60]}: an allele of {longest:,} bases does not fit into the second "
            f"half of a window of {length:,}; raise length to at least {2 * longest:,} or leave "
            "the variant out"
        )
    end = variant.start + len(variant.ref)
    return max(0, variant.start - left), min(genome.contigs[variant.contig], end + right)
