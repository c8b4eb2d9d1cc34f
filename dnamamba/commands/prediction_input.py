"""What ``dnamamba predict`` reads: sequences of a FASTA or a table, or the variants of a VCF."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dnamamba.alphabet import Tokenizer
from dnamamba.commands.flags import of_tables, of_variants, refuse
from dnamamba.commands.pieces import intervals
from dnamamba.commands.table_rows import read_table
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.labelled.tables import is_table
from dnamamba.data.variants import VariantChecks, read_variants
from dnamamba.inference.variant_windows import variant_windows

if TYPE_CHECKING:
    from torch import nn

    from dnamamba.inference.prediction import Pair
    from dnamamba.model.classifier import Classifier, VariantClassifier

__all__ = ["PredictionInput", "open_input"]

_VCF_ENDINGS = (".vcf", ".vcf.gz", ".vcf.bgz")

Columns = dict[str, list[Any]]


class PredictionInput(NamedTuple):
    """What is to be labelled, and by whom.

    Attributes:
        network: the model, which has labels.
        places: columns that say what each row is.
        sources: the sequences, or pairs of windows.
        bases: that the model will read, once.
        genomes: that are open.
        files: that were read beside them.
    """

    network: "Classifier | VariantClassifier"
    places: Columns
    sources: Sequence[Any]
    bases: int
    genomes: tuple[Genome, ...]
    files: tuple[str | None, ...]


def open_input(
    network: "nn.Module",
    tokenizer: Tokenizer,
    fasta: str,
    bed: str | None,
    vcf: str | None,
    window: int | None,
    checks: VariantChecks,
    column: str | None,
    keep: Sequence[str],
) -> PredictionInput:
    """What a model of its kind labels; the arguments are those of ``predict_file``.

    Raises:
        ValueError: a model without labels, bad input, or a flag that has no meaning for it; names
            file, record or flag.
    """
    from dnamamba.model.classifier import Classifier, VariantClassifier

    if isinstance(network, VariantClassifier):
        if vcf is None:
            raise ValueError(
                f"the model labels variants: name their VCF with --vcf, their reference as FASTA "
                f"(FASTA: {fasta})"
            )
        flags = {"bed": bed, "window": window, **of_tables(column, keep)}
        refuse(vcf, flags, "a VCF, which this model labels")
        if is_table(fasta):
            raise ValueError(f"the reference of {vcf} must be a FASTA, and {fasta} is a table")
        genome = Genome(fasta)
        columns, pairs = _read_variants(network, tokenizer, vcf, genome, checks)
        bases = 2 * len(pairs) * (network.settings.length or 0)
        return PredictionInput(network, columns, pairs, bases, (genome,), (vcf,))
    if not isinstance(network, Classifier):
        raise ValueError(
            "the model is a language model, which has no labels; fine-tune it first "
            "(configs/finetune-sequence.yaml)"
        )
    if is_table(fasta):
        flags = {"bed": bed, **of_variants(vcf, checks), "window": window}
        refuse(fasta, flags, "a table, whose rows are the sequences")
        return _read_rows(network, tokenizer, fasta, column, keep)
    refuse(fasta, of_variants(vcf, checks), "a FASTA, which this model labels")
    refuse(fasta, of_tables(column, keep), "a FASTA")
    if str(fasta).endswith(_VCF_ENDINGS):
        raise ValueError(f"the model labels sequences, but {fasta} is a VCF; give a FASTA")
    return _read_sequences(network, tokenizer, fasta, bed, window)


def _read_sequences(
    network: "Classifier", tokenizer: Tokenizer, fasta: str, bed: str | None, window: int | None
) -> PredictionInput:
    if window is not None and window < 1:
        raise ValueError(f"window must be at least 1 base, got {window}")
    pieces = intervals(Genome(fasta), tokenizer, bed).cut(window)
    columns = {name: pieces.column(name) for name in ("id", "contig", "start", "end", "strand")}
    bases = int(pieces.lengths.sum())
    return PredictionInput(network, columns, pieces, bases, (pieces.genome,), (bed,))


def _read_rows(
    network: "Classifier",
    tokenizer: Tokenizer,
    table: str,
    column: str | None,
    keep: Sequence[str],
) -> PredictionInput:
    from dnamamba.model.heads import prediction_columns

    labels = network.settings.labels
    taken = prediction_columns([], labels, np.empty((0, len(labels))))
    rows = read_table(table, tokenizer, column, keep, taken.__contains__)
    columns = {name: rows.column(name) for name in rows.names}
    return PredictionInput(network, columns, rows, int(rows.lengths.sum()), (), (table,))


def _read_variants(
    network: "VariantClassifier",
    tokenizer: Tokenizer,
    vcf: str,
    genome: Genome,
    checks: VariantChecks,
) -> "tuple[Columns, list[Pair]]":
    from dnamamba.inference.prediction import Pair

    genome.check(tokenizer)
    length = network.settings.length
    if length is None:
        raise ValueError("the model does not say how long its windows are (head.length)")
    variants = list(read_variants(vcf, genome, checks, longest=length - length // 2))
    if not variants:
        raise ValueError(f"{vcf}: no variant is left to label")
    windows = variant_windows(genome, tokenizer, variants, length)
    pairs = [
        Pair(ref, alt, variant.start - ref.start, ref.end - variant.start - len(variant.ref))
        for variant, ref, alt in zip(variants, windows[0::2], windows[1::2], strict=True)
    ]
    columns: Columns = {
        "contig": [variant.vcf_contig for variant in variants],
        "pos": [variant.start + 1 for variant in variants],
        "id": [variant.id or "." for variant in variants],
        "ref": [variant.ref for variant in variants],
        "alt": [variant.alt for variant in variants],
    }
    return columns, pairs
