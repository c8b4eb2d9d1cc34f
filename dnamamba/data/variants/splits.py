"""Which variants are for training, validation and test: by position, with a guard between."""

import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnamamba.data.genome.fasta import Genome
from dnamamba.data.labelled.codec import strata_of
from dnamamba.data.labelled.labels import Labels
from dnamamba.data.labelled.splits import stratified_parts
from dnamamba.data.variants.checks import VariantChecks
from dnamamba.data.variants.labels import LabelledVariant, VariantFields, read_labelled_variants
from dnamamba.data.variants.record import Variant
from dnamamba.data.windows.bed import read_bed
from dnamamba.data.windows.regions import Contigs, Regions, covers, union, widened
from dnamamba.data.windows.settings import Part, check_fractions
from dnamamba.settings import typed

__all__ = ["VariantSplit", "divide_variants", "read_variant_splits"]

_TRAIN, _VALIDATION, _TEST, _GUARD = range(4)


@dataclass(frozen=True)
class VariantSplit:
    """How the training variants are divided where no file says so.

    Neighbours share bases and often a fate, so that variants are held out by stretches of the
    genome: whole contigs, the regions of a BED, or a fraction in blocks.

    Attributes:
        validation: what is held out to watch the run; a fraction is one of the variants.
        test: what is held out for the end.
        guard: training variants less than this many bases from a held-out one are left out, and
            counted; None stands for the length of a window, so that no base of a held-out window
            is trained on.
        block: bases in a block of a split by fraction. Classes are divided evenly as far as
            blocks allow.
        seed: of the blocks.

    Raises:
        ValueError: fractions that leave nothing to train on, or a value out of range.
    """

    validation: Part = Part()  # noqa: RUF009 (frozen)
    test: Part = Part()  # noqa: RUF009 (frozen)
    guard: int | None = None
    block: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("validation", "test"):
            object.__setattr__(self, name, typed(Part, getattr(self, name)))
        check_fractions(self.validation, self.test)
        if self.guard is not None and self.guard < 0:
            raise ValueError(f"split.guard must be 0 or more bases, got {self.guard}")
        if self.block < 1:
            raise ValueError(f"split.block must be at least 1 base, got {self.block}")


def read_variant_splits(
    vcfs: Mapping[str, str | Sequence[str] | None],
    split: VariantSplit,
    genome: Genome,
    fields: VariantFields,
    labels: Labels,
    checks: VariantChecks,
    length: int,
) -> tuple[dict[str, list[LabelledVariant]], int]:
    """Read what is given and cut the rest from the training variants.

    Args:
        vcfs: ``train``, and ``validation`` and ``test`` where there are files of them.
        split: how to divide.
        genome: the reference.
        fields: where the labels stand.
        labels: what they mean.
        checks: what to do with records that cannot be used.
        length: most bases in a window.

    Returns:
        The labelled variants of each part that has any, and how many the guard left out.

    Raises:
        ValueError: no training file, bad files or records, a part given twice, or no training
            variant left.
    """
    if not vcfs.get("train"):
        raise ValueError("there is nothing to train on; set data.files.train")
    for name in ("validation", "test"):
        if vcfs.get(name) and getattr(split, name):
            raise ValueError(
                f"split.{name} asks for a share of the training variants, but data.files.{name} "
                "is given; drop one of them"
            )
    longest = length - length // 2
    parts = {
        name: read_labelled_variants(files, genome, fields, labels, checks, longest)
        for name, files in vcfs.items()
        if files
    }
    train = parts.pop("train")
    variants, written, lines = (list(column) for column in zip(*train, strict=True))
    contigs = Contigs.of({genome.name: genome.contigs})
    strata = strata_of(labels, written, lines)
    divided = divide_variants(variants, strata, split, contigs, length)
    guard = len(divided.pop("guard"))
    cut = {name: [train[i] for i in numbers] for name, numbers in divided.items() if numbers}
    if "train" not in cut:
        raise ValueError("no training variant is left; check data.split (guard, block)")
    for name in ("validation", "test"):
        if getattr(split, name) and name not in cut:
            warnings.warn(
                f"{name} is empty: no variant falls to what split.{name} asks for; check its "
                "contigs or BED, or lower split.block",
                stacklevel=2,
            )
    _warn_of_neighbours(cut["train"], parts, contigs, length)
    return {**cut, **parts}, guard


