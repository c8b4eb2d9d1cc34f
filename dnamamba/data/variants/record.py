"""Variants: every allele of a VCF, checked against its reference before anything is made of it."""

import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dnamamba import arguments
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.genome.text import damage_first
from dnamamba.data.variants.checks import (
    Nearby,
    Problem,
    VariantChecks,
    allele_problem,
    format_problem,
    site_problem,
)
from dnamamba.data.variants.vcf import Malformed, Record, read_records

__all__ = ["Variant", "read_variants"]

_NAMED = 5  # lines named of each reason for leaving out


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
        written: the contig's name in the VCF, where it is another than in the FASTA.
    """

    contig: str
    start: int
    ref: str
    alt: str
    id: str = ""
    line: int = 0
    allele: int = 1
    info: str = ""
    written: str = ""

    @property
    def vcf_contig(self) -> str:
        """The contig as the VCF names it: what a table beside the VCF is joined by."""
        return self.written or self.contig

    @property
    def name(self) -> str:
        """``contig:position:ref:alt``, the position counted from 1 as in a VCF."""
        return f"{self.contig}:{self.start + 1}:{self.ref}:{self.alt}"

    @property
    def vcf_name(self) -> str:
        """``name`` with the contig as the VCF names it: for what is written beside a VCF."""
        return f"{self.vcf_contig}:{self.start + 1}:{self.ref}:{self.alt}"

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
    left_out, nearby = _LeftOut(), Nearby(genome)
    with damage_first(arguments.path("the VCF", vcf)):
        for record in read_records(vcf, info):
            yield from _alleles(record, nearby, checks, longest, left_out)
    if skipped is not None:
        skipped.update(left_out.counts)
    if left_out.counts:
        warnings.warn(f"{vcf}: left out records or alleles: {left_out}", stacklevel=2)


class _LeftOut:
    """How many records and alleles, by reason, and the first lines of those that are bad."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._lines: dict[str, list[int]] = {}

    def add(self, reason: str, line: int | None = None) -> None:
        self.counts[reason] += 1
        lines = self._lines.setdefault(reason, [])
        if line is not None and line not in lines and len(lines) <= _NAMED:
            lines.append(line)

    def __str__(self) -> str:
        return ", ".join(
            f"{count:,} {reason}{self._places(reason)}"
            for reason, count in self.counts.most_common()
        )

    def _places(self, reason: str) -> str:
        lines = self._lines[reason]
        if not lines:
            return ""
        named = ", ".join(f"{line:,}" for line in lines[:_NAMED])
        more = ", ..." if len(lines) > _NAMED else ""
        return f" (line{'s' if len(lines) > 1 else ''} {named}{more})"


def _alleles(
    record: Record | Malformed,
    nearby: Nearby,
    checks: VariantChecks,
    longest: int | None,
    left_out: _LeftOut,
) -> Iterator[Variant]:
    if isinstance(record, Malformed):
        _leave_out(record, format_problem(record.message, checks), left_out)
        return
    contig = checks.contig(record.contig)
    if problem := site_problem(record, contig, nearby, checks):
        _leave_out(record, problem, left_out)
        return
    contig = nearby.known(contig)
    written = "" if record.contig == contig else record.contig
    for number, alt in enumerate(record.alts or ["."], 1):
        if problem := allele_problem(record, alt, checks, longest):
            _leave_out(record, problem, left_out)
            continue
        info = record.info[number - 1]
        site = contig, record.start, record.ref
        variant = Variant(*site, alt, record.id, record.line, number, info, written)
        if checks.kinds is not None and variant.kind not in checks.kinds:
            left_out.add(f"of kind {variant.kind}")
        else:
            yield variant


def _leave_out(record: Record | Malformed, problem: Problem, left_out: _LeftOut) -> None:
    if problem.policy == "error":
        raise ValueError(f"{record.where}: {problem.message}")
    left_out.add(problem.reason, record.line if problem.named else None)
