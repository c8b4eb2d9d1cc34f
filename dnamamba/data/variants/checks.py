"""Can a VCF record be used? Its place and REF against the genome, its alleles as bases."""

import re
import warnings
from dataclasses import dataclass
from typing import Literal, NamedTuple

from dnamamba.data.genome.fasta import Genome
from dnamamba.data.genome.synonyms import Synonyms, spoken
from dnamamba.data.variants.vcf import Record

__all__ = ["Nearby", "Problem", "VariantChecks", "allele_problem", "format_problem", "site_problem"]

_BASES = re.compile("[ACGTN]+")
_CODES = re.compile("[ACGTNRYSWKMBDHVU]+")
_MISSING = ("NA", "NAN")  # of the words for a missing value those that are bases, too
_LETTERS = "must be of the letters ACGTN; normalise the file (bcftools norm)"
# Section 1.6.1 of the VCF specification: a code in the reference is written in REF as the base
# that is first in the alphabet.
_REDUCED = bytes.maketrans(b"RYSWKMBDHVU", b"ACCAGACAAAT")

_NEARBY = 1 << 14  # bases that are fetched at a time

Policy = Literal["error", "skip"]


@dataclass(frozen=True)
class VariantChecks:
    """What to do with records that cannot be used. What is skipped is counted in one warning.

    Attributes:
        mismatch: REF differs from the FASTA or is an IUPAC code, or the position lies outside
            the contig.
        unknown_contig: the FASTA has no contig of that name.
        unsupported: no ALT (``.``), ``*``, symbolic (``<DEL>``) and breakend alleles, ALT equal
            to REF.
        kinds: which of ``snv``, ``mnv`` and ``indel`` to keep; None for all.
        contig_names: ``add_chr`` reads 17 as chr17 and MT as chrM, ``drop_chr`` the reverse;
            or name in the VCF -> name in the FASTA (others stay as they are). A name that the
            FASTA lacks is looked up among the other names of its contigs (1, chr1, NC_000001.11).
        malformed: the line is no record of a VCF: its columns, POS, QUAL, the letters of REF or
            ALT, the INFO field that is read.

    Raises:
        ValueError: an unknown choice.
    """

    mismatch: Policy = "error"
    unknown_contig: Policy = "error"
    unsupported: Policy = "skip"
    kinds: list[Literal["snv", "mnv", "indel"]] | None = None
    contig_names: Literal["as_is", "add_chr", "drop_chr"] | dict[str, str] = "as_is"
    malformed: Policy = "error"

    def __post_init__(self) -> None:
        if not isinstance(self.contig_names, str):  # YAML reads an unquoted 17 as a number
            names = {str(name): str(known) for name, known in self.contig_names.items()}
            object.__setattr__(self, "contig_names", names)
        for name in ("mismatch", "unknown_contig", "unsupported", "malformed"):
            if getattr(self, name) not in ("error", "skip"):
                raise ValueError(
                    f"checks.{name} must be 'error' or 'skip', got {getattr(self, name)!r}"
                )
        unknown = set(self.kinds or ()) - {"snv", "mnv", "indel"}
        if unknown or self.kinds == []:
            raise ValueError(f"checks.kinds must be of snv, mnv and indel, got {self.kinds}")
        if isinstance(self.contig_names, str) and self.contig_names not in (
            "as_is",
            "add_chr",
            "drop_chr",
        ):
            raise ValueError(
                "checks.contig_names must be 'as_is', 'add_chr', 'drop_chr' or a table of names, "
                f"got {self.contig_names!r}"
            )

    def contig(self, name: str) -> str:
        """The FASTA's name of a VCF's contig."""
        if not isinstance(self.contig_names, str):
            return self.contig_names.get(name, name)
        bare = {"chrM": "MT"}.get(name, name.removeprefix("chr"))
        if self.contig_names == "drop_chr":
            return bare
        if self.contig_names == "add_chr":
            return "chrM" if bare == "MT" else f"chr{bare}"
        return name


