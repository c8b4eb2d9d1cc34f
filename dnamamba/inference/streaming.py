"""Sequences of any length through a backbone, in constant memory where it is causal.

Sequences of like length run side by side, in chunks, the state carried from chunk to chunk. A
row that ends leaves the batch, so that no state ever has to survive padding, and padding stands
only to the right of what a causal backbone looks at: results do not depend on the neighbours in a
batch, nor, beyond rounding, on where the chunks are cut. A backbone that reads both ways gets
whole sequences, and the length of each.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dnamamba.alphabet import PAD
from dnamamba.inference.batching import buckets
from dnamamba.inference.reading import Reading
from dnamamba.inference.sharing import Answer, divided
from dnamamba.inference.side_by_side import side_by_side
from dnamamba.inference.sources import Source, Sources, sources_of
from dnamamba.model.backbone import Backbone
from dnamamba.model.state import State

__all__ = ["Chunk", "batches", "each_batch", "exact", "on_device", "read_rows", "stream"]


Result = TypeVar("Result")


class Chunk(NamedTuple):
    """What a backbone makes of one stretch of a batch.

    Attributes:
        start: which base the first hidden state has read last; below 0 where that is a token before
            the first base.
        hidden: (rows, l, d_model) of the first rows of the batch, those that are not over yet.
        real: of each of those rows, how many of the l positions are not padding.
        state: the state after the chunk, of those rows, meaningless for one that has ended; None
            of a backbone that is not causal.
    """

    start: int
    hidden: Tensor
    real: list[int]
    state: State | None

    @property
    def skipped(self) -> int:
        """Positions at the chunk's beginning that read no base."""
        return max(0, -self.start)

    @property
    def bases(self) -> int:
        """Bases read in all rows together."""
        return int(np.maximum(np.array(self.real) - self.skipped, 0).sum())


def batches(
    backbone: Backbone, sources: Sequence[Source], reading: Reading, device: torch.device
) -> Iterator[list[int]]:
    """Numbers of the sources in batches for ``stream``, within the budget of ``reading``."""
    most = reading.agreed(backbone, device)
    row = reading.counted(most, device) if backbone.causal else None
    return buckets(sources, reading.rows(backbone, device), most, row)


def each_batch(
    work: Callable[[list[int]], Result],
    backbone: Backbone,
    sources: Sequence[Source],
    reading: Reading,
    device: torch.device,
) -> tuple[list[int], list[Result]]:
    """What ``work`` makes of each of the ``batches``, side by side.

    Divided among processes, a tensor comes on the CPU.

    Returns:
        The numbers of the sources in the order of the results' rows, and the results.
    """
    sources = sources_of(sources)
    numbers = list(batches(backbone, sources, reading, device))
    brief = int(sources.lengths.sum()) <= reading.budget(backbone, device)
    order = list(chain.from_iterable(numbers))
    if reading.share.size == 1:
        return order, side_by_side(work, numbers, device, brief)
    cost = partial(_bases, sources)
    answers = divided(partial(_on_host, work), numbers, cost, device, reading.share, brief)
    return order, [answer() for answer in answers]


def _on_host(work: Callable[[list[int]], Result], numbers: list[int]) -> Answer[Result]:
    result: Any = work(numbers)
    if isinstance(result, Tensor):
        return lambda: cast(Result, result.cpu())
    return lambda: cast(Result, result)


def _bases(sources: Sources, numbers: list[int]) -> int:
    return int(sources.lengths[numbers].sum())


def stream(
    backbone: Backbone,
    sources: Sequence[Source],
    lengths: Sequence[int] | None = None,
    *,
    reading: Reading,
    device: torch.device,
    layer: int | None = None,
    advance: Callable[[int], None] | None = None,
) -> Iterator[Chunk]:
    """Read a batch of sequences.

    Args:
        backbone: in evaluation mode, on ``device``.
        sources: the sequences, longest first; one of the ``batches``.
        lengths: how many bases of each to read; None: all. Of a causal backbone alone.
        reading: what bounds the memory.
        device: where the tokens go.
        layer: see ``Backbone.forward``.
        advance: told of the bases of each chunk when it is done with.
    """
    together = sources_of(sources)
    if backbone.causal:
        read = together.lengths if lengths is None else np.array(lengths, dtype=np.int64)
        longest = len(backbone.start_tokens) + int(read.max())
        chunk_length = reading.chunk(len(together), longest, backbone, device)
        chunks = _chunks(backbone, together, read, chunk_length, device, layer)
    else:
        chunks = _windows(backbone, together, reading, device, layer)
    for chunk in chunks:
        yield chunk
        if advance is not None:
            advance(chunk.bases)


