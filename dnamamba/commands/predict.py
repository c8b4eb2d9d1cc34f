"""``dnamamba predict MODEL``: FASTA, BED, VCF or a table to a table of predictions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dnamamba.alphabet import Tokenizer
from dnamamba.commands.output import check_output
from dnamamba.commands.prediction_input import open_input
from dnamamba.commands.processes import World, join_world
from dnamamba.commands.progress import progress
from dnamamba.data.variants import VariantChecks
from dnamamba.device import best_device
from dnamamba.inference.settings import BATCH_SIZE, CHUNK_LENGTH
from dnamamba.tables import TABLE_ENDINGS, check_table, write_table

if TYPE_CHECKING:
    from torch import nn


__all__ = ["predict_file", "predict_table"]

Columns = dict[str, list[Any]]


def predict_file(
    model: str,
    fasta: str,
    output: str,
    bed: str | None = None,
    vcf: str | None = None,
    window: int | None = None,
    checks: VariantChecks = VariantChecks(),  # noqa: B008 (frozen)
    both_strands: bool | None = None,
    batch_size: int = BATCH_SIZE,
    chunk_length: int = CHUNK_LENGTH,
    max_bases: int | None = None,
    overlap: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
    *,
    column: str | None = None,
    keep: Sequence[str] = (),
) -> None:
    """Label the sequences of a FASTA or a table, or the variants of a VCF, by a fine-tuned model.

    One row a sequence: id, contig, start, end (0-based, half-open), strand; or one row an allele:
    contig and pos (as in the VCF, from 1), id, ref, alt. Rows of a table (.csv, .tsv, .tab, also
    .gz; .parquet) have the id of its column id, or are called by file and line, and have what is
    kept. Then follow the predicted label and the probability of each label; for regression the
    predicted number.

    Under torchrun the work is shared among the processes, one a GPU; they need the same files. It
    changes no figure.

    Args:
        model: a fine-tuned model's folder, or its training checkpoint.
        fasta: the sequences, or for a model of variants their reference: plain, gzip or bgzip; or
            a table with a column of sequences.
        output: a .parquet or .tsv file.
        bed: label these regions instead of whole records; a minus in the strand column reads the
            other strand.
        vcf: for a model of variants, the variants to label: plain, bgzip or gzip.
        window: cut records or regions into windows of so many bases side by side; null leaves
            them whole.
        checks: what to do with records of the VCF that cannot be used.
        both_strands: average over both strands; null: as the model was validated. It takes twice
            the time, unless the model treats the strands alike.
        batch_size: most sequences side by side.
        chunk_length: most bases at a time of one sequence, by a causal model.
        max_bases: bases at a time, in all sequences side by side, on a CPU on each thread;
            bounds the memory. null: as many as keep the device busy and fit.
        overlap: bases that a window of a sequence longer than max_bases reads on either side of
            those it answers for, by a model that reads both ways; null: 8192, or a quarter of
            max_bases.
        device: where to run: cpu, cuda, mps; auto takes a GPU if there is one.
        overwrite: replace an output that exists.
        column: of a table, the column of sequences; null: sequence, seq, sequences, dna or
            dna_sequence, in either case.
        keep: of a table, further columns that the output is to have, or all.

    Raises:
        ValueError: bad input; names file, record or argument, and a remedy.
        ModuleNotFoundError: Parquet without pyarrow, or a VCF without vcfpy; names the extra.
    """
    from dnamamba.checkpoint import load

    with join_world() as world:
        path = check_output(output, TABLE_ENDINGS, overwrite)
        check_table(path)
        network, tokenizer = load(model, best_device(device))
        how = bed, vcf, window, checks, both_strands, batch_size, chunk_length, max_bases, overlap
        table = predict_table(network, tokenizer, fasta, *how, column, keep, world)
        if world.rank == 0:
            write_table(path, table)


def predict_table(
    network: "nn.Module",
    tokenizer: Tokenizer,
    fasta: str,
    bed: str | None = None,
    vcf: str | None = None,
    window: int | None = None,
    checks: VariantChecks = VariantChecks(),  # noqa: B008 (frozen)
    both_strands: bool | None = None,
    batch_size: int = BATCH_SIZE,
    chunk_length: int = CHUNK_LENGTH,
    max_bases: int | None = None,
    overlap: int | None = None,
    column: str | None = None,
    keep: Sequence[str] = (),
    world: World = World(0, 1),  # noqa: B008 (frozen)
) -> Columns:
    """The columns that ``predict_file`` writes; its arguments are those of that function.

    ``world`` are the processes that share the work: all are given the whole table.

    Raises:
        ValueError: bad input; names file, record or argument, and a remedy.
    """
    from dnamamba.commands.agreement import check_same
    from dnamamba.inference.prediction import predict_sources
    from dnamamba.inference.reading import Reading

    read = open_input(network, tokenizer, fasta, bed, vcf, window, checks, column, keep)
    check_same(world, network, tokenizer, read.genomes, *read.files)
    settings, read_once = read.network.settings, read.network.reads_once
    both = settings.both_strands if both_strands is None else both_strands
    reading = Reading(batch_size, chunk_length, max_bases, overlap, world)
    strands = 2 if both and not read_once else 1
    with progress("predict", read.bases * strands, shown=world.rank == 0) as advance:
        sources = read.sources
        predictions = predict_sources(network, tokenizer, sources, both, reading, None, advance)
    return {**read.places, **predictions.columns()}
