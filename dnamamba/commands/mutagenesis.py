"""``dnamamba mutagenesis``: regions of a genome to tables, tracks and pictures."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dnamamba.commands.meme import motif_of, write_meme
from dnamamba.commands.processes import join_world
from dnamamba.commands.progress import progress
from dnamamba.commands.regions import open_regions
from dnamamba.files import replacing_together
from dnamamba.inference.settings import CHUNK_LENGTH, CONTEXT, FLANK, SITES
from dnamamba.tracks import TrackEnding, open_track

if TYPE_CHECKING:
    from dnamamba.inference.mutagenesis import Effects

__all__ = ["mutagenesis"]


def mutagenesis(
    model: str,
    fasta: str,
    output: str,
    region: str | None = None,
    bed: str | None = None,
    context: int = CONTEXT,
    flank: int = FLANK,
    both_strands: bool = True,
    batch_size: int = SITES,
    chunk_length: int = CHUNK_LENGTH,
    max_bases: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
    tracks: TrackEnding = "bedgraph",
    motifs: int | None = None,
) -> None:
    """Score every single-base substitution of a region.

    A causal model compares the likelihoods of both alleles, each with the same flank bases behind
    it. A model that reads both ways guesses each position, masked, from context bases on either
    side.

    Writes OUTPUT.tsv, a line a substitution (start and end 0-based, half-open; log-likelihood
    ratios in nats, below 0 where the model prefers the reference); the tracks OUTPUT.mean.bedgraph
    and OUTPUT.max.bedgraph, or both as bigWig, the mean of a position's three substitutions and
    the one of the greatest effect, with its sign; and OUTPUT.png, a heat map below letters as high
    as the mean substitution costs, or OUTPUT.1.png and on where there are several regions, of
    the first 100. Positions where the reference is no A, C, G or T are left out.

    Under torchrun the work is shared among the processes, one a GPU; they need the same files. It
    changes no score.

    Args:
        model: a model's folder, of this or another program, a training checkpoint, or the name of a
            packaged model or of one on the Hugging Face hub.
        fasta: the reference: plain, gzip or bgzip.
        output: how the names of the outputs begin, as effects/brca1.
        region: contig:start-end, 0-based and half-open as in BED.
        bed: regions instead of one; those that overlap are joined.
        context: bases read before a region, on either strand; of a model that reads both ways, on
            either side of each position.
        flank: bases scored behind each substitution, on either strand; of a causal model alone.
        both_strands: average over both strands; false reads the plus strand alone, in half the
            time.
        batch_size: most substitutions side by side, or windows with a masked position.
        chunk_length: most bases at a time of one sequence, by a causal model.
        max_bases: bases at a time, in all windows side by side, on a CPU on each thread;
            bounds the memory. null: as many as keep the device busy and fit.
        device: where to run: cpu, cuda, mps; auto takes a GPU if there is one.
        overwrite: replace outputs that exist.
        tracks: how the names of the tracks end, which says what they are: bedGraph, the same by
            gzip, or bigWig (bw, bigwig).
        motifs: write OUTPUT.meme, too: of each region the so many neighbouring bases where
            substitutions weigh most, as a motif of what the model would have in their places.

    Raises:
        ValueError: bad input; names file, line or argument, and a remedy.
        OSError: there is no room for all of the files; then none is written.
    """
    from dnamamba.inference.mutagenesis import mutate

    with join_world() as world:
        endings = ["tsv", f"mean.{tracks}", f"max.{tracks}"]
        genome, places, paths, pictures, language_model, tokenizer = open_regions(
            world, model, fasta, output, endings,
            region=region, bed=bed, motifs=motifs, device=device, overwrite=overwrite,
        )  # fmt: skip
        bases = sum(end - start for _, start, end in places) * (2 if both_strands else 1)
        with progress("mutagenesis", bases, shown=world.rank == 0) as advance:
            effects = [
                mutate(
                    language_model,
                    tokenizer,
                    genome,
                    *place,
                    context=context,
                    flank=flank,
                    both_strands=both_strands,
                    batch_size=batch_size,
                    chunk_length=chunk_length,
                    max_bases=max_bases,
                    advance=advance,
                    share=world,
                )
                for place in places
            ]
        if world.rank == 0:
            _write(paths, pictures, effects, genome.contigs, motifs)


def _write(
    paths: Sequence[Path],
    pictures: Sequence[Path],
    effects: "Sequence[Effects]",
    contigs: Mapping[str, int],
    motifs: int | None,
) -> None:
    """All of the files, or, where the disk is full, none."""
    from dnamamba.commands.mutagenesis_plot import plot_effects

    table, mean, strongest, *meme = paths
    drawn = {
        mean: ("mean effect", [part.mean for part in effects]),
        strongest: ("strongest effect", [part.strongest for part in effects]),
    }
    with replacing_together() as opened:
        with opened(table) as file:
            file.writelines(line.encode() for line in _rows(effects))
        for path, (name, columns) in drawn.items():
            about = f"{name} of substitutions, dnamamba mutagenesis"
            with open_track(path, contigs, name, about, opened) as track:
                for part, values in zip(effects, columns, strict=True):
                    start = part.start + np.arange(len(values))
                    track.write(part.contig, start, start + 1, values)
        for path in meme:
            found = [motif_of(p.contig, p.start, p.llr, -p.mean, motifs or 1) for p in effects]
            write_meme(path, found, opened)
        for part, picture in zip(effects, pictures, strict=False):
            with opened(picture) as file:
                plot_effects(part, file)


def _rows(effects: "Sequence[Effects]") -> Iterator[str]:
    from dnamamba.inference.mutagenesis import BASES

    yield "contig\tstart\tend\tref\talt\tllr\tllr_forward\tllr_reverse\n"
    for part in effects:
        scores = zip(part.llr, part.forward, part.reverse, strict=True)
        for at, (ref, columns) in enumerate(zip(part.ref, scores, strict=True), part.start):
            reference = BASES.find(ref.replace("U", "T"))
            for number, alt in enumerate(BASES):
                if reference >= 0 and number != reference:
                    values = "\t".join(f"{column[number]:.6g}" for column in columns)
                    yield f"{part.contig}\t{at}\t{at + 1}\t{ref}\t{alt}\t{values}\n"
