"""The other strand of sequences, and what a backbone makes of a batch on one strand or on both."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dnamamba.alphabet import Tokenizer
from dnamamba.inference.reading import Reading
from dnamamba.inference.sources import Source, Sources, sources_of
from dnamamba.inference.streaming import Chunk, stream
from dnamamba.model.backbone import Backbone

__all__ = ["Opposite", "Opposites", "features", "read_strands"]


class Opposite:
    """The other strand of a source, read 5' to 3'."""

    def __init__(self, source: Source, tokenizer: Tokenizer) -> None:
        self.source, self.tokenizer = source, tokenizer

    def __len__(self) -> int:
        return len(self.source)

    def ids(self, start: int, stop: int) -> NDArray[np.uint8]:
        """(stop - start,) token ids of the bases from ``start`` to before ``stop``."""
        n = len(self.source)
        return self.tokenizer.reverse_complement(self.source.ids(n - stop, n - start))


class Opposites(Sources):
    """``Opposite`` of each of many."""

    def __init__(self, sources: Sources, tokenizer: Tokenizer) -> None:
        self._sources, self._tokenizer, self.lengths = sources, tokenizer, sources.lengths

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.take(index)
        return Opposite(self._sources[index], self._tokenizer)

    def take(self, numbers: Sequence[int] | NDArray[Any] | slice) -> "Opposites":
        return Opposites(self._sources.take(numbers), self._tokenizer)

    def write(
        self, starts: NDArray[np.int64], stops: NDArray[np.int64], out: NDArray[np.uint8]
    ) -> None:
        n, ids = self.lengths[: len(starts)], np.zeros(out.shape, dtype=np.uint8)
        self._sources.write(n - stops, n - starts, ids)
        for row, turned, size in zip(
            out, self._tokenizer.complement(ids), (stops - starts).tolist(), strict=True
        ):
            if size > 0:
                row[:size] = turned[:size][::-1]


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
    batch = sources_of(sources).take(members)
    opposite = Opposites(batch, tokenizer)
    settings: Any = {"reading": reading, "device": device, "layer": layer, "advance": advance}
    return [
        features(backbone, stream(backbone, read, **settings))
        for read in (batch, opposite)[:strands]
    ]


def features(backbone: Backbone, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """The chunks with what is pooled and handed out in place of hidden states."""
    for chunk in chunks:
        yield chunk._replace(hidden=backbone.features(chunk.hidden))
