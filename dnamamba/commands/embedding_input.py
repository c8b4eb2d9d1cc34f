"""What ``dnamamba embed`` reads: parts of a FASTA, alleles of a VCF, or rows of a table."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dnamamba.alphabet import Tokenizer
from dnamamba.commands.flags import of_tables, of_variants, refuse
from dnamamba.commands.pieces import intervals
from dnamamba.commands.table_rows import read_table
from dnamamba.commands.vector_files import COLUMNS
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.genome.seal import file_hash
from dnamamba.data.labelled.tables import is_table
from dnamamba.data.variants import VariantChecks, read_variants
from dnamamba.inference.settings import Pooling
from dnamamba.inference.variant_windows import variant_windows

__all__ = ["EmbeddingInput", "open_input"]

_VARIANT_WINDOW = 1024


class EmbeddingInput(NamedTuple):
    """The sequences of an output, and where they are from.

    Attributes:
        kind: fasta or table.
        pieces: the sequences, in the order of the output.
        columns: attributes or columns of the pieces to write beside the vectors.
        digest: of the bases.
        genomes: that are open.
        files: that were read beside them.
    """

    kind: str
    pieces: Sequence[Any]
    columns: tuple[str, ...]
    digest: str
    genomes: tuple[Genome, ...] = ()
    files: tuple[str | None, ...] = ()


def _genome(
    fasta: str,
    tokenizer: Tokenizer,
    bed: str | None,
    vcf: str | None,
    window: int | None,
    checks: VariantChecks,
) -> EmbeddingInput:
    """Records, regions, or both alleles of variants.

    Raises:
        ValueError: bad input, or flags that exclude each other; names file, record or flag.
    """
    genome = Genome(fasta)
    pieces = _pieces(genome, tokenizer, bed, vcf, window, checks)
    columns = COLUMNS if vcf is None else (*COLUMNS, "allele")
    return EmbeddingInput("fasta", pieces, columns, genome.digest, (genome,), (bed, vcf))


def _table(
    path: str,
    tokenizer: Tokenizer,
    column: str | None,
    keep: Sequence[str],
    pooling: Pooling | None,
    taken: Callable[[str], bool],
) -> EmbeddingInput:
    """The rows of a table; where each base has a vector, with its place in the sequence.

    Args:
        path: the table.
        tokenizer: the model's.
        column: see ``read_table``.
        keep: see ``read_table``.
        pooling: see ``embed``.
        taken: whether the output's format needs a name for itself.

    Raises:
        ValueError: bad input; names file, line and column.
    """
    places = ("start", "end") if pooling is None else ()
    rows = read_table(path, tokenizer, column, keep, lambda name: name in places or taken(name))
    id, *kept = rows.names
    digest = f"{file_hash(Path(path))} {rows.sequence}"
    return EmbeddingInput("table", rows, (id, *places, *kept), digest, files=(path,))


def open_input(
    fasta: str,
    tokenizer: Tokenizer,
    bed: str | None,
    vcf: str | None,
    window: int | None,
    checks: VariantChecks,
    table: dict[str, Any],
) -> EmbeddingInput:
    """One of both, by the file's name; ``table`` are the arguments of ``_table`` alone.

    Raises:
        ValueError: bad input, or a flag that has no meaning for it; names it.
    """
    if is_table(fasta):
        of_genomes = {"bed": bed, **of_variants(vcf, checks), "window": window}
        refuse(fasta, of_genomes, "a table, whose rows are the sequences")
        return _table(fasta, tokenizer, **table)
    refuse(fasta, of_tables(table["column"], table["keep"]), "a FASTA")
    return _genome(fasta, tokenizer, bed, vcf, window, checks)


def _pieces(
    genome: Genome,
    tokenizer: Tokenizer,
    bed: str | None,
    vcf: str | None,
    window: int | None,
    checks: VariantChecks,
) -> Sequence[Any]:
    if vcf is None:
        if checks != VariantChecks():
            raise ValueError(
                "checks are of variants: name their file with --vcf, or leave them out"
            )
        return intervals(genome, tokenizer, bed).cut(window)
    if bed is not None:
        raise ValueError("bed and vcf both say what to embed; drop one of them")
    genome.check(tokenizer)
    length = _VARIANT_WINDOW if window is None else window
    variants = read_variants(vcf, genome, checks, longest=length - length // 2)
    windows = variant_windows(genome, tokenizer, variants, length)
    if not windows:
        raise ValueError(f"{vcf} holds no variant that can be embedded")
    return windows
