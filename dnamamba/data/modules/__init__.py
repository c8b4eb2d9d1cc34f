"""The data modules: what the training room reads from."""

from dnamamba.data.modules.genome import GenomeDataModule

__all__ = ["GenomeDataModule"]