def _warn_of_neighbours(
    train: Sequence[LabelledVariant],
    held_out: Mapping[str, Sequence[LabelledVariant]],
    contigs: Contigs,
    length: int,
) -> None:
    """Files are taken as they are; but what their windows share is said."""
    sites = _sites([row.variant for row in train], contigs)
    for name, part in held_out.items():
        others = _sites([row.variant for row in part], contigs)
        if near := int(_near(sites, others, length, contigs).sum()):
            warnings.warn(
                f"{near:,} training variants lie less than a window ({length:,} bases) from one of "
                f"data.files.{name}: bases that are trained on are tested on; remove them, or let "
                "data.split divide one file, which keeps a guard",
                stacklevel=3,
            )


def divide_variants(
    variants: Sequence[Variant],
    strata: Sequence[Hashable],
    split: VariantSplit,
    contigs: Contigs,
    guard: int,
) -> dict[str, list[int]]:
    """Numbers of the variants of each part.

    Args:
        variants: in any order.
        strata: one a variant, its class for example.
        split: how to divide.
        contigs: of the reference.
        guard: bases between a training variant and a held-out one, where ``split`` sets none.

    Returns:
        ``train``, ``validation``, ``test``, and ``guard``: those left out.

    Raises:
        ValueError: an unknown contig or a bad BED, or a variant that both parts claim.
    """
    sites = _sites(variants, contigs)
    part = np.full(len(variants), _TRAIN)
    for number, name in ((_VALIDATION, "validation"), (_TEST, "test")):
        held_out = _claimed(getattr(split, name), f"split.{name}", contigs, sites)
        if (both := np.flatnonzero(held_out & (part != _TRAIN))).size:
            raise ValueError(
                f"{variants[both[0]].name}: split.validation and split.test both claim this "
                "variant; their contigs or regions must not overlap"
            )
        part[held_out] = number
    fractions = {_VALIDATION: split.validation.fraction, _TEST: split.test.fraction}
    if any(fractions.values()):
        rest = np.flatnonzero(part == _TRAIN).tolist()
        blocks = [f"{sites.contig[i]}:{sites.start[i] // split.block}" for i in rest]
        shares = [1 - sum(fractions.values()), *fractions.values()]
        part[rest] = stratified_parts([strata[i] for i in rest], blocks, shares, split.seed)
    held_out, guard = part != _TRAIN, guard if split.guard is None else split.guard
    part[_near(sites, sites.take(held_out), guard, contigs) & ~held_out] = _GUARD
    names = ("train", "validation", "test", "guard")
    return {name: np.flatnonzero(part == i).tolist() for i, name in enumerate(names)}


def _claimed(part: Part, flag: str, contigs: Contigs, sites: Regions) -> NDArray[np.bool_]:
    """(n,) True for the variants in the part's contigs or regions."""
    if part.contigs:
        try:
            numbers = [contigs.number(name) for name in part.contigs]
        except ValueError as error:
            raise ValueError(f"{flag}.contigs: {error}") from error
        return np.isin(sites.contig, numbers)
    if part.bed is None:
        return np.zeros(len(sites.contig), dtype=np.bool_)
    return covers(union(read_bed(part.bed, contigs).regions), sites.contig, sites.start)


def _sites(variants: Sequence[Variant], contigs: Contigs) -> Regions:
    """The first base of each variant (n,), in their order."""
    contig = np.array([contigs.number(variant.contig) for variant in variants], dtype=np.int64)
    start = np.array([variant.start for variant in variants], dtype=np.int64)
    return Regions(contig, start, start + 1)


def _near(sites: Regions, others: Regions, guard: int, contigs: Contigs) -> NDArray[np.bool_]:
    """(n,) True for the sites less than ``guard`` bases from one of the others."""
    if guard < 1:
        return np.zeros(len(sites.contig), dtype=np.bool_)
    return covers(widened(others, guard - 1, contigs), sites.contig, sites.start)
