"""The files that a set of data is read from, for whoever says what a model was made of."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from dnamamba.data.genome.fasta import Genome
from dnamamba.data.labelled.files import Files, listed_files
from dnamamba.data.windows.settings import GenomeSplit, WindowConfig

__all__ = ["SourceFile", "of_genomes", "of_parts", "of_regions"]


class SourceFile(NamedTuple):
    """A file that was read.

    Attributes:
        part: what for, as ``genome`` or ``train``.
        path: where it lies.
        holds: what is in it, if it is known without reading it again.
    """

    part: str
    path: Path
    holds: str = ""


def of_genomes(genomes: Iterable[tuple[str, str, Genome]]) -> Iterator[SourceFile]:
    """FASTA files.

    Args:
        genomes: what each is read for, how the user named it, and it.
    """
    for part, named, genome in genomes:
        count, bases = len(genome.contigs), sum(genome.contigs.values())
        holds = f"{bases:,} bases in {count:,} contig{'s' if count > 1 else ''}"
        # A relative path says more than the file's name, and nothing of the machine.
        shown = Path(named)
        yield SourceFile(part, shown if shown.is_file() else genome.path, holds)


def of_regions(windows: WindowConfig, split: GenomeSplit) -> Iterator[SourceFile]:
    """BED files that say which windows there are, and which are held out."""
    named: Mapping[str, str | None] = {
        "regions": windows.include,
        "excluded regions": windows.exclude,
        **{f"{part} regions": getattr(split, part).bed for part in ("train", "validation", "test")},
    }
    for part, bed in named.items():
        if bed is not None:
            yield SourceFile(part, Path(bed))


def of_parts(files: Mapping[str, Files | None]) -> Iterator[SourceFile]:
    """Files of each part, as a user lists them."""
    for part, listed in files.items():
        if listed is not None:
            for path, label in listed_files(listed):
                yield SourceFile(part if label is None else f"{part}, {label}", path)
