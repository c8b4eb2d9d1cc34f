"""A genome on the disk: indexed, checked, cached, and read by position."""

from dnamamba.data.genome.fasta import Genome

__all__ = ["Genome"]
