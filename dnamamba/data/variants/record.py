"""Variants: every allele of a VCF, checked against its reference before anything is made of it."""

import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants.checks import Problem, VariantChecks, allele_problem, site_problem
from dnamamba.data.variants.vcf import Record, read_records

__all__ = ["Variant", "read_variants"]


class Variant(NamedTuple):
    """One alternative allele of one VCF record, checked against its genome.

    Attributes:
        contig: its name in the FASTA.
        start: 0-based position of the first base of ``ref``.
        ref: reference allele, upper case, at least one base.
        alt: alternative allele, upper case, at least one base.
        id: the VCF's ID column; empty where it has ``.``.
        line: the record's line in the VCF, counted from 1. Alleles of one record share it.
        allele: number of ``alt`` in its record, counted from 1.
        info: the INFO field asked for, as text; empty where the record lacks it.
    """

    contig: str
    start: int
    ref: str
    alt: str
    id: str = ""
    line: int = 0
    allele: int = 1
    info: str = ""

    @property
    def name(self) -> str:
        """``contig:position:ref:alt``, the position counted from 1 as in a VCF."""
        return f"{self.contig}:{self.start + 1}:{self.ref}:{self.alt}"

    @property
    def kind(self) -> str:
        """``snv``, ``mnv`` (several bases for as many) or ``indel``."""
        if len(self.ref) != len(self.alt):
            return "indel"
        return "snv" if len(self.ref) == 1 else "mnv"


def read_variants(
    vcf: str | Path,
    genome: Genome,
    checks: VariantChecks | None = None,
    info: str | None = None,
    longest: int | None = None,
    skipped: Counter[str] | None = None,
) -> Iterator[Variant]:
    """Stream the alternative alleles of a VCF, one by one, each checked against the genome.

    Records may stand in any order; genotypes are not read. A code of the reference such as R
    agrees with the base that the VCF specification writes for it. Nothing is normalised: an
    indel stays where the VCF puts it. One record is in memory at a time.

    Args:
        vcf: plain, bgzip or gzip.
        genome: the reference.
        checks: what to do with what cannot be used; None for the defaults.
        info: an INFO field to hand on in ``Variant.info``; of a field with one value an allele
            (``Number=A`` or ``R``) the allele's own; a flag is ``1``.
        longest: most bases in an allele that can be used; longer ones count as unsupported.
        skipped: counts the records and alleles left out, by reason; a warning says the same at
            the end.

    Raises:
        ValueError: the file is damaged, or a record breaks the format or a check; names file,
            line and remedy.
        ModuleNotFoundError: vcfpy is not installed; names the extra.
    """
    checks = checks or VariantChecks()
    counts: Counter[str] = Counter()
    for record in read_records(vcf, info):
        yield from _alleles(record, genome, checks, longest, counts)
    if skipped is not None:
        skipped.update(counts)
    if counts:
        parts = ", ".join(f"{count:,} {reason}" for reason, count in counts.most_common())
        warnings.warn(f"{vcf}: left out records or alleles: {parts}", stacklevel=2)


def _alleles(
    record: Record,
    genome: Genome,
    checks: VariantChecks,
    longest: int | None,
    counts: Counter[str],
) -> Iterator[Variant]:
    contig = checks.contig(record.contig)
    if _left_out(record, site_problem(record, contig, genome, checks), counts):
        return
    for number, alt in enumerate(record.alts or ["."], 1):
        if _left_out(record, allele_problem(record, alt, checks, longest), counts):
            continue
        info = record.info[number - 1]
        site = contig, record.start, record.ref
        variant = Variant(*site, alt, record.id, record.line, number, info)
        if checks.kinds is not None and variant.kind not in checks.kinds:
            counts[f"of kind {variant.kind}"] += 1
        else:
            yield variant


def _left_out(record: Record, problem: Problem | None, counts: Counter[str]) -> bool:
    if problem is None:
        return False
    if problem.policy == "error":
        raise ValueError(f"{record.where}: {problem.message}")
    counts[problem.reason] += 1
    return True
