"""FASTA to a file of embeddings."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dnamamba.data.fasta import Genome
from dnamamba.inference.embedding import Pooling, Vectors, embed_sources
from dnamamba.inference.intervals import Interval, intervals
from dnamamba.inference.output import check_output
from dnamamba.inference.pretrained import best_device, load
from dnamamba.inference.progress import progress
from dnamamba.inference.streaming import BATCH_SIZE, CHUNK_LENGTH
from dnamamba.inference.vector_files import ENDINGS, open_vectors, require_parquet

__all__ = ["embed_fasta"]

# Vectors held before they are written.
_SLAB = 1 << 14


def embed_fasta(
    model: str,
    fasta: str,
    output: str,
    bed: str | None = None,
    pooling: Pooling | None = "mean",
    batch_size: int = BATCH_SIZE,
    chunk_length: int = CHUNK_LENGTH,
    device: str = "auto",
    overwrite: bool = False,
) -> None:
    """Embed the records of a FASTA file, or regions of it.

    Sequences of any length are streamed in chunks, the state carried: memory does not grow with
    their length, unless one vector a base is asked for. The columns of the output are id,
    contig, start, end (0-based, half-open), strand and embedding (float32); rows stand in the
    order of the input.

    Args:
        model: a model's folder, or a training checkpoint.
        fasta: plain, gzip or bgzip.
        output: a .parquet or .npz file.
        bed: embed these regions instead of whole records; a minus in the strand column reads
            the other strand.
        pooling: mean, max or last over a sequence's bases; null for one row a base.
        batch_size: sequences side by side.
        chunk_length: bases at a time; bounds the memory together with batch_size.
        device: where to run: cpu, cuda, mps; auto takes a GPU if there is one.
        overwrite: replace an output that exists.

    Raises:
        ValueError: bad input; names file, record or argument, and a remedy.
        ModuleNotFoundError: Parquet without pyarrow; names the extra to install.
    """
    path = check_output(output, ENDINGS, overwrite)
    if path.suffix == ".parquet":
        require_parquet()
    language_model, tokenizer = load(model, best_device(device))
    pieces = intervals(Genome(fasta), tokenizer, bed)
    about = {"model": model, "fasta": Path(fasta).name, "pooling": pooling or "none"}
    width = language_model.config.d_model
    with (
        progress("embed", sum(map(len, pieces))) as advance,
        open_vectors(path, width, about) as file,
    ):
        for slab in _slabs(pieces, pooling):
            vectors = embed_sources(
                language_model, tokenizer, slab, pooling, batch_size, chunk_length, None, advance
            )
            file.write(*_table(slab, vectors, pooling))


def _slabs(pieces: Sequence[Interval], pooling: Pooling | None) -> Iterator[list[Interval]]:
    """Neighbours in the input whose vectors fit into a slab."""
    slab: list[Interval] = []
    held = 0
    for piece in pieces:
        size = len(piece) if pooling is None else 1
        if slab and held + size > _SLAB:
            yield slab
            slab, held = [], 0
        slab.append(piece)
        held += size
    if slab:
        yield slab


def _table(
    slab: Sequence[Interval], vectors: Sequence[Vectors], pooling: Pooling | None
) -> tuple[dict[str, Any], Vectors]:
    """Columns and vectors, one row a sequence or one a base."""
    if pooling is None:
        return _columns([base for piece in slab for base in _bases(piece)]), np.concatenate(vectors)
    return _columns(slab), np.stack(vectors)


def _bases(piece: Interval) -> Iterator[Interval]:
    """Each base of an interval, in the order in which the model reads them."""
    positions = range(piece.start, piece.end)
    for at in positions if piece.strand == "+" else reversed(positions):
        yield Interval(
            piece.genome, piece.tokenizer, piece.id, piece.contig, at, at + 1, piece.strand
        )


def _columns(pieces: Sequence[Interval]) -> dict[str, Any]:
    return {
        "id": [piece.id for piece in pieces],
        "contig": [piece.contig for piece in pieces],
        "start": np.array([piece.start for piece in pieces], dtype=np.int64),
        "end": np.array([piece.end for piece in pieces], dtype=np.int64),
        "strand": [piece.strand for piece in pieces],
    }
