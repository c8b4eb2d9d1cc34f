"""The runs of the experiments on context, and what all of them are told."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from places import CONFIGS

__all__ = [
    "BATCHES",
    "CONFIGS",
    "GROUPS",
    "LANE_GROUPS",
    "TRAINED",
    "Context",
    "KmersJob",
    "LabelsJob",
    "LanesJob",
]

# Group of species -> their names, in the folder of data and as labels.
GROUPS = {
    "bacteria": ("escherichia", "salmonella", "staphylococcus"),
    "yeasts": ("saccharomyces", "schizosaccharomyces"),
    "vertebrates": (
        *("hg38", "rheMac3", "mm10", "rn6", "oryCun2", "canFam3"),
        *("bosTau8", "loxAfr3", "echTel2", "dasNov3", "monDom5", "galGal4"),
    ),
}
LANE_GROUPS = ("vertebrates", "bacteria")  # those whose contigs are long enough for lanes
TRAINED = ("windows", "lanes")  # values of ``data.rows`` that are held against each other
# Bases in a window -> windows in a step: the longer, the fewer steps, but never few.
BATCHES = {1_024: 256, 16_384: 32, 131_072: 8, 1_048_576: 2}
RECOMPUTED = 131_072  # bases from which on blocks are recomputed


@dataclass(frozen=True)
class LanesJob:
    """A pretraining on a group of genomes, and how far back its model looks.

    Attributes:
        group: of ``LANE_GROUPS``.
        rows: of ``TRAINED``.
        seed: of weights and order.
    """

    group: str
    rows: str
    seed: int = 1

    @property
    def name(self) -> str:
        return f"lanes.{self.group}.{self.rows}.seed{self.seed}"


@dataclass(frozen=True)
class LabelsJob:
    """A fine-tuning for the species of windows of one length."""

    length: int
    seed: int = 1

    @property
    def name(self) -> str:
        return f"labels.{self.length}.seed{self.seed}"

    @property
    def batch(self) -> int:
        """Windows in a step."""
        return BATCHES.get(self.length) or max(1, 2**18 // self.length)

    @property
    def recompute(self) -> str:
        return "everything" if self.length >= RECOMPUTED else "nothing"


@dataclass(frozen=True)
class KmersJob:
    """The baseline for windows of one length."""

    length: int

    @property
    def name(self) -> str:
        return f"labels_kmers.{self.length}"


@dataclass(frozen=True)
class Context:
    """The settings of all runs.

    Attributes:
        data: the data folder; configurations name files relative to it.
        output: rows and runs go there.
        bases: that a training reads.
        reach: where the last bin of the distances begins, about.
        set: settings of every run, by dotted keys.
    """

    data: Path
    output: Path
    bases: float
    reach: int = 1 << 20
    set: dict[str, Any] = field(default_factory=dict)

    def steps(self, bases_per_step: int) -> int:
        return max(1, round(self.bases / bases_per_step))
