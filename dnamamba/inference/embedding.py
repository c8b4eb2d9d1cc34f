"""Sequences to vectors: the backbone's hidden states, pooled or one a base."""

from collections.abc import Callable, Iterator, Sequence
from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dnamamba.alphabet import Tokenizer
from dnamamba.arguments import whole
from dnamamba.containers import Sequences
from dnamamba.inference.pooled import pool_chunks
from dnamamba.inference.settings import Pooling
from dnamamba.inference.sources import Source, buckets, encode_all
from dnamamba.inference.streaming import BATCH_SIZE, CHUNK_LENGTH, Chunk, evaluating, stream
from dnamamba.model.backbone import Backbone
from dnamamba.model.pooling import POOLINGS

__all__ = ["Pooling", "Vectors", "backbone_of", "base_vectors", "embed", "embed_sources"]

Vectors = NDArray[np.float32]


@overload
def embed(
    model: nn.Module,
    tokenizer: Tokenizer,
    sequences: Sequences,
    *,
    pooling: Pooling = "mean",
    layer: int = ...,
    batch_size: int = ...,
    chunk_length: int = ...,
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
    batch_size: int = ...,
    chunk_length: int = ...,
    device: str | torch.device | None = None,
) -> list[Vectors]: ...
def embed(
    model: nn.Module,
    tokenizer: Tokenizer,
    sequences: Sequences,
    *,
    pooling: Pooling | None = "mean",
    layer: int = -1,
    batch_size: int = BATCH_SIZE,
    chunk_length: int = CHUNK_LENGTH,
    device: str | torch.device | None = None,
) -> Vectors | list[Vectors]:
    """Embed sequences of any length.

    The hidden state at a base, which of a causal model has seen this base and all before it, is
    the base's vector. Vectors do not depend, beyond rounding, on the batch, on the other
    sequences, or on the chunks.

    Args:
        model: a backbone, or what has one; its device and mode are given back.
        tokenizer: the model's.
        sequences: n sequences of at least one base each, at least one: a list, or another container
            of ``dnamamba.containers``; of a mapping the values, in its order.
        pooling: over a sequence's bases: their ``mean``, their ``max`` in each dimension, the
            ``last`` one; or None for one vector a base.
        layer: the hidden states to take: behind this block, counted from 0; -1 stands for those
            behind the final norm.
        batch_size: sequences side by side.
        chunk_length: bases at a time. Memory grows with ``batch_size * chunk_length``, not with
            the sequences.
        device: where to run, as ``cuda``; None is where the model is.

    Returns:
        (n, d_model) float32 in the order given; with ``pooling=None`` a list of n arrays
        (bases, d_model).

    Raises:
        ValueError: no sequence at all, an empty one, a letter that the tokenizer refuses (both
            named by position or name), or an argument out of range.
    """
    sources = encode_all(tokenizer, sequences)
    settings = (batch_size, chunk_length, device)
    vectors = embed_sources(model, tokenizer, sources, pooling, layer, *settings)
    if pooling is None:
        return vectors
    return np.stack(vectors)


def embed_sources(
    model: nn.Module,
    tokenizer: Tokenizer,
    sources: Sequence[Source],
    pooling: Pooling | None = "mean",
    layer: int = -1,
    batch_size: int = BATCH_SIZE,
    chunk_length: int = CHUNK_LENGTH,
    device: str | torch.device | None = None,
    advance: Callable[[int], None] | None = None,
) -> list[Vectors]:
    """What ``embed`` does, for sources; ``advance`` is told of every chunk of bases done.

    Returns:
        One array a source, in the order given: (d_model,), or (bases, d_model) without pooling.
    """
    layer = whole("layer", layer)
    if pooling not in ("mean", "max", "last", None):
        raise ValueError(f"pooling must be 'mean', 'max', 'last' or None, got {pooling!r}")
    settings = (layer, batch_size, chunk_length, device, advance)
    vectors: list[Vectors] = [np.empty(0, dtype=np.float32)] * len(sources)
    if pooling is None:
        for i, first, part in base_vectors(model, tokenizer, sources, *settings):
            if first == 0:
                vectors[i] = np.empty((len(sources[i]), part.shape[1]), dtype=np.float32)
            vectors[i][first : first + len(part)] = part
        return vectors
    fold = POOLINGS[pooling](backbone_of(model).config.d_model)
    for members, chunks in _batches(model, tokenizer, sources, *settings):
        ends = [len(sources[i]) for i in members]
        pooled = pool_chunks(chunks, fold, [0] * len(members), ends)
        for i, row in zip(members, pooled.numpy(), strict=True):
            vectors[i] = row
    return vectors


def backbone_of(model: nn.Module) -> Backbone:
    """A model's backbone: the model itself, or what it calls so.

    Raises:
        ValueError: it is none, and has none.
    """
    backbone = getattr(model, "backbone", model)
    if not isinstance(backbone, Backbone):
        raise ValueError(f"the model must have a backbone, got {type(model).__name__}")
    return backbone


def base_vectors(
    model: nn.Module,
    tokenizer: Tokenizer,
    sources: Sequence[Source],
    layer: int = -1,
    batch_size: int = BATCH_SIZE,
    chunk_length: int = CHUNK_LENGTH,
    device: str | torch.device | None = None,
    advance: Callable[[int], None] | None = None,
) -> Iterator[tuple[int, int, Vectors]]:
    """One vector a base, chunk by chunk: memory does not grow with the sequences.

    Yields:
        The number of a source, its first base in this piece, and the piece's (l, d_model)
        vectors. The pieces of a source come in order, those of several intermingled. Between
        them PyTorch stays in inference mode.
    """
    settings = (layer, batch_size, chunk_length, device, advance)
    for members, chunks in _batches(model, tokenizer, sources, *settings):
        for chunk in chunks:
            vectors = chunk.hidden.float().cpu().numpy()
            for row, width in enumerate(chunk.real):
                if width > chunk.skipped:
                    yield members[row], max(chunk.start, 0), vectors[row, chunk.skipped : width]


def _batches(
    model: nn.Module,
    tokenizer: Tokenizer,
    sources: Sequence[Source],
    layer: int,
    batch_size: int,
    chunk_length: int,
    device: str | torch.device | None,
    advance: Callable[[int], None] | None,
) -> Iterator[tuple[list[int], Iterator[Chunk]]]:
    """Numbers of the sources of a batch, and the backbone's chunks."""
    backbone = backbone_of(model)
    with evaluating(model, tokenizer, device) as target:
        for members in buckets(sources, batch_size):
            yield (
                members,
                stream(
                    backbone,
                    [sources[i] for i in members],
                    chunk_length=chunk_length,
                    device=target,
                    layer=layer,
                    advance=advance,
                ),
            )
