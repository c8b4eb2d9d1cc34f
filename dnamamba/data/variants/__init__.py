"""Variants: VCF records checked against their reference, and the windows a model compares."""

from dnamamba.data.variants.alleles import Alleles, allele_windows, window_around
from dnamamba.data.variants.checks import VariantChecks
from dnamamba.data.variants.record import Variant, read_variants

__all__ = [
    "Alleles",
    "Variant",
    "VariantChecks",
    "allele_windows",
    "read_variants",
    "window_around",
]
