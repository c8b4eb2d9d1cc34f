"""``dnamamba motifs``: aligned sequences to a motif."""

from pathlib import Path

import numpy as np

from dnamamba.alphabet import Tokenizer
from dnamamba.arguments import real
from dnamamba.commands.flags import of_tables, refuse
from dnamamba.commands.meme import Motif, write_meme
from dnamamba.commands.output import check_output
from dnamamba.commands.pieces import intervals
from dnamamba.commands.table_rows import read_table
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.labelled.tables import is_table
from dnamamba.inference.sources import Sources

__all__ = ["motif_file"]

_AT_ONCE = 1 << 22  # bases


def motif_file(
    fasta: str,
    output: str,
    bed: str | None = None,
    column: str | None = None,
    name: str | None = None,
    pseudocount: float = 0.0,
    overwrite: bool = False,
) -> None:
    """Count the bases of aligned sequences and write their shares as a motif.

    The sequences, records of a FASTA, rows of a table, or regions of a genome, have one length; a
    region on the minus strand is read there. N and IUPAC codes count as no base. The output is
    minimal MEME format, which the MEME suite (Tomtom, FIMO) and Biopython read.

    Args:
        fasta: the sequences: plain, gzip or bgzip; a table (.csv, .tsv, .parquet) with a column of
            them; or a genome, with --bed.
        output: a .meme file.
        bed: take these regions of the FASTA.
        column: of a table, the column of sequences.
        name: of the motif; null: the output's.
        pseudocount: added to the count of each base at each position.
        overwrite: replace an output that exists.

    Raises:
        ValueError: bad input, sequences of several lengths, or a position without a base; names
            file and record.
    """
    path = check_output(output, (".meme",), overwrite)
    name = "_".join((path.name.removesuffix(".meme") if name is None else name).split())
    if not name:
        raise ValueError("a motif has a name, and this one is blank; set another by --name")
    extra = real("pseudocount", pseudocount)
    if not 0 <= extra < np.inf:
        raise ValueError(f"pseudocount must be 0 or more, got {pseudocount}")
    tokenizer = Tokenizer()
    pieces: Sources
    if is_table(fasta):
        refuse(fasta, {"bed": bed}, "a table, whose rows are the sequences")
        pieces = read_table(fasta, tokenizer, column, (), lambda _: False)
    else:
        refuse(fasta, of_tables(column, ()), "a FASTA")
        pieces = intervals(Genome(fasta), tokenizer, bed)
    counts = _counts(pieces, tokenizer, fasta) + extra
    if empty := np.flatnonzero(counts.sum(1) == 0).tolist():
        raise ValueError(
            f"{fasta}: no sequence has a base at position {empty[0] + 1}; set --pseudocount"
        )
    write_meme(Path(path), [Motif(name, counts / counts.sum(1, keepdims=True), len(pieces))])


def _counts(pieces: Sources, tokenizer: Tokenizer, where: str) -> np.ndarray:
    """(width, 4) how often A, C, G and T stand at each position."""
    width = int(pieces.lengths[0])
    if other := np.flatnonzero(pieces.lengths != width).tolist():
        raise ValueError(
            f"{where}: sequences of a motif have one length, and number {other[0] + 1} has "
            f"{pieces.lengths[other[0]]} bases, the first {width}; cut them alike"
        )
    counts = np.zeros((width, 4))
    step = max(1, _AT_ONCE // width)
    for first in range(0, len(pieces), step):
        some = pieces.take(slice(first, first + step))
        ids = np.zeros((len(some), width), np.uint8)
        some.write(np.zeros(len(some), np.int64), some.lengths, ids)
        counts += [
            [(ids[:, at] == base).sum() for base in tokenizer.base_ids] for at in range(width)
        ]
    return counts
