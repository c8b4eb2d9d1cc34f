"""Embeddings of many sequences, part by part: resumable, and shared among processes.

The sequences, in their order, are divided into parts of about a million bases. What is in a part
depends on the sequences alone, never on how many processes there are or where an earlier run
stopped, so neither changes a number. A part's vectors are one file, written whole or not at all,
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
from dnamamba.inference.models import backbone_of
from dnamamba.inference.reading import Reading
from dnamamba.inference.sources import Source

__all__ = ["EmbeddingJob", "Piece"]

# Bases in a part, unless one sequence has more; rows in memory before they are written.
_PART = 1 << 20
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
        return sum(map(self._rows, self.pieces)), width

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
        name = self._fingerprint(genome)
        bounds = [0]
        bases = 0
        for number, piece in enumerate(self.pieces):
            if bases and bases + len(piece) > _PART:
                bounds.append(number)
                bases = 0
            bases += len(piece)
        ends = [*bounds[1:], len(self.pieces)]
        return {
            folder / f"{name}.{number:06d}.npy": self.pieces[first:last]
            for number, (first, last) in enumerate(zip(bounds, ends, strict=True))
        }

    def write(self, path: Path, pieces: Sequence[Piece], advance: Callable[[int], None]) -> None:
        """Embed a part into a file that appears when it is whole; ``advance`` hears of bases."""
        inputs = (self.model, self.tokenizer, pieces)
        settings: dict[str, Any] = {
            "layer": self.layer,
            "both_strands": self.both_strands,
            "reading": self.reading,
            "advance": advance,
        }
        first_row = np.cumsum([0, *map(self._rows, pieces)])
        width = self.shape[1]
        with replacing(path) as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": (int(first_row[-1]), width)}
            np.lib.format.write_array_header_1_0(file, header)
            if self.pooling is not None:
                vectors = np.stack(embed_sources(*inputs, self.pooling, **settings))
                file.write(vectors.astype("<f4").tobytes())
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
        rows = np.cumsum([0, *map(self._rows, pieces)])
        width = self.shape[1]
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            np.lib.format.read_array_header_1_0(file)
            for first in range(0, int(rows[-1]), _ROWS):
                last = min(first + _ROWS, int(rows[-1]))
                low = int(np.searchsorted(rows, first, side="right")) - 1
                high = int(np.searchsorted(rows, last))
                blocks = [
                    (pieces[i], max(first - int(rows[i]), 0), int(min(last, rows[i + 1]) - rows[i]))
                    for i in range(low, high)
                ]
                vectors = np.fromfile(file, "<f4", (last - first) * width)
                yield self._columns(blocks), vectors.reshape(-1, width)

    def _rows(self, piece: Piece) -> int:
        return len(piece) if self.pooling is None else 1

    def _columns(self, blocks: Sequence[tuple[Piece, int, int]]) -> dict[str, Any]:
        """Columns of rows ``start`` to before ``stop`` of some pieces."""
        columns: dict[str, Any] = {name: [] for name in self.columns}
        for piece, start, stop in blocks:
            for name, values in columns.items():
                values.extend([getattr(piece, name)] * (stop - start))
        if self.pooling is None:
            columns["start"] = np.concatenate([piece.positions(*at) for piece, *at in blocks])
            columns["end"] = columns["start"] + 1
        else:
            for name in ("start", "end"):
                columns[name] = np.array(columns[name], dtype=np.int64)
        return columns

    def _fingerprint(self, genome: str) -> str:
        """A hash of the weights, the sequences and the settings that change a vector."""
        config = repr(backbone_of(self.model).config)
        digest = hashlib.sha256(f"{genome} {config}".encode())
        for name, tensor in self.model.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
        settings = [repr(self.tokenizer), self.pooling, self.layer, _PART, *self._further()]
        digest.update(json.dumps(settings).encode())
        for piece in self.pieces:
            place = [len(piece), *(getattr(piece, name) for name in self.columns)]
            digest.update(json.dumps(place).encode())
        return digest.hexdigest()[:16]

    def _further(self) -> list[Any]:
        """Settings that change a vector of some models, or of long sequences, alone."""
        further: list[Any] = ["both strands"] if self.strands > 1 else []
        backbone = backbone_of(self.model)
        if not backbone.causal:
            bounds = self.reading.bounds(backbone, next(backbone.parameters()).device)
            if max(map(len, self.pieces)) > bounds.most:
                further.append(bounds)
        return further
