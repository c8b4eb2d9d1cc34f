"""What a block keeps and works on in a training step, in bytes. Plain arithmetic.

It follows ``fused.forward`` and ``fused.backward`` tensor by tensor: who changes what these keep
changes this, and a test holds it to peaks that the allocator has counted. A piece of a sequence
takes as much as a whole of its length.
"""

from math import ceil
from typing import NamedTuple

from dnamamba_kernels.block.fused.widths import padded
from dnamamba_kernels.selective_scan.fused.plan import STEPS, Plan, plan, segments

__all__ = ["BlockMemory", "BlockShape", "fused_block_memory", "memory_by_ops"]

FP32 = 4
# Positions from one state that is kept to the next, off the GPU.
SLAB = 16


class BlockShape(NamedTuple):
    """The sizes of a block and of what it reads.

    Attributes:
        rows: B.
        length: L.
        width: M, that of the stream.
        channels: D.
        states: N.
        rank: R, that of Δ's projection.
        directions: 1 or 2.
        itemsize: bytes of a number in the dtype in which projections run.
    """

    rows: int
    length: int
    width: int
    channels: int
    states: int
    rank: int
    directions: int
    itemsize: int

    def of(self, columns: int, itemsize: int | None = None) -> int:
        """Bytes of a tensor (B, L, columns)."""
        return self.rows * self.length * columns * (itemsize or self.itemsize)

    @property
    def selected(self) -> int:
        """Bytes of a direction's row of s, B and C."""
        return self.of(self.rank + 2 * self.states)


class BlockMemory(NamedTuple):
    """Bytes that one block holds.

    Attributes:
        kept: from its forward to its backward.
        backward: beside that, at the peak of its backward; incoming gradients are in it.
        forward: at the peak of a forward that keeps nothing; its inputs are in it.
        scanned: of ``kept``, what its scans give; 0 where that is not told apart.
    """

    kept: int
    backward: int
    forward: int
    scanned: int = 0


def fused_block_memory(shape: BlockShape, recompute: bool) -> BlockMemory:
    """Of the one op that stands for a block on a GPU; ``recompute`` as ``mamba_block`` has it.

    The peak of the backward is during the last of its scans.
    """
    wide, channels = padded(shape.width, shape.channels)
    p = plan(shape.rows, shape.length, channels, shape.states)
    k, inner, selected = shape.directions, shape.of(channels), shape.selected
    h, branch, stream = shape.of(wide), shape.of(shape.width), shape.of(shape.width, FP32)
    states = FP32 * shape.rows * p.n_chunks * p.states * channels
    inside = k * (inner + selected)

    kept = stream + k * states + (0 if recompute else h + inside)
    incoming = branch + stream + (0 if wide == shape.width else h)
    # z, dz beside di, dy, Δ; and of each direction the gradients of u and of the row. Recomputed,
    # u and the row are working memory too, and the gradient of u takes u's place.
    working = 5 * inner + inside + (k * selected if recompute else 0)
    backward = incoming + working + _scratch(shape, p, channels)
    # Both streams, the branch before, h, i and z, Δ, y.
    forward = 2 * stream + branch + h + 4 * inner + inside + _packed(shape, p)
    return BlockMemory(kept, backward, forward)


def memory_by_ops(shape: BlockShape, on_gpu: bool) -> BlockMemory:
    """Of the three ops and the projections between them; a coarse bound from above.

    Args:
        shape: the sizes.
        on_gpu: the scan runs on Triton.
    """
    k, inner, selected = shape.directions, shape.of(shape.channels), shape.selected
    branch, stream = shape.of(shape.width), shape.of(shape.width, FP32)
    p = plan(shape.rows, shape.length, shape.channels, shape.states)
    each = p.chunk if on_gpu else SLAB
    n_states = shape.rows * ceil(shape.length / each) * shape.channels
    scanned = k * (inner + FP32 * n_states * (p.states if on_gpu else shape.states))
    scratch = _scratch(shape, p, shape.channels) if on_gpu else 0

    # The stream, h, i and z side by side; of each direction u, the row, Δ, y and the states; y.
    kept = stream + branch + 2 * inner + k * (2 * inner + selected) + scanned
    kept += inner if k > 1 else 0
    # Incoming gradients, dy, those of u, Δ and z, of i and z side by side, and the row's.
    working = 6 * inner
    if not on_gpu and shape.itemsize < FP32:
        working = 11 * shape.of(shape.channels, FP32)  # computed in fp32, of inputs in fp32
    backward = branch + stream + working + selected + scratch
    forward = 2 * stream + 2 * branch + 5 * inner + k * selected
    return BlockMemory(kept, backward, forward, scanned)


def _scratch(shape: BlockShape, p: Plan, channels: int) -> int:
    """What the backward of a scan on Triton makes beside gradients."""
    rows, pieces = next(segments(p, shape.rows, channels))
    n_rows, chunks = rows.stop - rows.start, pieces[0][1]
    state = FP32 * p.states * channels  # of one position, all channels
    borders = n_rows * chunks * (p.chunk // STEPS) * state
    blocks = ceil(channels / p.back_block)
    # A carry's inputs make way for the shares of dB and dC.
    of_rows = blocks * n_rows * chunks * p.chunk * p.states * 2 * FP32
    carried = n_rows * (chunks + 1) * state
    pieces_of_sums = shape.rows * p.n_chunks * (state + 2 * FP32 * channels)
    packed = n_rows * shape.length * 2 * p.states * FP32
    return borders + max(of_rows, 2 * n_rows * chunks * state) + carried + pieces_of_sums + packed


def _packed(shape: BlockShape, p: Plan) -> int:
    """B and C side by side as the kernels read them."""
    return shape.of(2 * p.states, FP32)
