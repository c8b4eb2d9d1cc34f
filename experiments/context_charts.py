"""docs/distance.png and docs/species-context.png."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from dnamamba.pictures import COLOURS, GREYS, WIDEST, grid, legend_above, new_figure, styled

__all__ = ["distance_chart", "labels_chart"]

BLUE, RUST = COLOURS[:2]
TRAINED = {"windows": RUST, "lanes": BLUE}
READ = {"carried": "-", "windows": ":"}


@styled()
def distance_chart(panels: Mapping[str, tuple[Sequence[int], int, Sequence[Any]]]) -> Figure:
    """Bits per base over the distance, a panel for each group of genomes.

    Args:
        panels: group -> where bins begin, the longest contig, and the curves (``trained``,
            ``read``, ``bits``).
    """
    figure = new_figure(WIDEST, 4)
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (group, (begins, longest, curves)) in zip(row, panels.items(), strict=True):
        ends = [*begins[1:], max(longest, begins[-1] + 1)]
        middles = [math.sqrt(max(a, b / 4) * b) for a, b in zip(begins, ends, strict=True)]
        for curve in curves:
            axes.plot(
                middles, curve.bits, READ[curve.read], marker="o", ms=4,
                color=TRAINED[curve.trained],
                label=f"trained on {curve.trained}, "
                + ("state carried" if curve.read == "carried" else "read in windows"),
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_title(group)
        axes.set_xlabel("bases from where the state began")
        grid(axes, "both")
    row[0].set_ylabel("bits per base")
    handles, _ = row[0].get_legend_handles_labels()
    legend_above(figure, 2, handles=handles)
    return figure


@styled()
def labels_chart(
    lengths: Sequence[int],
    network: Sequence[Any],
    kmers: Sequence[Any],
    cost: Sequence[tuple[float, float]],
) -> Figure:
    """Accuracy, memory and speed over the length of the window.

    Args:
        lengths: bases.
        network: of each length the share of windows told right (``of``, ``value``, ``interval``).
        kmers: likewise.
        cost: GiB and Mb a second.
    """
    figure = new_figure(WIDEST, 3.6)
    accuracy, memory, speed = figure.subplots(1, 3, width_ratios=[2, 1, 1])
    series = (("network", network, BLUE, 1.0), ("k-mers", kmers, RUST, 1.08))
    for name, shares, colour, aside in series:
        known = [(n, share) for n, share in zip(lengths, shares, strict=True) if share.of]
        if known:
            below, above = zip(
                *((s.value - s.interval[0], s.interval[1] - s.value) for _, s in known), strict=True
            )
            places = [aside * n for n, _ in known], [share.value for _, share in known]
            bars = [[max(0.0, x) for x in below], [max(0.0, x) for x in above]]
            accuracy.errorbar(*places, yerr=bars, marker="o", ms=4, capsize=3, color=colour,
                              label=name)  # fmt: skip
    accuracy.set_ylabel("windows told right, 95 %")
    accuracy.legend()
    for axes, values, name in zip(
        (memory, speed), zip(*cost, strict=True), ("peak memory, GiB", "Mb a second"), strict=True
    ):
        axes.plot(lengths, values, "-o", ms=4, color=GREYS[1])
        axes.set_ylabel(name)
        axes.set_ylim(bottom=0)
    for axes in (accuracy, memory, speed):
        axes.set_xscale("log")
        axes.set_xlim(lengths[0] / 2, lengths[-1] * 2)
        axes.set_xticks(lengths, [_short(length) for length in lengths])
        axes.minorticks_off()
        axes.set_xlabel("bases in a window")
        grid(axes, "both")
    return figure


def _short(length: int) -> str:
    return f"{length >> 20}M" if length >= 1 << 20 else f"{length >> 10}k"
