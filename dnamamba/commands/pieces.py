"""What of a FASTA a command reads: whole records, or the regions of a BED."""

from pathlib import Path

from dnamamba.alphabet import Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.windows.bed import bed_rows
from dnamamba.data.windows.regions import Contigs
from dnamamba.inference.intervals import Interval, Strand

__all__ = ["intervals"]


def intervals(
    genome: Genome, tokenizer: Tokenizer, bed: str | Path | None = None
) -> list[Interval]:
    """The regions of a BED file, in its order, or every contig whole.

    Raises:
        ValueError: the genome holds a letter that the tokenizer's policy refuses, or the BED
            names what is not there; names file, line or contig.
    """
    genome.check(tokenizer)
    if bed is None:
        return [
            Interval(genome, tokenizer, contig, contig, 0, length)
            for contig, length in genome.contigs.items()
        ]
    contigs = Contigs.of({genome.name: genome.contigs})
    pieces = []
    for line, number, start, end, name, strand in bed_rows(bed, contigs):
        if strand not in ("+", "-", ".", ""):
            raise ValueError(
                f"{bed}, line {line:,}: strand must be + or - or ., got {strand!r}; the sixth "
                "column is the strand: part columns by tabs, or keep the first three "
                "(awk -v OFS='\\t' '{print $1, $2, $3}')"
            )
        contig = contigs.names[number]
        id = f"{contig}:{start}-{end}" if name in ("", ".") else name
        side: Strand = "-" if strand == "-" else "+"
        pieces.append(Interval(genome, tokenizer, id, contig, start, end, side))
    if not pieces:
        raise ValueError(f"{bed} holds no region")
    return pieces
