"""``dnamamba evaluate``: FASTA to bits per base, contig by contig."""

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from dnamamba.arguments import each_once, path_texts
from dnamamba.commands.output import check_output
from dnamamba.commands.pieces import intervals
from dnamamba.commands.processes import join_world
from dnamamba.commands.progress import progress
from dnamamba.commands.track_rows import in_track_order
from dnamamba.data.genome.assemblies import located
from dnamamba.data.genome.fasta import Genome
from dnamamba.device import best_device
from dnamamba.files import replacing
from dnamamba.inference.intervals import Interval
from dnamamba.inference.settings import BATCH_SIZE, CHUNK_LENGTH, MASK_EVERY
from dnamamba.tracks import ENDINGS, ending_of

if TYPE_CHECKING:
    from dnamamba.inference.scoring import Scores

__all__ = ["evaluate_fasta"]

_SHOWN = 20


def evaluate_fasta(
    model: str,
    fasta: list[str],
    output: str | None = None,
    bed: str | None = None,
    window: int | None = None,
    mask_every: int | None = MASK_EVERY,
    batch_size: int = BATCH_SIZE,
    chunk_length: int = CHUNK_LENGTH,
    max_bases: int | None = None,
    overlap: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
) -> None:
    """Bits per base of FASTA files under a model.

    A causal model streams whole contigs in chunks, the state carried from end to end: memory does
    not grow with the contig. A model that reads both ways guesses every base from all others, the
    base itself masked (pseudo-log-likelihood, not to be compared with a causal model's bits); a
    contig that does not fit is read in overlapping windows. N and IUPAC codes are read but not
    scored.

    An output that ends in .bw or .bedgraph is a track of the log-likelihood of every base, in nats,
    at its place on the plus strand whichever strand was read; contigs are streamed into it.

    Under torchrun the work is shared among the processes, one a GPU; they need the same files. It
    changes no figure.

    Args:
        model: a model's folder, of this or another program, a training checkpoint, or the name of a
            packaged model or of one on the Hugging Face hub.
        fasta: one or more FASTA files: plain, gzip or bgzip.
        output: write a table of all pieces, too: .json or .tsv; or a track of every base: .bw or
            .bigwig, .bedgraph or .bedgraph.gz; of one FASTA file, and of regions that do not
            overlap.
        bed: score these regions instead of whole contigs; with a single FASTA file.
        window: score windows of so many bases side by side, each on its own, as validation does.
        mask_every: k, of a model that reads both ways: mask every k-th base at a time, in k passes;
            null masks one base at a time, which is exact and takes as many passes as there are
            bases.
        batch_size: most contigs, regions or windows side by side; of a model that reads both
            ways, passes.
        chunk_length: most bases at a time of one sequence, by a causal model.
        max_bases: bases at a time, in all sequences side by side, on a CPU on each thread;
            bounds the memory. null: as many as keep the device busy and fit.
        overlap: bases that a window of a sequence longer than max_bases reads on either side of
            those it answers for, by a model that reads both ways; null: 8192, or a quarter of
            max_bases.
        device: where to run: cpu, cuda, mps; auto takes a GPU if there is one.
        overwrite: replace an output that exists.

    Raises:
        ValueError: bad input; names file, record or argument, and a remedy.
    """
    from dnamamba.checkpoint import load
    from dnamamba.commands.agreement import check_same
    from dnamamba.commands.evaluate_track import evaluate_track
    from dnamamba.inference.evaluation import evaluate
    from dnamamba.inference.scoring import score_settings

    with join_world() as world:
        texts = path_texts("fasta", fasta)
        fasta = [texts] if isinstance(texts, str) else texts
        if not fasta:
            raise ValueError("no FASTA is named; name at least one")
        each_once("fasta", [located(path) for path in fasta])
        if bed is not None and len(fasta) != 1:
            raise ValueError(f"bed goes with one FASTA file, got {len(fasta)}")
        path = None
        if output is not None:
            path = check_output(output, (".json", ".tsv", *ENDINGS), overwrite)
        is_track = path is not None and ending_of(path) is not None
        if is_track and len(fasta) != 1:
            raise ValueError(f"a track is of one FASTA file, got {len(fasta)}; write one of each")
        language_model, tokenizer = load(model, best_device(device))
        genomes = [Genome(path) for path in fasta]
        each = [intervals(genome, tokenizer, bed) for genome in genomes]
        if path is not None and is_track:
            each = [in_track_order(each[0], path)]
        pieces = [piece for part in each for piece in part]
        check_same(world, language_model, tokenizer, genomes, bed)
        how: dict[str, Any] = {
            "window": window,
            "batch_size": batch_size,
            "chunk_length": chunk_length,
            "mask_every": mask_every,
            "max_bases": max_bases,
            "overlap": overlap,
            "share": world,
        }
        with progress("evaluate", sum(map(len, pieces)), shown=world.rank == 0) as how["advance"]:
            if is_track:
                written = path if world.rank == 0 else None
                scores = evaluate_track(written, language_model, tokenizer, each[0], **how)
            else:
                scores = evaluate(language_model, tokenizer, pieces, **how)
        if world.rank:
            return
        rows = _rows(pieces, scores)
        total = _total(scores)
        method = score_settings(language_model, tokenizer, mask_every)
        _show(rows, total, masked=bool(method))
        if path is not None and not is_track:
            settings = {"model": model, "fasta": fasta, "bed": bed, "window": window, **method}
            _write(path, settings, rows, total)


