"""``dnamamba attribute``: what the bases of regions add to what a model says."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dnamamba.commands.meme import motif_of, write_meme
from dnamamba.commands.places import Place
from dnamamba.commands.processes import World, join_world
from dnamamba.commands.progress import progress
from dnamamba.commands.regions import open_regions
from dnamamba.files import replacing_together
from dnamamba.inference.settings import MASK_EVERY, METHOD, Baseline, Method
from dnamamba.tracks import TrackEnding, open_track

if TYPE_CHECKING:
    from dnamamba.inference.contributions import Contributions

__all__ = ["attribute_regions"]

_GAP = 0.05  # of the difference to the baseline, from which on a warning says so


def attribute_regions(
    model: str,
    fasta: str,
    output: str,
    region: str | None = None,
    bed: str | None = None,
    method: Method = METHOD,
    label: str | None = None,
    baseline: Baseline = "uniform",
    steps: int | None = None,
    both_strands: bool | None = None,
    mask_every: int | None = MASK_EVERY,
    max_bases: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
    tracks: TrackEnding = "bedgraph",
    motifs: int | None = None,
) -> None:
    """Explain what a model says of a region, base by base.

    Of a fine-tuned model the log-odds or logit of a label is explained, or the value of a
    regression; of a language model the log-likelihood of the region (of one that reads both ways
    the pseudo-log-likelihood). A region is read by itself, whole: give as many bases as the model
    was fine-tuned on.

    Writes OUTPUT.tsv, a line a base (start and end 0-based, half-open; what it adds, and what A, C,
    G and T would add in its place); the track OUTPUT.bedgraph, or the same as bigWig; and
    OUTPUT.png, letters as high as what they add, or OUTPUT.1.png and on where there are several
    regions, of the first 100. What is no A, C, G or T is left out.

    Under torchrun the regions are shared among the processes, one a GPU; they need the same files.

    Args:
        model: a model's folder, of this or another program, a training checkpoint, or the name of a
            packaged model or of one on the Hugging Face hub.
        fasta: the reference: plain, gzip or bgzip.
        output: how the names of the outputs begin, as effects/brca1.
        region: contig:start-end, 0-based and half-open as in BED.
        bed: regions instead of one; those that overlap are joined.
        method: integrated, gradients on the way from the baseline, which add up; gradient, the one
            at the sequence, in a pass; or substitution, each base by each other, four passes a
            base.
        label: of a fine-tuned model with several labels; of two the second, unless this says
            otherwise.
        baseline: uniform, a quarter of each base, or N.
        steps: points on the way from the baseline, of the method integrated; null: 64.
        both_strands: explain the mean over both strands; null: of a fine-tuned model as it was
            validated, of a language model both.
        mask_every: k, of a language model that reads both ways: mask every k-th base at a time;
            null masks one at a time.
        max_bases: bases side by side; bounds the memory, which is that of a training step. null:
            65,536.
        device: where to run: cpu, cuda, mps; auto takes a GPU if there is one.
        overwrite: replace outputs that exist.
        tracks: how the name of the track ends, which says what it is: bedGraph, the same by gzip,
            or bigWig (bw, bigwig).
        motifs: write OUTPUT.meme, too: of each region the so many neighbouring bases that weigh
            most, as a motif of what would add most in their places.

    Raises:
        ValueError: bad input; names file, line or argument, and a remedy.
        OSError: there is no room for all of the files; then none is written.
    """
    from dnamamba.inference.attribution import attribute, checked_steps
    from dnamamba.inference.explained import explained_number
    from dnamamba.model.classifier import Classifier

    checked_steps(method, baseline, steps)
    with join_world() as world:
        genome, places, paths, pictures, network, tokenizer = open_regions(
            world, model, fasta, output, ["tsv", tracks],
            region=region, bed=bed, motifs=motifs, device=device, overwrite=overwrite,
        )  # fmt: skip
        # What cannot be explained is refused by all processes, before they divide the work.
        explained_number(network, tokenizer, label, both_strands, mask_every)
        mine = _share(places, world)
        bases = sum(places[i][2] - places[i][1] for i in mine)
        found = {}
        with progress("attribute", bases, shown=world.rank == 0) as advance:
            for number in mine:
                (found[number],) = attribute(
                    network,
                    tokenizer,
                    [genome.fetch(*places[number])],
                    method=method,
                    label=label,
                    baseline=baseline,
                    steps=steps,
                    both_strands=both_strands,
                    mask_every=mask_every,
                    max_bases=max_bases,
                    advance=advance,
                )
        everything = {i: part for parts in world.gather(found) for i, part in parts.items()}
        if world.rank == 0:
            each = [everything[number] for number in range(len(places))]
            if method == "integrated":
                _check_sums(places, each)
            what = "log-likelihood (nats)"
            if isinstance(network, Classifier):
                what = _named(network.settings.labels, label)
            _write(paths, pictures, places, each, genome.contigs, what, motifs)


def _share(places: Sequence[Place], world: World) -> list[int]:
    """Numbers of the regions that this process explains."""
    from dnamamba.inference.sharing import dealt

    owners = dealt([end - start for _, start, end in places], world.size)
    return [number for number, owner in enumerate(owners) if owner == world.rank]


def _named(labels: Sequence[str], label: str | None) -> str:
    if not labels:
        return "the value"
    return f"{label or labels[-1]} ({'log-odds' if len(labels) == 2 else 'logit'})"


def _check_sums(places: Sequence[Place], each: "Sequence[Contributions]") -> None:
    off = [abs(part.gap) > _GAP * abs(part.output - part.baseline) for part in each]
    if any(off):
        (contig, start, end), part = places[off.index(True)], each[off.index(True)]
        warnings.warn(
            f"contributions of {sum(off)} of {len(each)} regions do not add up; those of "
            f"{contig}:{start}-{end} to {part.values.sum():.4g}, where the model's number differs "
            f"from the baseline's by {part.output - part.baseline:.4g}: raise steps",
            stacklevel=2,
        )


def _write(
    paths: Sequence[Path],
    pictures: Sequence[Path],
    places: Sequence[Place],
    each: "Sequence[Contributions]",
    contigs: Mapping[str, int],
    number: str,
    motifs: int | None,
) -> None:
    """All of the files, or, where the disk is full, none."""
    from dnamamba.commands.attribution_plot import plot_contributions

    table, drawn, *meme = paths
    about = f"contributions to {number}, dnamamba attribute"
    with replacing_together() as opened:
        with opened(table) as file:
            file.writelines(line.encode() for line in _rows(places, each))
        with open_track(drawn, contigs, "contribution", about, opened) as track:
            for (contig, start, end), part in zip(places, each, strict=True):
                at = np.arange(start, end)
                track.write(contig, at, at + 1, np.where(part.known, part.values, np.nan))
        for path in meme:
            found = [
                motif_of(contig, start, part.each_known, part.values, motifs or 1)
                for (contig, start, _), part in zip(places, each, strict=True)
            ]
            write_meme(path, found, opened)
        for (contig, start, _), part, picture in zip(places, each, pictures, strict=False):
            with opened(picture) as file:
                plot_contributions(part, contig, start, number, file)


def _rows(places: Sequence[Place], each: "Sequence[Contributions]") -> Iterator[str]:
    yield "contig\tstart\tend\tref\tcontribution\tA\tC\tG\tT\n"
    for (contig, start, _), part in zip(places, each, strict=True):
        for at in np.flatnonzero(part.known).tolist():
            numbers = (part.values[at], *part.each[at])
            columns = "\t".join(f"{value:.6g}" for value in numbers)
            yield f"{contig}\t{start + at}\t{start + at + 1}\t{part.ref[at]}\t{columns}\n"
