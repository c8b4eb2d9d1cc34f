"""How well a model predicts whole genomes: bits per base, contig by contig."""

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from dnamamba.alphabet import Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.files import replacing
from dnamamba.inference.intervals import Interval, cut, intervals
from dnamamba.inference.output import check_output
from dnamamba.inference.pretrained import best_device, load
from dnamamba.inference.progress import progress
from dnamamba.inference.scoring import Scores, score_sources
from dnamamba.inference.streaming import BATCH_SIZE, CHUNK_LENGTH

__all__ = ["evaluate", "evaluate_fasta"]

_GROUP = 1 << 16
_SHOWN = 20


def evaluate(
    model: nn.Module,
    tokenizer: Tokenizer,
    pieces: Sequence[Interval],
    *,
    window: int | None = None,
    batch_size: int = BATCH_SIZE,
    chunk_length: int = CHUNK_LENGTH,
    device: str | torch.device | None = None,
    advance: Callable[[int], None] | None = None,
) -> Scores:
    """Score intervals of genomes, streamed: memory does not grow with their length.

    Args:
        model: a ``LanguageModel``; its device and mode are given back.
        tokenizer: the model's.
        pieces: whole contigs or regions, each read from BOS on.
        window: read each piece as windows of so many bases side by side, each from BOS on, as
            validation does; None carries the state from end to end.
        batch_size: pieces or windows side by side.
        chunk_length: bases at a time.
        device: where to run; None is where the model is.
        advance: told of the bases done.

    Returns:
        Log-likelihood and number of scored bases of each piece.

    Raises:
        ValueError: an argument out of range, or a model that predicts no bases.
    """
    if window is not None and window < 1:
        raise ValueError(f"window must be at least 1 or null, got {window}")
    log_likelihood = np.zeros(len(pieces))
    bases = np.zeros(len(pieces), dtype=np.int64)
    for group in _groups(cut(pieces, window)):
        owners = np.array([owner for owner, _ in group])
        windows = [piece for _, piece in group]
        scores = score_sources(model, tokenizer, windows, batch_size, chunk_length, device, advance)
        np.add.at(log_likelihood, owners, scores.log_likelihood)
        np.add.at(bases, owners, scores.bases)
    return Scores(log_likelihood, bases)


def evaluate_fasta(
    model: str,
    fasta: list[str],
    bed: str | None = None,
    window: int | None = None,
    output: str | None = None,
    batch_size: int = BATCH_SIZE,
    chunk_length: int = CHUNK_LENGTH,
    device: str = "auto",
    overwrite: bool = False,
) -> None:
    """Bits per base of FASTA files under a model.

    Whole contigs are streamed in chunks, the state carried from end to end: memory does not
    grow with the contig. N and IUPAC codes are read but not scored.

    Args:
        model: a model's folder, a training checkpoint, or the name of a packaged model.
        fasta: one or more FASTA files: plain, gzip or bgzip.
        bed: score these regions instead of whole contigs; with a single FASTA file.
        window: score windows of so many bases side by side, each on its own, as validation does.
        output: a table of all pieces, .json or .tsv.
        batch_size: contigs, regions or windows side by side.
        chunk_length: bases at a time; bounds the memory together with batch_size.
        device: where to run: cpu, cuda, mps; auto takes a GPU if there is one.
        overwrite: replace an output that exists.

    Raises:
        ValueError: bad input; names file, record or argument, and a remedy.
    """
    if bed is not None and len(fasta) != 1:
        raise ValueError(f"bed goes with one FASTA file, got {len(fasta)}")
    if output is not None:
        check_output(output, (".json", ".tsv"), overwrite)
    language_model, tokenizer = load(model, best_device(device))
    pieces = [piece for path in fasta for piece in intervals(Genome(path), tokenizer, bed)]
    with progress("evaluate", sum(map(len, pieces))) as advance:
        scores = evaluate(
            language_model,
            tokenizer,
            pieces,
            window=window,
            batch_size=batch_size,
            chunk_length=chunk_length,
            advance=advance,
        )
    rows = _rows(pieces, scores)
    total = _total(scores)
    _show(rows, total)
    if output is not None:
        settings = {"model": model, "fasta": fasta, "bed": bed, "window": window}
        _write(Path(output), settings, rows, total)


def _groups(items: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(items)
    while group := list(islice(iterator, _GROUP)):
        yield group


def _rows(pieces: Sequence[Interval], scores: Scores) -> list[dict[str, Any]]:
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


def _total(scores: Scores) -> dict[str, Any]:
    whole = Scores(scores.log_likelihood.sum(keepdims=True), scores.bases.sum(keepdims=True))
    bits = float(whole.bits_per_base[0])
    return {
        "scored_bases": int(whole.bases[0]),
        "bits_per_base": None if math.isnan(bits) else bits,
        "perplexity": None if math.isnan(bits) else 2.0**bits,
    }


def _show(rows: list[dict[str, Any]], total: dict[str, Any]) -> None:
    table = Table(caption="coordinates 0-based, half-open; N and IUPAC codes are not scored")
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