class Nearby:
    """Fetches short stretches of a genome, of which the next is mostly close to the last.

    Args:
        genome: the reference.
    """

    def __init__(self, genome: Genome) -> None:
        self.genome = genome
        self._contig, self._start, self._bases = "", 0, b""
        self._synonyms = Synonyms(genome.contigs)
        self._renamed: dict[str, str] = {}

    def known(self, name: str) -> str:
        """The FASTA's name of a contig that goes by another; a warning says so, the first time.

        Raises:
            ValueError: it has none; suggests the nearest name.
        """
        if name in self.genome.contigs:
            return name
        if name not in self._renamed:
            contigs, remark = self._synonyms.meant(name)
            if len(contigs) != 1:
                why = self._synonyms.refusal(name)
                raise ValueError(f"{self.genome.path} has no contig {name!r}; {why}")
            if not self._renamed:
                line = spoken(self.genome.path.name, name, contigs[0], remark)
                warnings.warn(line, stacklevel=2)
            self._renamed[name] = contigs[0]
        return self._renamed[name]

    def fetch(self, contig: str, start: int, end: int) -> bytes:
        """``Genome.fetch`` of a known contig's bases [start, end), within it."""
        first = start - self._start
        if contig != self._contig or first < 0 or end - self._start > len(self._bases):
            last = min(max(end, start + _NEARBY), self.genome.contigs[contig])
            self._bases = self.genome.fetch(contig, start, last)
            self._contig, self._start, first = contig, start, 0
        return self._bases[first : first + end - start]


class Problem(NamedTuple):
    """Why a record or an allele cannot be used.

    Attributes:
        message: for an error, without the record's place.
        policy: what the user wants done.
        reason: for the count of what was left out.
        named: the lines are to be named, too; not of what sound files are full of.
    """

    message: str
    policy: Policy
    reason: str
    named: bool = True


def format_problem(message: str, checks: VariantChecks) -> Problem:
    """A line that is no record, for what ``message`` says."""
    return Problem(
        f"{message}. Leave such records out with checks.malformed=skip",
        checks.malformed,
        "that break the format",
    )


def site_problem(
    record: Record, contig: str, nearby: Nearby, checks: VariantChecks
) -> Problem | None:
    """What is wrong with a record's place or its REF.

    Args:
        record: from ``read_records``.
        contig: its contig, as the FASTA names it or by another name (see ``Nearby.known``).
        nearby: reads the reference.
        checks: the policies.
    """
    genome = nearby.genome
    if not _BASES.fullmatch(record.ref):
        if _CODES.fullmatch(record.ref):
            return Problem(
                f"REF {record.ref[:40]!r} {_LETTERS}, or leave such records out with "
                "checks.mismatch=skip",
                checks.mismatch,
                "whose REF is an IUPAC code",
            )
        return format_problem(f"REF {record.ref[:40]!r} {_LETTERS}", checks)
    try:
        contig = nearby.known(contig)
    except ValueError as error:
        return Problem(
            f"{error}; set checks.contig_names (add_chr, drop_chr or a table), or leave such "
            "records out with checks.unknown_contig=skip",
            checks.unknown_contig,
            "on contigs that the FASTA lacks",
        )
    size = genome.contigs[contig]
    end = record.start + len(record.ref)
    remedy = (
        "is this the genome (build) that the VCF was made with? Leave such records out with "
        "checks.mismatch=skip"
    )
    if record.start < 0 or end > size:
        return Problem(
            f"POS {record.start + 1} (REF of {len(record.ref):,}) lies outside {contig}, which "
            f"has {size:,} bases in {genome.path}, counted from 1; {remedy}",
            checks.mismatch,
            "outside their contig",
        )
    bases = nearby.fetch(contig, record.start, end).upper()
    ref = record.ref.encode()
    if ref != bases and ref != bases.translate(_REDUCED):
        return Problem(
            f"{contig}:{record.start + 1}: REF is {record.ref[:40]}, but {genome.path} has "
            f"{bases[:40].decode()}; {remedy}",
            checks.mismatch,
            "whose REF differs from the FASTA",
        )
    return None


def allele_problem(
    record: Record, alt: str, checks: VariantChecks, longest: int | None
) -> Problem | None:
    """Why an ALT is no sequence of its own to read; ``.`` stands for no ALT."""
    size = max(len(record.ref), len(alt))
    if alt == ".":
        reason = "without ALT"
    elif alt == "*":
        reason = "spanning deletions (*)"
    elif alt.startswith("<"):
        reason = "symbolic"
    elif "[" in alt or "]" in alt or alt.startswith(".") or alt.endswith("."):
        reason = "breakends"
    elif not _BASES.fullmatch(alt):
        return format_problem(f"ALT {alt[:40]!r} {_LETTERS}", checks)
    elif alt in _MISSING and not record.ref.startswith("N"):
        return format_problem(
            f"ALT {alt!r} is how programs write a missing value, which a VCF writes as '.'", checks
        )
    elif alt == record.ref:
        reason = "with ALT equal to REF"
    elif longest is not None and size > longest:
        reason = f"longer than {longest:,} bases, half the window"
    else:
        return None
    return Problem(
        f"ALT {alt[:40]!r} of {record.contig}:{record.start + 1}: alleles {reason} cannot be "
        "read; leave such alleles out with checks.unsupported=skip",
        checks.unsupported,
        reason,
        named=False,
    )