def _rows(pieces: Sequence[Interval], scores: "Scores") -> list[dict[str, Any]]:
    return [
        {
            "genome": piece.genome.name,
            "id": piece.id,
            "contig": piece.contig,
            "start": piece.start,
            "end": piece.end,
            "strand": piece.strand,
            "scored_bases": bases,
            "bits_per_base": None if math.isnan(bits) else bits,
        }
        for piece, bases, bits in zip(
            pieces, scores.bases.tolist(), scores.bits_per_base.tolist(), strict=True
        )
    ]


def _total(scores: "Scores") -> dict[str, Any]:
    from dnamamba.inference.scoring import Scores

    whole = Scores(scores.log_likelihood.sum(keepdims=True), scores.bases.sum(keepdims=True))
    bits = float(whole.bits_per_base[0])
    return {
        "scored_bases": int(whole.bases[0]),
        "bits_per_base": None if math.isnan(bits) else bits,
        "perplexity": None if math.isnan(bits) else 2.0**bits,
    }


def _show(rows: list[dict[str, Any]], total: dict[str, Any], masked: bool) -> None:
    caption = "coordinates 0-based, half-open; N and IUPAC codes are not scored"
    if masked:
        caption += "; each base masked and guessed: not to be compared with a causal model's bits"
    table = Table(caption=caption)
    for name, side in (("genome", "left"), ("piece", "left"), ("scored bases", "right")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    table.add_column("bits per base", justify="right")
    for row in rows[:_SHOWN]:
        place = f"{row['contig']}:{row['start']}-{row['end']}({row['strand']})"
        table.add_row(row["genome"], place, f"{row['scored_bases']:,}", _bits(row))
    if len(rows) > _SHOWN:
        table.add_row("", f"... and {len(rows) - _SHOWN:,} more", "", "")
    table.add_section()
    table.add_row("total", "", f"{total['scored_bases']:,}", _bits(total))
    Console().print(table)


def _bits(row: dict[str, Any]) -> str:
    return "-" if row["bits_per_base"] is None else f"{row['bits_per_base']:.4f}"


def _write(
    path: Path, settings: dict[str, Any], rows: list[dict[str, Any]], total: dict[str, Any]
) -> None:
    if path.suffix == ".json":
        text = json.dumps({**settings, "total": total, "pieces": rows}, indent=2) + "\n"
    else:
        lines = io.StringIO()
        columns = list(rows[0])
        writer = csv.DictWriter(lines, columns, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        text = lines.getvalue()
    with replacing(path) as file:
        file.write(text.encode())
