"""How a sequence is read unless the caller says otherwise.

These stand apart from what reads it: the parser of a command shows them without PyTorch.
"""

from typing import Literal

__all__ = [
    "BATCH_SIZE",
    "CHUNK_LENGTH",
    "CONTEXT",
    "FLANK",
    "MASK_EVERY",
    "METHOD",
    "OVERLAP",
    "POINTS",
    "SITES",
    "STEPS",
    "Baseline",
    "Method",
    "Pooling",
]

Pooling = Literal["mean", "max", "last"]

BATCH_SIZE = 4096  # most sequences side by side
SITES = 1024  # most variants, each of which is read several times
CHUNK_LENGTH = 1 << 19  # most bases of one sequence at a time: what keeps a GPU busy
OVERLAP = 8192  # bases that a window reads on either side of those it answers for
MASK_EVERY = 16  # of so many bases one is masked at a time

# Of a variant, on either strand: bases read before an allele, bases scored behind it.
CONTEXT = 4096
FLANK = 256

# Of an attribution.
Method = Literal["integrated", "gradient", "substitution"]
Baseline = Literal["uniform", "N"]
METHOD: Method = "integrated"
STEPS = 64  # points on the way from the baseline
POINTS = 1 << 16  # bases side by side, of all points together
