"""Where sequence goes on without a break."""

from collections.abc import Mapping

import numpy as np

from dnamamba.data.genome.fasta import Genome
from dnamamba.data.windows.regions import Contigs, Regions, difference

__all__ = ["stretches"]

# From so many on, a run of N stands for bases that nobody knows the number of: NCBI's assemblies
# call it a gap.
_GAP = 10


def stretches(regions: Regions, genomes: Mapping[str, Genome], contigs: Contigs) -> Regions:
    """The regions without runs of ten or more N or IUPAC codes; regions that touch are joined.

    Args:
        regions: sorted, free of overlaps.
        genomes: name -> genome, in the order of ``contigs.genomes``.
        contigs: what the regions' contig numbers mean.
    """
    whole = difference(regions, _gaps(genomes, contigs))
    if not len(whole.contig):
        return whole
    touches = (whole.start[1:] == whole.end[:-1]) & (whole.contig[1:] == whole.contig[:-1])
    first = np.concatenate([[True], ~touches])
    last = np.concatenate([~touches, [True]])
    return Regions(whole.contig[first], whole.start[first], whole.end[last])


def _gaps(genomes: Mapping[str, Genome], contigs: Contigs) -> Regions:
    """Of all genomes, sorted."""
    ends = np.cumsum(contigs.length)
    runs = [np.empty((0, 2), np.int64)]
    for number, genome in enumerate(genomes.values()):
        own = np.flatnonzero(contigs.genome == number)
        runs.append(genome.ambiguous_runs + (ends[own[0]] - contigs.length[own[0]]))
    start, end = np.concatenate(runs).T
    # A run may be told in pieces, and may go on across the end of a contig.
    joined = np.concatenate([[True], start[1:] > end[:-1]])[: len(start)]
    start, end = start[joined], end[np.roll(joined, -1)]
    contig = np.searchsorted(ends, start, side="right")
    count = np.searchsorted(ends, end, side="left") - contig + 1
    run = np.repeat(np.arange(len(start)), count)
    contig = contig[run] + np.arange(len(run)) - np.repeat(np.cumsum(count) - count, count)
    first = ends[contig] - contigs.length[contig]
    low, high = np.maximum(start[run], first), np.minimum(end[run], ends[contig])
    return Regions(contig, low - first, high - first).take(high - low >= _GAP)
