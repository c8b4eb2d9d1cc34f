"""The data modules: what the training room reads from."""

from dnamamba.data.modules.genome import GenomeDataModule
from dnamamba.data.modules.sequences import LabelledFiles, LabelledSequenceDataModule
from dnamamba.data.modules.species import SpeciesDataModule
from dnamamba.data.modules.variants import VariantDataModule, VariantFiles

__all__ = [
    "GenomeDataModule",
    "LabelledFiles",
    "LabelledSequenceDataModule",
    "SpeciesDataModule",
    "VariantDataModule",
    "VariantFiles",
]
