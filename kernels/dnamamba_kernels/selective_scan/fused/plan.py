"""How a scan is cut: into spans, chunks, segments, blocks of channels. Plain arithmetic."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import ceil

__all__ = ["Plan", "folds", "plan", "segments"]

# Schedulers of a large card: 132 multiprocessors with 4 each.
SCHEDULERS = 528
# Measured clocks of a scheduler for a position of each of its w warps: of one sweep, bound by a
# warp's own pace, ALONE[0] + w ALONE[1] for one and two; of summary and output, which fill the
# card, w PASSES.
ALONE, PASSES = (370, 60), 336
# Positions unrolled: as many rows are read ahead, and as many states wait in registers.
STEPS = 4
# Pieces whose summaries a carry has in flight: each wait for memory is shared by so many.
LINKS = 64
# Bounds of a chunk: shorter ones cost memory traffic, longer ones parallelism in the backward.
MIN_CHUNK, MAX_CHUNK = 64, 256
# A longer span leaves more of the card idle at the end than its carry costs.
MAX_SPAN = 512
# Bytes of scratch that the backward may hold at a time.
WORKSPACE = 512 * 2**20
# Of the backward's kernels: warps that fit on a scheduler, clocks of each for a position.
PREPARE, ADJOINT = (3, 260), (2, 490)


@dataclass(frozen=True)
class Plan:
    """The cuts of one scan.

    Attributes:
        states: N padded to a power of two, the tile's height.
        block: channels of a program, ``warps`` warps; all but the adjoint's.
        back_block: channels of an adjoint program, ``back_warps`` warps.
        span: positions of a forward program; the whole length where channels fill the card, which
            saves the summaries and with them half of the exponentials.
        chunk: positions between the states kept for the backward; a power of two, divides span.
        n_spans, n_chunks: how many of each cover the length.
        spread: whether the forward takes some exponentials off the special-function unit, which
            bounds its two sweeps; a single one is bound by a warp's own pace.
    """

    states: int
    block: int
    warps: int
    back_block: int
    back_warps: int
    span: int
    chunk: int
    n_spans: int
    n_chunks: int
    spread: bool


def plan(batch: int, length: int, channels: int, n_states: int) -> Plan:
    states = 1 << (n_states - 1).bit_length()
    width = min(32, max(8, 2048 // states))  # channels of a warp
    warps = min(4, 1 << (ceil(channels / width) - 1).bit_length())
    block = width * warps
    back_block = min(32, max(8, 512 // states))
    along = max(1, batch) * ceil(channels / width)  # warps side by side at one position

    # About 12 warps per scheduler: the last ones to start leave little of the card idle.
    wanted = 1 << (ceil(length * along / (12 * SCHEDULERS)) - 1).bit_length()
    chunk = min(max(MIN_CHUNK, wanted), MAX_CHUNK)
    span = min(max(chunk, wanted), max(chunk, MAX_SPAN))
    alone = ALONE[0] + ALONE[1] * ceil(along / SCHEDULERS)
    if alone <= PASSES * along / SCHEDULERS or length <= 2 * chunk:
        span = ceil(length / chunk) * chunk
    return Plan(
        states=states,
        block=block,
        warps=warps,
        back_block=back_block,
        back_warps=max(1, states * back_block // 512),
        span=span,
        chunk=chunk,
        n_spans=ceil(length / span),
        n_chunks=ceil(length / chunk),
        spread=states >= 16 and span < length,
    )


def folds(p: Plan, channels: int) -> bool:
    """Whether the adjoint's tile lies over the lanes of a GPU as ``sums`` needs it."""
    return p.states >= 8 and p.back_block == 32 and p.back_warps == 1 and channels % 32 == 0


def segments(p: Plan, batch: int, channels: int) -> Iterator[tuple[slice, list[tuple[int, int]]]]:
    """What the backward takes at a time, so that its scratch stays within ``WORKSPACE``.

    Yields:
        Rows of the batch, and from right to left their pieces (first chunk, number of chunks).
    """
    rows, count = _piece(p, batch, channels, WORKSPACE)
    for start in range(0, batch, rows):
        pieces = []
        for last in range(p.n_chunks, 0, -count):
            first = max(0, last - count)
            pieces.append((first, last - first))
        yield slice(start, min(start + rows, batch)), pieces


@cache
def _piece(p: Plan, batch: int, channels: int, workspace: int) -> tuple[int, int]:
    """Rows and chunks of a piece: of those that fit, what takes the fewest waves of programs."""
    n_blocks = ceil(channels / p.block), ceil(channels / p.back_block)
    # The borders' states and the blocks' shares of dB and dC, all fp32.
    position = 4 * p.states * (channels / STEPS + 2 * n_blocks[1])
    room = max(1, int(workspace / (position * p.chunk)))  # chunks
    fitting = min(batch, room // p.n_chunks)  # rows, whole
    if fitting:
        pieces = [(rows, p.n_chunks) for rows in range(fitting, 0, -1)]
    else:
        pieces = [(1, count) for count in range(room, 0, -1)]

    def clocks(chunks: int) -> int:
        total = 0
        for blocks, warps, (fit, each) in zip(
            n_blocks, (p.warps, p.back_warps), (PREPARE, ADJOINT), strict=True
        ):
            waves = ceil(chunks * blocks / (fit * SCHEDULERS // warps))
            total += waves * fit * each
        return total

    def cost(piece: tuple[int, int]) -> int:
        rows, count = piece
        whole, rest = divmod(batch, rows) if fitting else divmod(p.n_chunks, count)
        last = rest * p.n_chunks if fitting else rest
        repeated = 1 if fitting else batch
        return repeated * (whole * clocks(rows * count) + (clocks(last) if last else 0))

    return min(pieces, key=cost)
