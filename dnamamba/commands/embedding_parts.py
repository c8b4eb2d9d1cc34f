"""Embeddings of many sequences, part by part: resumable, and shared among processes.

The sequences, in their order, are divided into parts of about a million bases; of sixteen million
where a GPU pools them, which takes no longer. What is in a part depends on the sequences and the
kind of device alone, never on how many processes there are or where an earlier run stopped, so
neither changes a number. A part's vectors are one file, written whole or not at all,
whose name holds a hash of all that decides on its content: what an earlier run left of the very
same work is taken over, anything else is not looked at. Behind the vectors stands a checksum of
them and of the file's name: what is no more as it was written, or stands under the name of another
part, is not believed.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, repeat
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dnamamba.alphabet import Tokenizer
from dnamamba.files import replacing
from dnamamba.inference.embedding import (
    Pooling,
    Vectors,
    base_vectors,
    embed_sources,
    strands_read,
)
from dnamamba.inference.intervals import Intervals
from dnamamba.inference.models import backbone_of
from dnamamba.inference.reading import Reading
from dnamamba.inference.sources import Source, sources_of

__all__ = ["EmbeddingJob", "Piece"]

# Bases in a part, unless one sequence has more: what takes a CPU minutes, a GPU a second. Of
# pooled vectors, which are in memory together, no more numbers than this.
_PART, _PART_OF_GPU = 1 << 20, 1 << 24
_NUMBERS = 1 << 26
# Rows in memory before they are written.
_ROWS = 1 << 14
# Bytes of a part's checksum, and bytes read at a time to check it.
_DIGEST, _BLOCK = 32, 1 << 22


class Piece(Source, Protocol):
    """A sequence with a place on a genome."""

    @property
    def id(self) -> str: ...
    @property
    def contig(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def strand(self) -> str: ...

    def positions(self, start: int, stop: int) -> NDArray[np.int64]:
        """0-based places on the contig of its bases ``start`` to before ``stop``."""
        ...


def _checksum(part: str, file: str | Path, size: int) -> bytes:
    """BLAKE2b of a part's name and the first ``size`` bytes of a file."""
    digest, left = hashlib.blake2b(part.encode(), digest_size=_DIGEST), size
    with open(file, "rb") as vectors:
        while left > 0 and (block := vectors.read(min(left, _BLOCK))):
            digest.update(block)
            left -= len(block)
    return digest.digest()