def _chunks(
    backbone: Backbone,
    sources: Sources,
    lengths: NDArray[np.int64],
    chunk_length: int,
    device: torch.device,
    layer: int | None,
) -> Iterator[Chunk]:
    """Of a causal backbone: chunk by chunk, the state carried."""
    before = backbone.start_tokens
    inputs = lengths + len(before)
    state: State | None = None
    for start in range(0, int(inputs[0]), chunk_length):
        real = np.minimum(inputs[inputs > start] - start, chunk_length)
        first = start - len(before)
        begun = before[start : start + int(real[0])]
        tokens = _tokens(sources, begun, np.full(len(real), max(first, 0)), first + real)
        if state is not None and len(real) < state.batch:
            state = state.rows(len(real))
        hidden, state = backbone(on_device(tokens, device), state, layer=layer)
        yield Chunk(first, hidden, real.tolist(), state)


def _windows(
    backbone: Backbone,
    sources: Sources,
    reading: Reading,
    device: torch.device,
    layer: int | None,
) -> Iterator[Chunk]:
    """Of a backbone that reads both ways: whole, or a long sequence window by window."""
    before = backbone.start_tokens
    for window in reading.bounds(backbone, device).windows(int(sources.lengths[0])):
        stops = np.minimum(window.last, sources.lengths)
        tokens = _tokens(sources, before, np.full(len(stops), window.first), stops)
        real = len(before) + stops - window.first
        hidden = _padded(backbone, tokens, real, device, layer)
        hidden = hidden[:, window.start - window.first : window.stop - window.first]
        inside = np.minimum(window.stop, sources.lengths) - window.start
        yield Chunk(window.start, hidden, inside.tolist(), None)


def _tokens(
    sources: Sources, begun: tuple[int, ...], starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """The first sources, from ``starts`` to before ``stops``, as rows behind what is ``begun``."""
    width = len(begun) + max(0, int((stops - starts).max()))
    tokens = np.full((len(starts), width), PAD, dtype=np.uint8)
    tokens[:, : len(begun)] = begun
    sources.write(starts, stops, tokens[:, len(begun) :])
    return tokens


def read_rows(
    backbone: Backbone,
    rows: Sequence[NDArray[np.uint8]],
    device: torch.device,
    layer: int | None = None,
) -> Tensor:
    """Hidden states at the bases of whole rows, of a backbone that reads both ways.

    Args:
        backbone: in evaluation mode, on ``device``.
        rows: (l,) token ids of the bases of each, at least one.
        device: where the tokens go.
        layer: see ``Backbone.forward``.

    Returns:
        (rows, longest l, d_model), twice as wide of a symmetric backbone.
    """
    before = backbone.start_tokens
    real = [len(before) + len(row) for row in rows]
    tokens = np.full((len(rows), max(real)), PAD, dtype=np.uint8)
    for row, (ids, width) in enumerate(zip(rows, real, strict=True)):
        tokens[row, : len(before)] = before
        tokens[row, len(before) : width] = ids
    return _padded(backbone, tokens, np.array(real), device, layer)


def _padded(
    backbone: Backbone,
    tokens: NDArray[np.uint8],
    real: NDArray[np.int64],
    device: torch.device,
    layer: int | None,
) -> Tensor:
    """Hidden states at the bases of padded rows, of which the first ``real`` ids count."""
    lengths = on_device(real, device)
    hidden, _ = backbone(on_device(tokens, device), lengths=lengths, layer=layer)
    return hidden[:, len(backbone.start_tokens) :]


def on_device(array: NDArray[Any], device: torch.device) -> Tensor:
    """An array as a tensor there, without waiting for what the device still has to do."""
    tensor = torch.from_numpy(array)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def exact(tensor: Tensor) -> Tensor:
    """In fp64, in which sums do not depend on batches and chunks; on the CPU if need be."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()
