"""``dnamamba embed``: FASTA, BED, VCF or a table to a file of embeddings."""

import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnamamba.commands.dry_run import written_to
from dnamamba.commands.embedding_input import EmbeddingInput, open_input
from dnamamba.commands.output import check_output
from dnamamba.commands.pieces import Piece
from dnamamba.commands.processes import World, join_world
from dnamamba.commands.progress import progress
from dnamamba.commands.sealed import is_sealed
from dnamamba.commands.track_rows import in_track_order
from dnamamba.commands.vector_files import ENDINGS, check_vectors, is_reserved, open_vectors
from dnamamba.commands.vector_tracks import (
    chosen_dimensions,
    open_vector_tracks,
    track_paths,
)
from dnamamba.data.variants import VariantChecks
from dnamamba.device import best_device
from dnamamba.inference.intervals import Intervals
from dnamamba.inference.settings import BATCH_SIZE, CHUNK_LENGTH, Pooling
from dnamamba.inference.sources import sources_of
from dnamamba.tracks import ENDINGS as TRACKS

if TYPE_CHECKING:
    from dnamamba.commands.embedding_parts import EmbeddingJob

__all__ = ["embed_fasta"]

_log = logging.getLogger(__name__)


def embed_fasta(
    model: str,
    fasta: str,
    output: str,
    bed: str | None = None,
    vcf: str | None = None,
    window: int | None = None,
    pooling: Pooling | None = "mean",
    layer: int = -1,
    both_strands: bool = False,
    checks: VariantChecks = VariantChecks(),  # noqa: B008 (frozen)
    batch_size: int = BATCH_SIZE,
    chunk_length: int = CHUNK_LENGTH,
    max_bases: int | None = None,
    overlap: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
    *,
    column: str | None = None,
    keep: Sequence[str] = (),
    dimensions: Sequence[str] = (),
) -> None:
    """Embed the records of a FASTA file, regions of it, the alleles of variants, or a table's rows.

    A causal model streams sequences of any length in chunks, the state carried: memory does not
    grow with their length. A model that reads both ways reads a sequence whole, or in overlapping
    windows where it does not fit. Of a model that treats both strands alike, vectors are the mean
    of both halves of its hidden states.

    The columns of the output are id, contig, start, end (0-based, half-open), strand and embedding
    (float32); rows stand in the order of the input. Variants have two rows each, told apart by a
    column allele: ref, alt. Rows of a table (.csv, .tsv, .tab, also .gz; .parquet) have the id of
    its column id, or are called by file and line, and have what is kept; a row a base has start
    and end within its sequence, too. An .npz or .h5ad keeps all columns but the embedding in memory
    while it is written; for one row a base of large genomes take .parquet.

    An output that ends in .bw or .bedgraph is a track: of records or regions, one number of the
    vector of every base (pooling null) or window, at its place on the plus strand; of several
    dimensions a file each, OUTPUT.e0.bw and so on.

    The work is done in parts of about a million bases, of sixteen million where a GPU pools them,
    in the folder OUTPUT.parts, which the finished output replaces. Started again after a kill, it
    goes on from the first part that is missing; a part that is no more what was written is made
    again. Under torchrun the parts are shared among the processes, one a GPU; they need the same
    files. Neither changes a vector.

    Args:
        model: a model's folder, of this or another program, a training checkpoint, or the name of a
            packaged model or of one on the Hugging Face hub.
        fasta: the sequences, or the reference of the VCF: plain, gzip or bgzip; or a table with a
            column of sequences.
        output: a .parquet, .npz or .h5ad (AnnData) file; or a track: .bw or .bigwig, .bedgraph or
            .bedgraph.gz.
        bed: embed these regions instead of whole records; a minus in the strand column reads
            the other strand.
        vcf: embed windows with REF and with ALT around these variants instead.
        window: cut records or regions into windows of so many bases side by side; null leaves
            them whole. Around a variant, 1024 bases unless this says otherwise.
        pooling: mean, max or last over a sequence's bases; null for one row a base.
        layer: take the hidden states behind this block, counted from 0; -1 stands for those
            behind the final norm.
        both_strands: one vector for both strands, the mean of a sequence's and of its reverse
            complement's; one a base stands at the plus strand's positions. It takes twice the
            time, unless the model treats the strands alike.
        checks: what to do with records of the VCF that cannot be used.
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
        dimensions: of a track, which numbers of the vectors, from 0.

    Raises:
        ValueError: bad input; names file, record or argument, and a remedy.
        ModuleNotFoundError: a library is missing; names the extra to install.
    """
    from dnamamba.checkpoint import load
    from dnamamba.commands.agreement import check_same
    from dnamamba.commands.embedding_parts import EmbeddingJob
    from dnamamba.inference.models import backbone_of
    from dnamamba.inference.reading import Reading

    with join_world() as world:
        path = check_output(output, (*ENDINGS, *TRACKS), overwrite)
        check_vectors(path)
        language_model, tokenizer = load(model, best_device(device))
        width = backbone_of(language_model).config.d_model
        chosen = chosen_dimensions(dimensions, path, width)
        for track in track_paths(path, chosen) if chosen else ():
            check_output(track, TRACKS, overwrite)
        taken = partial(is_reserved, path)
        of_table = {"column": column, "keep": keep, "pooling": pooling, "taken": taken}
        read = open_input(fasta, tokenizer, bed, vcf, window, checks, of_table)
        if chosen is not None:
            read = _as_track(read, path)
        check_same(world, language_model, tokenizer, read.genomes, *read.files)
        reading = Reading(batch_size, chunk_length, max_bases, overlap)
        settings = (pooling, layer, both_strands, reading, chosen)
        job = EmbeddingJob(language_model, tokenizer, read.pieces, read.columns, *settings)
        parts = job.parts(path.with_name(f"{path.name}.parts"), read.digest)
        _write_parts(job, parts, world)
        world.wait()
        if world.rank == 0:
            names = {"model": str(model), read.kind: Path(fasta).name}
            how = {"pooling": pooling or "none", "layer": str(layer)}
            how |= {"strands": "2"} if both_strands else {}
            if chosen is None:
                columns = job.columns, job.numbers
                output_file: Any = open_vectors(path, job.shape, {**names, **how}, *columns)
            else:
                output_file = open_vector_tracks(path, chosen, read.genomes[0].contigs)
            _merge(job, parts, output_file)


