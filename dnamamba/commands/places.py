"""Regions of a genome that a command makes files of, and the names of these files."""

import warnings
from collections.abc import Sequence
from pathlib import Path

from dnamamba.arguments import path_text
from dnamamba.commands.output import check_output
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.windows.bed import parse_region, read_bed
from dnamamba.data.windows.regions import Contigs, union

__all__ = ["PICTURES", "Place", "named_outputs", "named_places"]

Place = tuple[str, int, int]
"""Contig, start and end, 0-based and half-open."""
PICTURES = 100
"""Regions of a command that are drawn at most: each takes a second, and a file."""


def named_places(genome: Genome, region: str | None, bed: str | None) -> list[Place]:
    """One region, or those of a BED in the genome's order, those that overlap joined.

    Raises:
        ValueError: neither or both are named, or what is not there.
    """
    if (region is None) == (bed is None):
        raise ValueError("name either a region (contig:start-end) or a BED file with --bed")
    contigs = Contigs.of({genome.name: genome.contigs})
    if region is not None:
        regions = parse_region(region, contigs)
    else:
        assert bed is not None
        regions = union(read_bed(bed, contigs).regions)
    if not len(regions.start):
        raise ValueError(f"{bed} holds no region")
    columns = (regions.contig.tolist(), regions.start.tolist(), regions.end.tolist())
    return [(contigs.names[c], start, end) for c, start, end in zip(*columns, strict=True)]


def named_outputs(
    prefix: str, endings: Sequence[str], regions: int, overwrite: bool
) -> tuple[list[Path], list[Path]]:
    """The files to write: PREFIX.ENDING of each, and PREFIX.png, or of several PREFIX.1.png and on.

    Of more than ``PICTURES`` regions the first ones are drawn; a warning says so.

    Raises:
        ValueError: no name, or what ``check_output`` refuses.
    """
    if prefix == "" or path_text("output", prefix).endswith("/"):
        raise ValueError(
            f"output must be how the names of the files begin, as {prefix}effects; got {prefix!r}"
        )
    if regions > PICTURES:
        warnings.warn(
            f"the first {PICTURES} of {regions:,} regions are drawn, the other files are of all; "
            "for a picture of another, name it by --region",
            stacklevel=2,
        )
    numbers = range(1, min(regions, PICTURES) + 1)
    drawn = ["png"] if regions == 1 else [f"{n}.png" for n in numbers]
    paths = [check_output(f"{prefix}.{end}", (end,), overwrite) for end in (*endings, *drawn)]
    return paths[: len(endings)], paths[len(endings) :]
