"""From genomes and settings to the windows of a run: what is read, and what is left out."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dnamamba.data.genome.fasta import Genome
from dnamamba.data.windows.bed import read_bed
from dnamamba.data.windows.holdout import divide
from dnamamba.data.windows.lengths import length_setting
from dnamamba.data.windows.plan import Plans, WindowPlan, quotas
from dnamamba.data.windows.regions import Contigs, Regions, difference, intersection, union
from dnamamba.data.windows.settings import LONGEST, SHORTEST, GenomeSplit, Rows, WindowConfig
from dnamamba.data.windows.stretches import stretches
from dnamamba.data.windows.tiling import Places, Tiling, tile

__all__ = ["make_plans"]


def make_plans(
    genomes: Mapping[str, Genome],
    length: int,
    windows: WindowConfig,
    split: GenomeSplit,
    *,
    weights: Sequence[float] | None = None,
    seed: int = 0,
    whole: bool = False,
    rows: Rows = "windows",
    earlier: Sequence[int] = (),
) -> Plans:
    """Decide every window of a run.

    Held-out parts and ``predict`` are read in order, each base once: one window after the other,
    the last of a region short and padded. Of these only windows without a single A, C, G or T
    are left out, so that the same bases are scored at every length.

    Args:
        genomes: name -> genome.
        length: L, bases in a window.
        windows: which windows there are.
        split: what is held out.
        weights: share of each genome in the training samples, in any unit; None for every
            training window once an epoch.
        seed: of the order, the strands and the blocks of a split by fraction.
        whole: read whole windows of the other parts, too, as a classifier is to be judged on:
            side by side, no short one at a region's end, ``short`` and ``max_ambiguous`` as in
            training.
        rows: what rows of a training batch will be. Packed or lanes, the training windows are
            the stretches between runs of N, whole: every base once, in windows side by side.
        earlier: bases in a window of each stage of the run before the last one: the same training
            regions, in other windows (``windows.stride`` is of ``length``, and in proportion).

    Raises:
        ValueError: a bad BED, overlapping parts, weights that are not positive, a window longer
            than every contig, or a part without any window left; says what was left out and why.
    """
    if not SHORTEST <= length <= LONGEST:
        raise ValueError(f"data.length must be {SHORTEST} to {LONGEST:,} bases, got {length}")
    contigs = Contigs.of({name: genome.contigs for name, genome in genomes.items()})
    usable = _usable(contigs, windows)
    parts = {**divide(usable, contigs, split, length, seed), "predict": usable}
    packed = rows != "windows"
    if packed:
        parts["train"] = stretches(parts["train"], genomes, contigs)
    report: list[str] = []

    def laid(name: str, of: int, windows: WindowConfig, setting: str) -> Tiling:
        tiling, line = _part(name, parts[name], of, windows, whole, packed, genomes, contigs)
        if name == "train" or getattr(split, name, None):
            report.append(line)
            if not len(tiling):
                raise ValueError(
                    _nothing_left(line, of, contigs, packed and name == "train", setting)
                )
        return tiling

    stages = []
    for number, stage in enumerate(earlier):
        scaled = _scaled(windows, stage, length)
        tiling = laid("train", stage, scaled, length_setting(number))
        stages.append(_mixed(tiling, contigs, weights, windows, seed))
    plans = {
        name: WindowPlan.in_order(laid(name, length, windows, "data.length")) for name in parts
    }
    plans["train"] = _mixed(plans["train"].tiling, contigs, weights, windows, seed)
    return Plans(genomes, contigs, plans, parts, tuple(report), tuple(stages))


def _scaled(windows: WindowConfig, stage: int, length: int) -> WindowConfig:
    """The settings for shorter or longer windows, which overlap as much in proportion."""
    if windows.stride is None:
        return windows
    return replace(windows, stride=max(1, windows.stride * stage // length))


def _part(
    name: str,
    regions: Regions,
    length: int,
    windows: WindowConfig,
    whole: bool,
    packed: bool,
    genomes: Mapping[str, Genome],
    contigs: Contigs,
) -> tuple[Tiling, str]:
    """The windows of a part, and a line on them."""
    train = name == "train"
    if train and packed:
        tiling = tile(regions, length, length, "pad", "pad")
        return tiling, _packed(regions, tiling, contigs)
    laid, tiling = _tiled(regions, length, windows, train, whole, genomes, contigs)
    return tiling, _described(name, regions, laid, tiling, contigs)


def _usable(contigs: Contigs, windows: WindowConfig) -> Regions:
    usable = contigs.whole
    if windows.include:
        usable = intersection(union(read_bed(windows.include, contigs).regions), usable)
    if windows.exclude:
        usable = difference(usable, union(read_bed(windows.exclude, contigs).regions))
    return usable


def _tiled(
    regions: Regions,
    length: int,
    windows: WindowConfig,
    train: bool,
    whole: bool,
    genomes: Mapping[str, Genome],
    contigs: Contigs,
) -> tuple[Tiling, Tiling]:
    """All windows of a part, and those of them that are kept."""
    if train:
        laid = tile(regions, length, windows.stride or length, windows.tail, windows.short)
        allowed = windows.max_ambiguous
    elif whole:
        laid = tile(regions, length, length, "drop", windows.short)
        allowed = windows.max_ambiguous
    else:
        laid = tile(regions, length, length, "pad", "pad")
        allowed = 1.0
    by_number = list(genomes.values())

    def known_enough(places: Places) -> NDArray[np.bool_]:
        unknown = np.empty(len(places.start), dtype=np.int64)
        for genome in np.unique(contigs.genome[places.contig]):
            own = np.flatnonzero(contigs.genome[places.contig] == genome)
            unknown[own] = by_number[genome].count_ambiguous(
                contigs.within[places.contig[own]], places.start[own], places.length[own]
            )
        # A window that holds nothing else teaches nothing, whatever share is allowed.
        keep: NDArray[np.bool_] = (unknown <= allowed * places.length) & (unknown < places.length)
        return keep

    return laid, laid.keep(known_enough)


def _described(name: str, regions: Regions, laid: Tiling, kept: Tiling, contigs: Contigs) -> str:
    """One line: what a part holds and what was left out of it."""
    size = regions.end - regions.start
    short = regions.take(size < laid.length)
    line = f"{name}: {len(kept):,} windows of {laid.length:,} bases from {_sources(kept, contigs)}"
    dropped = len(regions.contig) - len(laid.contig)
    padded = len(short.contig) - dropped
    notes = [
        "" if len(regions.contig) else "include, exclude, the split and its guard leave no base",
        f"{padded:,} region(s) shorter than a window, padded" if padded else "",
        f"left out: {dropped:,} region(s) shorter than a window, {short.bases:,} bases"
        if dropped
        else "",
        f"left out: {len(laid) - len(kept):,} window(s) of mostly N or IUPAC codes"
        if len(laid) > len(kept)
        else "",
        f"padding: {kept.padding:.1%} of all positions" if len(kept) else "",
    ]
    return "; ".join([line, *filter(None, notes)])


def _packed(regions: Regions, tiling: Tiling, contigs: Contigs) -> str:
    """One line on training windows that are packed."""
    windows = regions.bases // tiling.length
    return (
        f"train: {windows:,} windows of {tiling.length:,} bases from {_sources(tiling, contigs)}, "
        f"packed from {len(regions.contig):,} stretches without runs of N; padding: none (windows "
        f"laid over each stretch by itself: {tiling.padding:.1%} of all positions)"
    )


def _sources(tiling: Tiling, contigs: Contigs) -> str:
    return f"{len(np.unique(contigs.genome[tiling.contig]))} genome(s)"


def _nothing_left(line: str, length: int, contigs: Contigs, packed: bool, setting: str) -> str:
    longest = int(contigs.length.argmax())
    size = int(contigs.length[longest])
    if packed:
        why = "check windows (include, exclude) and split (guard, block): what is left is N alone"
    elif size < length:
        why = (
            f"no contig is as long as a window: the longest is {contigs.names[longest]!r} with "
            f"{size:,} bases. Set {setting} to that or less, or windows.short=pad"
        )
    else:
        why = (
            "check windows (include, exclude, max_ambiguous) and split (guard, block), or shorten "
            f"{setting}"
        )
    return f"no window is left ({line}); {why}"


def _mixed(
    tiling: Tiling,
    contigs: Contigs,
    weights: Sequence[float] | None,
    windows: WindowConfig,
    seed: int,
) -> WindowPlan:
    """The training samples: every window once an epoch, or genomes by weight."""
    total = len(tiling)
    plan = WindowPlan(tiling, (total,), (total,), seed, windows.shuffle, windows.reverse_complement)
    if weights is None:
        return plan
    for name, weight in zip(contigs.genomes, weights, strict=True):
        if not (weight > 0 and np.isfinite(weight)):
            raise ValueError(f"the weight of genome {name!r} must be above 0, got {weight}")
    genome = contigs.genome[tiling.contig]
    pools = np.bincount(genome, tiling.count, len(contigs.genomes)).astype(np.int64).tolist()
    quota = quotas(total, weights)
    for name, weight, pool, taken in zip(contigs.genomes, weights, pools, quota, strict=True):
        if not pool:
            raise ValueError(f"genome {name!r} has weight {weight} but no training window left")
        if not taken:
            raise ValueError(
                f"genome {name!r} gets none of the {total:,} samples of an epoch at weight "
                f"{weight}; raise its weight or leave it out"
            )
    return replace(plan, pools=tuple(pools), quota=quota)
