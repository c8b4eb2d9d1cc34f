"""Embeddings of many sequences, part by part: resumable, and shared among processes.

The sequences, in their order, are divided into parts of about a million bases; of sixteen million
where a GPU pools them, which takes no longer. What is in a part depends on the sequences and the
kind of device alone, never on how many processes there are or where an earlier run stopped, so
neither changes a number. A part's vectors are one file, written whole or not at all,
whose name holds a hash of all that decides on its content: what an earlier run left of the very
same work is taken over, anything else is not looked at. The file
ends with a checksum (see ``sealed``): what is no more as it was written, or stands under the name
of another part, is not believed.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, repeat
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from dnamamba.alphabet import Tokenizer
from dnamamba.commands.agreement import add_weights
from dnamamba.commands.pieces import Piece, values_of
from dnamamba.commands.sealed import past_header, sealed
from dnamamba.inference.embedding import (
    Pooling,
    Vectors,
    base_vectors,
    embed_sources,
    strands_read,
)
from dnamamba.inference.models import backbone_of
from dnamamba.inference.reading import Reading
from dnamamba.inference.sources import sources_of

__all__ = ["EmbeddingJob"]

# Bases in a part, unless one sequence has more: what takes a CPU minutes, a GPU a second. Of
# pooled vectors, which are in memory together, no more numbers than this.
_PART, _PART_OF_GPU = 1 << 20, 1 << 24
_NUMBERS = 1 << 26
# Rows in memory before they are written.
_ROWS = 1 << 14


@dataclass(frozen=True)
class EmbeddingJob:
    """What to embed, and how.

    Attributes:
        model: a backbone, or what has one as its ``backbone``.
        tokenizer: the model's.
        pieces: the sequences, in the order of the output.
        columns: attributes of the pieces to write beside the vectors.
        pooling: see ``embed``.
        layer: see ``embed``.
        both_strands: see ``embed``.
        reading: what bounds the memory.
        dimensions: the numbers of a vector that are kept; None: all.
    """

    model: nn.Module
    tokenizer: Tokenizer
    pieces: Sequence[Piece]
    columns: tuple[str, ...]
    pooling: Pooling | None
    layer: int
    both_strands: bool
    reading: Reading
    dimensions: tuple[int, ...] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, numbers of a vector."""
        return int(self._first_rows(self.pieces)[-1]), self._width

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """Columns that hold whole numbers; the others hold text."""
        first = self.pieces[:1]
        return tuple(name for name in self.columns if isinstance(values_of(first, name)[0], int))

    @property
    def strands(self) -> int:
        """How often each sequence is read."""
        return strands_read(self.model, self.pooling, self.both_strands)

    def parts(self, folder: Path, genome: str) -> dict[Path, Sequence[Piece]]:
        """The files that this work makes, and what goes into each.

        Args:
            folder: where they lie.
            genome: a hash of the bases that the pieces are of.
        """
        name, ends = self._fingerprint(genome), np.cumsum(sources_of(self.pieces).lengths)
        most_rows = max(1, _NUMBERS // self._width)
        parts: dict[Path, Sequence[Piece]] = {}
        first = 0
        while first < len(ends):
            before = int(ends[first - 1]) if first else 0
            last = int(np.searchsorted(ends, before + self._part, side="right"))
            last = max(first + 1, min(last, first + most_rows) if self.pooling else last)
            parts[folder / f"{name}.{len(parts):06d}.npy"] = self.pieces[first:last]
            first = last
        return parts

    def write(
        self,
        path: Path,
        pieces: Sequence[Piece],
        advance: Callable[[int], None],
        store: Callable[[Callable[[], None]], None] = lambda work: work(),
    ) -> None:
        """Embed a part into a file that appears when it is whole.

        Args:
            path: the file.
            pieces: what is in the part.
            advance: told of the bases done.
            store: is given the writing of pooled vectors, to do it now or behind the next part.
        """
        settings: dict[str, Any] = {
            "layer": self.layer,
            "both_strands": self.both_strands,
            "reading": self.reading,
            "advance": advance,
        }
        if self.pooling is None:
            parts = base_vectors(self.model, self.tokenizer, pieces, **settings)
            self._store_bases(path, self._first_rows(pieces), parts)
            return
        pooled = embed_sources(self.model, self.tokenizer, pieces, self.pooling, **settings)
        vectors = self._kept(np.asarray(pooled, "<f4"))

        def write() -> None:
            with sealed(path, (len(vectors), self._width)) as file:
                file.write(vectors.data)

        store(write)

    def _store_bases(
        self,
        path: Path,
        first_row: NDArray[np.int64],
        parts: Iterator[tuple[int, int, Vectors]],
    ) -> None:
        """Write one vector a base as they come, in any order."""
        size = 4 * self._width
        with sealed(path, (int(first_row[-1]), self._width)) as file:
            begin = file.tell()
            file.truncate(begin + size * int(first_row[-1]))
            with Path(file.name).open("r+b") as values:
                for number, base, part in parts:
                    values.seek(begin + size * (int(first_row[number]) + base))
                    self._put(values, self._kept(part.astype("<f4")))

    def _put(self, values: IO[bytes], part: Vectors) -> None:
        """Write at the file's position, or, where each base comes once a strand, add."""
        if self.strands > 1:
            written = np.frombuffer(values.read(part.nbytes), "<f4")
            part = written.reshape(part.shape) + part
            values.seek(-part.nbytes, os.SEEK_CUR)
        values.write(part.tobytes())

    def read(self, path: Path, pieces: Sequence[Piece]) -> Iterator[tuple[dict[str, Any], Vectors]]:
        """A part's rows, a few at a time: the columns' values and (rows, d_model)."""
        rows = self._first_rows(pieces)
        with path.open("rb") as file:
            past_header(file)
            for first in range(0, int(rows[-1]), _ROWS):
                last = min(first + _ROWS, int(rows[-1]))
                low = int(np.searchsorted(rows, first, side="right")) - 1
                high = int(np.searchsorted(rows, last))
                starts = np.maximum(first - rows[low:high], 0)
                stops = np.minimum(last, rows[low + 1 : high + 1]) - rows[low:high]
                vectors = np.fromfile(file, "<f4", (last - first) * self._width)
                columns = self._columns(pieces[low:high], starts.tolist(), stops.tolist())
                yield columns, vectors.reshape(-1, self._width)

    def _first_rows(self, pieces: Sequence[Piece]) -> NDArray[np.int64]:
        """(n + 1,) the row at which each piece begins, and how many rows there are."""
        if self.pooling is not None:
            return np.arange(len(pieces) + 1)
        return np.concatenate([[0], np.cumsum(sources_of(pieces).lengths)])

    def _kept(self, vectors: Vectors) -> Vectors:
        if self.dimensions is None:
            return vectors
        return np.ascontiguousarray(vectors[:, list(self.dimensions)])

    @cached_property
    def _width(self) -> int:
        if self.dimensions is not None:
            return len(self.dimensions)
        return backbone_of(self.model).config.d_model

    @cached_property
    def _part(self) -> int:
        """Bases in a part."""
        on_gpu = next(self.model.parameters()).device.type == "cuda"
        return _PART_OF_GPU if on_gpu and self.pooling is not None else _PART

    def _columns(
        self, pieces: Sequence[Piece], starts: list[int], stops: list[int]
    ) -> dict[str, Any]:
        """Columns of rows ``starts`` to before ``stops`` of some pieces."""
        columns: dict[str, Any] = {name: values_of(pieces, name) for name in self.columns}
        if self.pooling is not None:
            numbers = {name: np.array(columns[name], dtype=np.int64) for name in self.numbers}
            return {**columns, **numbers}
        times = [stop - start for start, stop in zip(starts, stops, strict=True)]
        columns = {
            name: list(chain.from_iterable(map(repeat, values, times)))
            for name, values in columns.items()
        }
        places = [piece.positions(*at) for piece, *at in zip(pieces, starts, stops, strict=True)]
        columns["start"] = np.concatenate(places)
        columns["end"] = columns["start"] + 1
        return columns

    def _fingerprint(self, genome: str) -> str:
        """A hash of the weights, the sequences and the settings that change a vector."""
        config = repr(backbone_of(self.model).config)
        digest = hashlib.sha256(f"{genome} {config}".encode())
        add_weights(digest.update, self.model)
        settings = [repr(self.tokenizer), self.pooling, self.layer, self._part, *self._further()]
        digest.update(json.dumps(settings).encode())
        for first in range(0, len(self.pieces), _ROWS):
            some = self.pieces[first : first + _ROWS]
            columns = [
                sources_of(some).lengths.tolist(),
                *(values_of(some, c) for c in self.columns),
            ]
            digest.update(json.dumps(columns).encode())
        return digest.hexdigest()[:16]

    def _further(self) -> list[Any]:
        """Settings that change a vector of some models, or of long sequences, alone."""
        further: list[Any] = ["both strands"] if self.strands > 1 else []
        if self.dimensions is not None:
            further.append(["dimensions", *self.dimensions])
        backbone = backbone_of(self.model)
        if not backbone.causal:
            bounds = self.reading.bounds(backbone, next(backbone.parameters()).device)
            if sources_of(self.pieces).lengths.max() > bounds.most:
                further.append(bounds)
        return further
