"""The variants of a VCF that masked marginals can score."""

import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants import Variant, VariantChecks, read_variants
from dnamamba.inference.effects import BASES

__all__ = ["is_substitution", "read_substitutions"]


def read_substitutions(
    vcf: str | Path, genome: Genome, checks: VariantChecks | None = None
) -> Iterator[Variant]:
    """``read_variants`` without indels and without substitutions of N or by it, which are counted.

    Raises:
        ValueError: as ``read_variants``; or ``checks.kinds`` asks for indels.
    """
    checks = checks or VariantChecks()
    if "indel" in (checks.kinds or ()):
        raise ValueError(
            "checks.kinds asks for indels, but a model that reads both ways scores substitutions "
            "alone, by masking their bases; leave indel out, or take a causal model"
        )
    substitutions = replace(checks, kinds=checks.kinds or ["snv", "mnv"])
    skipped: Counter[str] = Counter()
    unknown = 0
    for variant in read_variants(vcf, genome, substitutions, skipped=skipped):
        if is_substitution(variant):
            yield variant
        else:
            unknown += 1
    if skipped["of kind indel"] and checks.kinds is None:
        warnings.warn(
            f"{vcf}: a model that reads both ways scores substitutions alone, by masking their "
            "bases; indels are left out",
            stacklevel=2,
        )
    if unknown:
        warnings.warn(f"{vcf}: left out alleles: {unknown:,} that exchange N", stacklevel=2)


def is_substitution(variant: Variant) -> bool:
    """Whether known bases are exchanged for as many known ones: what masked marginals score."""
    pairs = zip(variant.ref, variant.alt, strict=False)
    return len(variant.ref) == len(variant.alt) and all(
        ref in BASES and alt in BASES for ref, alt in pairs if ref != alt
    )
