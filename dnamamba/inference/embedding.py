"""Sequences to vectors: the backbone's hidden states, pooled or one a base."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dnamamba.alphabet import Tokenizer
from dnamamba.arguments import switch, whole
from dnamamba.containers import Sequences
from dnamamba.inference.models import backbone_of, evaluating
from dnamamba.inference.pooled import pool_chunks
from dnamamba.inference.reading import Reading
from dnamamba.inference.settings import BATCH_SIZE, CHUNK_LENGTH, Pooling
from dnamamba.inference.sources import Source, Sources, encode_all, sources_of
from dnamamba.inference.strands import read_strands
from dnamamba.inference.streaming import Chunk, batches, each_batch
from dnamamba.model.pooling import POOLINGS

__all__ = ["Pooling", "Vectors", "base_vectors", "embed", "embed_sources", "strands_read"]

Vectors = NDArray[np.float32]
Result = TypeVar("Result")


@overload
def embed(
    model: nn.Module,
    tokenizer: Tokenizer,
    sequences: Sequences,
    *,
    pooling: Pooling = "mean",
    layer: int = ...,
    both_strands: bool = ...,
    batch_size: int = ...,
    chunk_length: int = ...,
    max_bases: int | None = ...,
    overlap: int | None = ...,
    device: str | torch.device | None = None,
) -> Vectors: ...
@overload
def embed(
    model: nn.Module,
    tokenizer: Tokenizer,
    sequences: Sequences,
    *,
    pooling: None,
    layer: int = ...,
    both_strands: bool = ...,
    batch_size: int = ...,
    chunk_length: int = ...,
    max_bases: int | None = ...,
    overlap: int | None = ...,
    device: str | torch.device | None = None,
) -> list[Vectors]: ...
def embed(
    model: nn.Module,
    tokenizer: Tokenizer,
    sequences: Sequences,
    *,
    pooling: Pooling | None = "mean",
    layer: int = -1,
    both_strands: bool = False,
    batch_size: int = BATCH_SIZE,
    chunk_length: int = CHUNK_LENGTH,
    max_bases: int | None = None,
    overlap: int | None = None,
    device: str | torch.device | None = None,
) -> Vectors | list[Vectors]:
    """Embed sequences of any length.

    The hidden state at a base is the base's vector: of a causal model, which has seen this base
    and all before it, as of one that reads both ways, which has seen the whole sequence; of a
    model that treats both strands alike it is the mean of both halves, the second turned back.
    Vectors do not depend, beyond rounding, on the batch, on the other sequences, or on the chunks
    of a causal model. What a model that reads both ways cannot hold at a time it reads in
    windows, ``overlap`` bases wider on either side than what they answer for: a vector then lacks
    what lies further away.

    Args:
        model: a backbone, or what has one; its device and mode are given back.
        tokenizer: the model's.
        sequences: n sequences of at least one base each, at least one: a list, or another container
            of ``dnamamba.containers``; of a mapping the values, in its order.
        pooling: over a sequence's bases: their ``mean``, their ``max`` in each dimension, the
            ``last`` one; or None for one vector a base.
        layer: the hidden states to take: behind this block, counted from 0; -1 stands for those
            behind the final norm.
        both_strands: one vector for both: the mean of a sequence's and of its reverse
            complement's; one a base stands at the plus strand's positions.
        batch_size: most sequences side by side.
        chunk_length: most bases at a time of one sequence, by a causal model. Memory grows with
            neither the sequences nor their number: see ``max_bases``.
        max_bases: see ``Reading``.
        overlap: see ``Reading``.
        device: where to run, as ``cuda``; None is where the model is.

    Returns:
        (n, d_model) float32 in the order given; with ``pooling=None`` a list of n arrays
        (bases, d_model). They are finite, of a sequence of N alone, too.

    Raises:
        ValueError: no sequence at all, an empty one, a letter that the tokenizer refuses (both
            named by position or name), or an argument out of range.
    """
    sources = encode_all(tokenizer, sequences)
    reading = Reading(batch_size, chunk_length, max_bases, overlap)
    settings = (pooling, layer, both_strands, reading, device)
    return embed_sources(model, tokenizer, sources, *settings)


def embed_sources(
    model: nn.Module,
    tokenizer: Tokenizer,
    sources: Sequence[Source],
    pooling: Pooling | None = "mean",
    layer: int = -1,
    both_strands: bool = False,
    reading: Reading = Reading(),  # noqa: B008 (frozen)
    device: str | torch.device | None = None,
    advance: Callable[[int], None] | None = None,
) -> Vectors | list[Vectors]:
    """What ``embed`` does, for sources; ``advance`` is told of every chunk of bases done."""
    sources = sources_of(sources)
    layer = whole("layer", layer)
    if pooling not in ("mean", "max", "last", None):
        raise ValueError(f"pooling must be 'mean', 'max', 'last' or None, got {pooling!r}")
    width = backbone_of(model).config.d_model
    if pooling is None:
        vectors = [np.zeros((n, width), dtype=np.float32) for n in sources.lengths.tolist()]

        def add(members: list[int], chunks: Sequence[Iterator[Chunk]]) -> None:
            for i, first, part in _by_base(sources, members, chunks):
                vectors[i][first : first + len(part)] += part

        strands = strands_read(model, None, both_strands)
        _each(add, model, tokenizer, sources, strands, layer, reading, device, advance)
        return vectors
    strands = strands_read(model, pooling, both_strands)
    fold = POOLINGS[pooling](width)

    def pool(members: list[int], chunks: Sequence[Iterator[Chunk]]) -> Tensor:
        ends = sources.lengths[members].tolist()
        each = [pool_chunks(part, fold, [0] * len(members), ends) for part in chunks]
        return torch.stack(each).sum(0) / strands

    settings = tokenizer, sources, strands, layer, reading, device, advance
    order, pooled = _each(pool, model, *settings)
    total = np.empty((len(sources), width), dtype=np.float32)
    total[order] = torch.cat(pooled).cpu()
    return total


def strands_read(model: nn.Module, pooling: Pooling | None, both_strands: bool) -> int:
    """How often a sequence is read: once a strand, once where the other would say the same.

    Raises:
        ValueError: ``both_strands`` is no switch.
    """
    both = switch("both_strands", both_strands)
    fold = None if pooling is None else POOLINGS.get(pooling)
    alike = fold is None or fold.symmetric
    return 2 if both and not (alike and backbone_of(model).symmetric) else 1


def base_vectors(
    model: nn.Module,
    tokenizer: Tokenizer,
    sources: Sequence[Source],
    layer: int = -1,
    both_strands: bool = False,
    reading: Reading = Reading(),  # noqa: B008 (frozen)
    device: str | torch.device | None = None,
    advance: Callable[[int], None] | None = None,
) -> Iterator[tuple[int, int, Vectors]]:
    """One vector a base, piece by piece: memory does not grow with the sequences.

    Yields:
        The number of a source, its first base in this piece, and the piece's (l, d_model)
        vectors. With both strands averaged each base comes twice, with half of its vector each
        time: add them. Between the pieces, those of several sources intermingled, PyTorch stays
        in inference mode.
    """
    sources = sources_of(sources)
    strands = strands_read(model, None, both_strands)
    with evaluating(model, tokenizer, device) as target:
        backbone = backbone_of(model)
        settings = (strands, layer, reading.settled(backbone, target), advance)
        for members in batches(backbone, sources, reading, target):
            chunks = read_strands(backbone, tokenizer, sources, members, target, *settings)
            yield from _by_base(sources, members, chunks)


def _by_base(
    sources: Sources, members: list[int], strands: Sequence[Iterator[Chunk]]
) -> Iterator[tuple[int, int, Vectors]]:
    """What ``base_vectors`` yields, of one batch, given what was read of each strand."""
    for strand, chunks in enumerate(strands):
        for chunk in chunks:
            vectors = (chunk.hidden.float() / len(strands)).cpu().numpy()
            for row, width in enumerate(chunk.real):
                if width > chunk.skipped:
                    part = vectors[row, chunk.skipped : width]
                    first, number = max(chunk.start, 0), members[row]
                    if strand == 0:
                        yield number, first, part
                    else:
                        yield number, int(sources.lengths[number]) - first - len(part), part[::-1]


def _each(
    work: Callable[[list[int], Sequence[Iterator[Chunk]]], Result],
    model: nn.Module,
    tokenizer: Tokenizer,
    sources: Sequence[Source],
    strands: int,
    layer: int,
    reading: Reading,
    device: str | torch.device | None,
    advance: Callable[[int], None] | None,
) -> tuple[list[int], list[Result]]:
    """``each_batch``; ``work`` is given the features on each strand, too."""
    backbone = backbone_of(model)
    with evaluating(model, tokenizer, device) as target:
        settled = reading.settled(backbone, target)
        settings = (strands, layer, settled, advance)

        def work_on(members: list[int]) -> Result:
            chunks = read_strands(backbone, tokenizer, sources, members, target, *settings)
            return work(members, chunks)

        return each_batch(work_on, backbone, sources, settled, target)
