"""What of a genome a command reads: whole records, the regions of a BED, or other places."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dnamamba.alphabet import Tokenizer
from dnamamba.commands.table_rows import TableRows
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.windows.bed import bed_rows
from dnamamba.data.windows.regions import Contigs
from dnamamba.inference.intervals import Intervals
from dnamamba.inference.sources import Source

__all__ = ["Piece", "intervals", "values_of"]


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


def intervals(genome: Genome, tokenizer: Tokenizer, bed: str | Path | None = None) -> Intervals:
    """The regions of a BED file, in its order, or every contig whole.

    Raises:
        ValueError: the genome holds a letter that the tokenizer's policy refuses, or the BED
            names what is not there; names file, line or contig.
    """
    genome.check(tokenizer)
    if bed is None:
        lengths = np.array(list(genome.contigs.values()), dtype=np.int64)
        every = np.arange(len(lengths))
        plus = np.zeros(len(lengths), dtype=np.bool_)
        columns = every, every, np.zeros_like(lengths), lengths, plus
        return Intervals(genome, tokenizer, list(genome.contigs), *columns)
    contigs = Contigs.of({genome.name: genome.contigs})
    names: list[str] = []
    rows: list[tuple[int, int, int, bool]] = []
    for line, number, start, end, name, strand in bed_rows(bed, contigs):
        if strand not in ("+", "-", ".", ""):
            raise ValueError(
                f"{bed}, line {line:,}: strand must be + or - or ., got {strand!r}; the sixth "
                "column is the strand: part columns by tabs, or keep the first three "
                "(awk -v OFS='\\t' '{print $1, $2, $3}')"
            )
        if name in ("", "."):
            name = f"{contigs.names[number]}:{start}-{end}"
        names.append(name)
        rows.append((number, start, end, strand == "-"))
    if not rows:
        raise ValueError(f"{bed} holds no region")
    number, start, end, minus = np.array(rows, dtype=np.int64).T.copy()
    columns = np.arange(len(rows)), number, start, end, minus.astype(np.bool_)
    return Intervals(genome, tokenizer, names, *columns)


def values_of(pieces: Sequence[Any], name: str) -> list[Any]:
    """An attribute of each: id, contig, start, end or strand; of the rows of a table a column."""
    if isinstance(pieces, Intervals | TableRows):
        return pieces.column(name)
    return [getattr(piece, name) for piece in pieces]