def _values(pieces: Sequence[Piece], name: str) -> list[Any]:
    """An attribute of each."""
    if isinstance(pieces, Intervals):
        return pieces.column(name)
    return [getattr(piece, name) for piece in pieces]


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
    """

    model: nn.Module
    tokenizer: Tokenizer
    pieces: Sequence[Piece]
    columns: tuple[str, ...]
    pooling: Pooling | None
    layer: int
    both_strands: bool
    reading: Reading

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, d_model."""
        width = backbone_of(self.model).config.d_model
        return int(self._first_rows(self.pieces)[-1]), width

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
        most_rows = max(1, _NUMBERS // self.shape[1])
        parts: dict[Path, Sequence[Piece]] = {}
        first = 0
        while first < len(ends):
            before = int(ends[first - 1]) if first else 0
            last = int(np.searchsorted(ends, before + self._part, side="right"))
            last = max(first + 1, min(last, first + most_rows) if self.pooling else last)
            parts[folder / f"{name}.{len(parts):06d}.npy"] = self.pieces[first:last]
            first = last
        return parts

    def write(self, path: Path, pieces: Sequence[Piece], advance: Callable[[int], None]) -> None:
        """Embed a part into a file that appears when it is whole; ``advance`` hears of bases."""
        inputs = (self.model, self.tokenizer, pieces)
        settings: dict[str, Any] = {
            "layer": self.layer,
            "both_strands": self.both_strands,
            "reading": self.reading,
            "advance": advance,
        }
        first_row = self._first_rows(pieces)
        width = self.shape[1]
        with replacing(path) as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": (int(first_row[-1]), width)}
            np.lib.format.write_array_header_1_0(file, header)
            if self.pooling is not None:
                vectors = np.asarray(embed_sources(*inputs, self.pooling, **settings), "<f4")
                file.write(vectors.tobytes())
            else:
                begin = file.tell()
                file.truncate(begin + 4 * width * int(first_row[-1]))
                with Path(file.name).open("r+b") as values:
                    for number, base, part in base_vectors(*inputs, **settings):
                        values.seek(begin + 4 * width * (int(first_row[number]) + base))
                        self._put(values, part.astype("<f4"))
                file.seek(0, os.SEEK_END)
            file.flush()
            file.write(_checksum(path.name, file.name, file.tell()))

    def _put(self, values: IO[bytes], part: Vectors) -> None:
        """Write at the file's position, or, where each base comes once a strand, add."""
        if self.strands > 1:
            written = np.frombuffer(values.read(part.nbytes), "<f4")
            part = written.reshape(part.shape) + part
            values.seek(-part.nbytes, os.SEEK_CUR)
        values.write(part.tobytes())

    def verified(self, path: Path) -> bool:
        """Whether a part's file is there, and is what was written."""
        try:
            size = path.stat().st_size - _DIGEST
            with path.open("rb") as file:
                file.seek(max(0, size))
                return file.read() == _checksum(path.name, path, size)
        except OSError:
            return False

    def read(self, path: Path, pieces: Sequence[Piece]) -> Iterator[tuple[dict[str, Any], Vectors]]:
        """A part's rows, a few at a time: the columns' values and (rows, d_model)."""
        rows = self._first_rows(pieces)
        width = self.shape[1]
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            np.lib.format.read_array_header_1_0(file)
            for first in range(0, int(rows[-1]), _ROWS):
                last = min(first + _ROWS, int(rows[-1]))
                low = int(np.searchsorted(rows, first, side="right")) - 1
                high = int(np.searchsorted(rows, last))
                starts = np.maximum(first - rows[low:high], 0)
                stops = np.minimum(last, rows[low + 1 : high + 1]) - rows[low:high]
                vectors = np.fromfile(file, "<f4", (last - first) * width)
                columns = self._columns(pieces[low:high], starts.tolist(), stops.tolist())
                yield columns, vectors.reshape(-1, width)

    def _first_rows(self, pieces: Sequence[Piece]) -> NDArray[np.int64]:
        """(n + 1,) the row at which each piece begins, and how many rows there are."""
        if self.pooling is not None:
            return np.arange(len(pieces) + 1)
        return np.concatenate([[0], np.cumsum(sources_of(pieces).lengths)])

    @cached_property
    def _part(self) -> int:
        """Bases in a part."""
        on_gpu = next(self.model.parameters()).device.type == "cuda"
        return _PART_OF_GPU if on_gpu and self.pooling is not None else _PART

    def _columns(
        self, pieces: Sequence[Piece], starts: list[int], stops: list[int]
    ) -> dict[str, Any]:
        """Columns of rows ``starts`` to before ``stops`` of some pieces."""
        columns: dict[str, Any] = {name: _values(pieces, name) for name in self.columns}
        if self.pooling is not None:
            for name in ("start", "end"):
                columns[name] = np.array(columns[name], dtype=np.int64)
            return columns
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
        for name, tensor in self.model.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
        settings = [repr(self.tokenizer), self.pooling, self.layer, self._part, *self._further()]
        digest.update(json.dumps(settings).encode())
        for first in range(0, len(self.pieces), _ROWS):
            some = self.pieces[first : first + _ROWS]
            columns = [sources_of(some).lengths.tolist(), *(_values(some, c) for c in self.columns)]
            digest.update(json.dumps(columns).encode())
        return digest.hexdigest()[:16]

    def _further(self) -> list[Any]:
        """Settings that change a vector of some models, or of long sequences, alone."""
        further: list[Any] = ["both strands"] if self.strands > 1 else []
        backbone = backbone_of(self.model)
        if not backbone.causal:
            bounds = self.reading.bounds(backbone, next(backbone.parameters()).device)
            if sources_of(self.pieces).lengths.max() > bounds.most:
                further.append(bounds)
        return further
