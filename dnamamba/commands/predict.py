"""``dnamamba predict MODEL``: FASTA, BED or VCF to a table of predictions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dnamamba.alphabet import Tokenizer
from dnamamba.commands.output import check_output
from dnamamba.commands.pieces import intervals
from dnamamba.commands.processes import World, join_world
from dnamamba.commands.progress import progress
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants import VariantChecks, read_variants
from dnamamba.device import best_device
from dnamamba.inference.intervals import Intervals
from dnamamba.inference.settings import BATCH_SIZE, CHUNK_LENGTH
from dnamamba.inference.variant_windows import variant_windows
from dnamamba.tables import TABLE_ENDINGS, check_table, write_table

if TYPE_CHECKING:
    from torch import nn

    from dnamamba.inference.prediction import Pair
    from dnamamba.model.classifier import VariantClassifier

__all__ = ["predict_file", "predict_table"]

_VCF_ENDINGS = (".vcf", ".vcf.gz", ".vcf.bgz")

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
) -> None:
    """Label the sequences of a FASTA, or the variants of a VCF, by a fine-tuned model.

    One row a sequence: id, contig, start, end (0-based, half-open), strand; or one row an allele:
    contig and pos (as in the VCF, from 1), id, ref, alt. Then follow the predicted label and the
    probability of each label; for regression the predicted number.

    Under torchrun the work is shared among the processes, one a GPU; they need the same files. It
    changes no figure.

    Args:
        model: a fine-tuned model's folder, or its training checkpoint.
        fasta: the sequences, or for a model of variants their reference: plain, gzip or bgzip.
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
            those it answers for; null: 8192, or a quarter of max_bases.
        device: where to run: cpu, cuda, mps; auto takes a GPU if there is one.
        overwrite: replace an output that exists.

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
        table = predict_table(network, tokenizer, fasta, *how, world)
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
    from dnamamba.model.classifier import Classifier, VariantClassifier

    if isinstance(network, VariantClassifier):
        if vcf is None:
            raise ValueError(
                f"the model labels variants: name their VCF with --vcf, their reference as FASTA "
                f"(FASTA: {fasta})"
            )
        _refuse(vcf, {"bed": bed, "window": window}, "a VCF, which this model labels")
        genome = Genome(fasta)
        places, pairs = _read_variants(network, tokenizer, vcf, genome, checks)
        bases = 2 * len(pairs) * (network.settings.length or 0)
        sources: Sequence[Any] = pairs
    elif isinstance(network, Classifier):
        of_variants = {"vcf": vcf, "checks": None if checks == VariantChecks() else checks}
        _refuse(fasta, of_variants, "a FASTA, which this model labels")
        if str(fasta).endswith(_VCF_ENDINGS):
            raise ValueError(f"the model labels sequences, but {fasta} is a VCF; give a FASTA")
        places, pieces = _read_sequences(tokenizer, fasta, bed, window)
        genome, bases = pieces.genome, int(pieces.lengths.sum())
        sources = pieces
    else:
        raise ValueError(
            "the model is a language model, which has no labels; fine-tune it first "
            "(configs/finetune-sequence.yaml)"
        )
    check_same(world, network, tokenizer, [genome], bed, vcf)
    both = network.settings.both_strands if both_strands is None else both_strands
    reading = Reading(batch_size, chunk_length, max_bases, overlap, world)
    strands = 2 if both and not network.reads_once else 1
    with progress("predict", bases * strands, shown=world.rank == 0) as advance:
        predictions = predict_sources(network, tokenizer, sources, both, reading, None, advance)
    return {**places, **predictions.columns()}


def _refuse(path: str, flags: dict[str, Any], kind: str) -> None:
    for name, value in flags.items():
        if value is not None:
            raise ValueError(f"--{name} has no meaning for {kind} (input: {path}); leave it out")


def _read_sequences(
    tokenizer: Tokenizer, fasta: str, bed: str | None, window: int | None
) -> tuple[Columns, Intervals]:
    if window is not None and window < 1:
        raise ValueError(f"window must be at least 1 base, got {window}")
    pieces = intervals(Genome(fasta), tokenizer, bed).cut(window)
    names = "id", "contig", "start", "end", "strand"
    return {name: pieces.column(name) for name in names}, pieces


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