def _as_track(read: EmbeddingInput, path: Path) -> EmbeddingInput:
    """The regions in the order of a track."""
    if not isinstance(read.pieces, Intervals):
        raise ValueError(
            f"{path} is a track, of places on a genome: give a FASTA, with or without --bed, not a "
            "table or a VCF; or name another kind of output"
        )
    return read._replace(pieces=in_track_order(read.pieces, path))


def _write_parts(job: "EmbeddingJob", parts: "dict[Path, Sequence[Piece]]", world: World) -> None:
    """Write this process's share of the parts that are missing."""
    from dnamamba.inference.sharing import dealt

    costs = [int(sources_of(pieces).lengths.sum()) for pieces in parts.values()]
    owners = dealt(costs, world.size)
    share = [part for part, own in zip(parts.items(), owners, strict=True) if own == world.rank]
    missing = [(path, pieces) for path, pieces in share if not path.exists()]
    done = sum(world.gather(len(share) - len(missing)))
    if done and world.rank == 0:
        _log.info("resumed: %d of %d parts are there", done, len(parts))
    bases = job.strands * sum(int(sources_of(pieces).lengths.sum()) for _, pieces in missing)
    title = "embed" if world.size == 1 else f"embed, process 1 of {world.size}"
    try:
        shown = progress(title, bases, shown=world.rank == 0)
        home = written_to(next(iter(parts)).parent)
        with home as folder, shown as advance, _one_behind() as store:
            for path, pieces in missing:
                job.write(folder / path.name, pieces, advance, store)
    except BaseException:
        with suppress(OSError):  # it holds parts
            next(iter(parts)).parent.rmdir()
        raise


@contextmanager
def _one_behind() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Yields what has work done on a thread while the caller goes on, one piece at a time.

    An error of that work is raised by the next call, or when the block ends.
    """
    with ThreadPoolExecutor(1) as thread:
        waiting: list[Future[None]] = []

        def store(work: Callable[[], None]) -> None:
            while waiting:
                waiting.pop().result()
            waiting.append(thread.submit(work))

        yield store
        while waiting:
            waiting.pop().result()


def _merge(
    job: "EmbeddingJob",
    parts: "dict[Path, Sequence[Piece]]",
    output_file: AbstractContextManager[Any],
) -> None:
    """Make the output of the parts, and remove them."""
    with output_file as output:
        for part, pieces in parts.items():
            if not is_sealed(part):
                _log.warning("%s is damaged, not what was written; it is made again", part)
                job.write(part, pieces, lambda _: None)
            for columns, vectors in job.read(part, pieces):
                output.write(columns, vectors)
    shutil.rmtree(next(iter(parts)).parent)
