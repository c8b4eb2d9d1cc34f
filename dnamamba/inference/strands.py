"""What a backbone makes of a batch on one strand or on both."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from dnamamba.alphabet import Tokenizer
from dnamamba.inference.reading import Reading
from dnamamba.inference.sources import Opposite, Source
from dnamamba.inference.streaming import Chunk, stream
from dnamamba.model.backbone import Backbone

__all__ = ["features", "read_strands"]


def read_strands(
    backbone: Backbone,
    tokenizer: Tokenizer,
    sources: Sequence[Source],
    members: Sequence[int],
    device: torch.device,
    strands: int,
    layer: int,
    reading: Reading,
    advance: Callable[[int], None] | None,
) -> list[Iterator[Chunk]]:
    """The chunks of the features of a batch, of each strand that is read."""
    batch: list[Source] = [sources[i] for i in members]
    opposite: list[Source] = [Opposite(source, tokenizer) for source in batch]
    how: Any = {"reading": reading, "device": device, "layer": layer, "advance": advance}
    return [
        features(backbone, stream(backbone, read, **how)) for read in (batch, opposite)[:strands]
    ]


def features(backbone: Backbone, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """The chunks with what is pooled and handed out in place of hidden states."""
    for chunk in chunks:
        yield chunk._replace(hidden=backbone.features(chunk.hidden))
