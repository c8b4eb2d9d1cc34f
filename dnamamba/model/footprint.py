"""How much memory a backbone takes in a training step, in bytes, said beforehand.

A mixer says what its block holds (``Mixer.block_memory``); here blocks become a stack.
"""

from collections.abc import Iterable
from typing import NamedTuple

from dnamamba.model.recompute import Recompute
from dnamamba_kernels import BlockMemory

__all__ = ["Footprint", "Reading", "of_blocks", "recomputed"]


class Reading(NamedTuple):
    """A batch as a device reads it.

    Attributes:
        rows: B.
        length: L, positions of a row.
        itemsize: bytes of a number in the dtype in which projections run.
        on_gpu: a CUDA device reads it.
        recompute: what blocks compute again.
    """

    rows: int
    length: int
    itemsize: int
    on_gpu: bool
    recompute: Recompute = "nothing"

    @property
    def positions(self) -> int:
        """B L."""
        return self.rows * self.length


class Footprint(NamedTuple):
    """Bytes that a backbone holds, weights apart.

    Attributes:
        kept: by all blocks, when the forward has come to its end.
        peak: at most while blocks run, forward or backward, ``kept`` included.
        hidden: beside ``kept`` while a head reads: the final norm's inputs and outputs.
    """

    kept: int
    peak: int
    hidden: int


def of_blocks(blocks: Iterable[tuple[BlockMemory, bool]], hidden: int) -> Footprint:
    """Of blocks one after the other, and whether each passes a gradient.

    In a block's backward those above it have let go of what they kept.
    """
    kept = peak = 0
    for block, has_gradient in blocks:
        kept += block.kept if has_gradient else 0
        peak = max(peak, kept + (block.backward if has_gradient else block.forward))
    return Footprint(kept, peak, hidden)


def recomputed(block: BlockMemory, what: Recompute, stream: int, branch: int) -> BlockMemory:
    """What a block of several operators holds where PyTorch's checkpointing recomputes it.

    Args:
        block: what it holds without.
        what: what is computed again.
        stream: bytes of the residual stream.
        branch: bytes of what a block before has added to it.
    """
    if what == "nothing":
        return block
    kept = stream if what == "everything" else stream + branch + block.scanned
    return block._replace(kept=kept, backward=block.backward + block.kept)
