"""From FASTA on the disk to batches of token ids. Lightning is known in ``modules`` only."""

from dnamamba.data.genome.fasta import Genome
from dnamamba.data.windows.settings import GenomeSplit, Part, WindowConfig

__all__ = ["Genome", "GenomeSplit", "Part", "WindowConfig"]
