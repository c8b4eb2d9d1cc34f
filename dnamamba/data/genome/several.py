"""Several genomes under distinct names."""

from collections.abc import Sequence
from pathlib import Path

from dnamamba.arguments import each_once, path_texts
from dnamamba.data.genome.assemblies import located
from dnamamba.data.genome.fasta import Genome

__all__ = ["open_genomes"]


def open_genomes(
    paths: str | Path | Sequence[str | Path], cache_dir: str | Path | None = None
) -> dict[str, Genome]:
    """Open FASTA files, each named by its file; by folder and file where names would repeat.

    Raises:
        ValueError: no file, one given twice, or one that ``Genome`` refuses.
    """
    texts = path_texts("data.genomes", paths)
    paths = [texts] if isinstance(texts, str) else texts
    if not paths:
        raise ValueError("no genome given; name at least one FASTA file in data.genomes")
    paths = [located(path) for path in paths]
    each_once("data.genomes", paths)
    genomes = [Genome(path, cache_dir) for path in paths]
    names = [genome.name for genome in genomes]
    if len(set(names)) < len(names):
        names = [f"{genome.path.parent.name}/{genome.name}" for genome in genomes]
    if len(set(names)) < len(names):
        names = [str(genome.path) for genome in genomes]
    return dict(zip(names, genomes, strict=True))
