"""Which contig of a FASTA another file means by a name that is spelt otherwise there.

Sequences of common assemblies (``contigs.tsv``) are told apart by their lengths: where a contig is
as long as one of them, it goes by the names of that one alone. So a name of another assembly, or
UCSC's old human chrM for the MT of others, is never taken for it.
"""

import re
from collections import Counter
from collections.abc import Mapping
from functools import cache, cached_property
from importlib.resources import files
from typing import NamedTuple

from dnamamba.data.genome.names import nearest_name

__all__ = ["Meant", "Synonyms", "spoken"]

_ACCESSION = re.compile(r"[A-Z]{1,2}_?[0-9]{5,}\.[0-9]+")
# What chr is written before or left out: numbers, sex chromosomes, Roman numbers, arms of a fly.
_BARE = re.compile(r"[1-9][0-9]?|[WXYZ]|[IVX]{1,5}|[23][LR]")
_PREFIXES = ("", "chr", "Chr")
_ORGANELLES = (
    frozenset({"M", "MT", "Mt", "MtDNA", "Mito", "chrM", "chrMT", "ChrM"}),
    frozenset({"Pt", "chrPt", "chrC", "ChrC"}),
)

_OTHER = "another sequence; use files of one assembly"


class _Sequence(NamedTuple):
    """A sequence of a common assembly: its length in bases, and the names that are used for it."""

    assembly: str
    length: int
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.assembly}'s {self.names[-1]} ({self.length:,} bases)"


class Meant(NamedTuple):
    """What a name means that the FASTA does not have.

    Attributes:
        contigs: the FASTA's names for it; none, one, or several that it may be.
        remark: for the line that says so; or why there is none, with a remedy. Empty mostly.
    """

    contigs: list[str]
    remark: str = ""


class Synonyms:
    """Other names of the contigs of one FASTA.

    Args:
        contigs: contig -> length in bases.
    """

    def __init__(self, contigs: Mapping[str, int]) -> None:
        self._contigs = contigs

    def meant(self, name: str) -> Meant:
        """What a name means that is none of the FASTA's."""
        fitting: dict[str, str] = {}
        refused = ""
        for other in sorted(_alike(name)):
            if other in self._contigs:
                fits, remark = self._fits(name, other)
                if fits:
                    fitting[other] = remark
                else:
                    refused = refused or remark
        remarks = [*fitting.values()] if fitting else [refused]
        return Meant([*fitting], remarks[0] if len(remarks) == 1 else "")

    def refusal(self, name: str) -> str:
        """What to tell a user whose name means no contig, or more than one."""
        contigs, remark = self.meant(name)
        if len(contigs) > 1:
            return f"it may be {' or '.join(map(repr, contigs))}; write which"
        return remark or nearest_name(name, self._contigs)

    def _fits(self, name: str, contig: str) -> tuple[bool, str]:
        """Whether a contig may go by a name of the same chromosome, and what is to be said."""
        length = self._contigs[contig]
        own = self._recognised.get(contig, [])
        if own:
            if any(name in s.names for s in own) or _bare(name) == _bare(contig) != "":
                return True, ""
            claimed = next((s for s in _sequences().get(name, []) if contig in s.names), None)
            what = f"it is {claimed}, and " if claimed and _ACCESSION.fullmatch(name) else ""
            return False, f"{what}{contig!r} is {own[0]}, {_OTHER}"
        if not _ACCESSION.fullmatch(name):
            return True, ""
        sequence = next(s for s in _sequences()[name] if contig in s.names)
        if length > sequence.length:
            return False, f"it is {sequence}, and {contig!r} has {length:,}, {_OTHER}"
        return True, f"{contig!r} has {length:,} bases, and {name} {sequence.length:,}"

    @cached_property
    def _recognised(self) -> dict[str, list[_Sequence]]:
        """Contig -> the sequences that it is by name and length.

        Of several (a mitochondrion) it is those of the assembly that most contigs are of.
        """
        matches: dict[str, list[_Sequence]] = {}
        for name, sequences in _sequences().items():
            if same := [s for s in sequences if s.length == self._contigs.get(name)]:
                matches[name] = same
        votes = Counter(s.assembly for same in matches.values() for s in same)
        for name, same in matches.items():
            most = max(votes[s.assembly] for s in same)
            matches[name] = [s for s in same if votes[s.assembly] == most]
        return matches


def spoken(genome: str, name: str, contig: str, remark: str = "") -> str:
    """The line that says that contigs go by other names: the first one stands for all."""
    line = f"{genome} spells contigs otherwise: {name!r} is read as {contig!r}, others likewise"
    return f"{line}; {remark}" if remark else line


def _alike(name: str) -> set[str]:
    """Other names that are used for a chromosome of this name, in any assembly."""
    names = {other for sequence in _sequences().get(name, []) for other in sequence.names}
    if bare := _bare(name):
        names |= {prefix + bare for prefix in _PREFIXES}
    for organelle in _ORGANELLES:
        names |= organelle if name in organelle else frozenset()
    return names - {name}


def _bare(name: str) -> str:
    """A name without chr, where it may be written with it and without; else nothing."""
    bare = re.sub("^chr", "", name, flags=re.IGNORECASE)
    return bare if _BARE.fullmatch(bare) else ""


@cache
def _sequences() -> dict[str, list[_Sequence]]:
    """Name -> the sequences that are called so."""
    sequences: dict[str, list[_Sequence]] = {}
    text = files("dnamamba.data.genome").joinpath("contigs.tsv").read_text("utf-8")
    for line in text.splitlines():
        if not line.startswith("#"):
            assembly, length, names = line.split("\t")
            sequence = _Sequence(assembly, int(length), tuple(names.split(",")))
            for name in sequence.names:
                sequences.setdefault(name, []).append(sequence)
    return sequences
