"""Does context help a label: the words and the tables, made of the rows."""

import math
import statistics
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from context_plan import GROUPS
from rows import machine_of, matching
from tabular import markdown, number

from dnamamba.training.proportion import wilson

__all__ = ["Share", "cost", "labels_page", "lengths", "of_kmers", "of_network"]

Row = dict[str, Any]

TEXT = Path(__file__).with_name("context_labels.md")
HEAD = [
    "bases", "windows held out", "network", "k-mers", "vertebrates: network", "k-mers",
    "others: network", "k-mers", "k, C",
]  # fmt: skip
COST = [
    "bases", "windows a step", "steps", "recomputed", "memory, GiB", "before", "Mb/s",
    "of several contigs", "left over, Mb",
]  # fmt: skip


class Share(NamedTuple):
    """Windows told right, and the interval of their share."""

    right: float
    of: int

    @property
    def value(self) -> float:
        return self.right / self.of if self.of else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(round(self.right), self.of) if self.of else (math.nan, math.nan)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.3f} ({low:.3f} to {high:.3f})" if self.of else "-"


def lengths(rows: list[Row]) -> list[int]:
    return sorted({row["length"] for row in matching(rows, kind="labels")})


def labels_page(rows: list[Row]) -> str:
    """The section; empty without rows."""
    windows = lengths(rows)
    if not windows:
        return ""
    row = matching(rows, kind="labels")[0]
    kmers = matching(rows, kind="labels_kmers")
    return Template(TEXT.read_text()).substitute(
        species=len({name for run in matching(rows, kind="labels") for name in run["windows"]}),
        read=f"{row['bases'] / 1e6:,.0f}",
        seeds=number(len({run["seed"] for run in matching(rows, kind="labels")}), "seed"),
        machine=machine_of(row),
        kmers_most=f"{max((run['samples']['train'] for run in kmers), default=0):,}",
        kmers_machine=machine_of(kmers[0]) if kmers else "not run",
        accuracy=markdown(HEAD, list(_accuracies(rows, windows))),
        cost=markdown(COST, list(_costs(rows, windows))),
        said=" ".join(filter(None, [_best(rows, windows), _against_kmers(rows, windows)])),
    )


def _accuracies(rows: list[Row], windows: list[int]) -> Iterator[list[str]]:
    for length in windows:
        network, baseline = of_network(rows, length), of_kmers(rows, length)
        chosen = [
            f"{r['k']}, {r['C']:g}" for r in matching(rows, kind="labels_kmers", length=length)
        ]
        parts = [
            f"{share.value:.3f}" if share.of else "-"
            for group in (True, False)
            for share in (of_network(rows, length, group), of_kmers(rows, length, group))
        ]
        shown = f"{length:,}", f"{network.of:,}", str(network), str(baseline)
        yield [*shown, *parts, *chosen, *["-"] * (not chosen)]


def _costs(rows: list[Row], windows: list[int]) -> Iterator[list[str]]:
    for length in windows:
        runs, rate = matching(rows, kind="labels", length=length), cost(rows, length)[1]
        row, spanning = runs[0], runs[0]["spanning"]
        yield [
            f"{length:,}",
            str(row["batch"]),
            str(row["steps"]),
            row["recompute"],
            *(_gibibytes(runs, which) for which in ("peak_bytes", "peak_bytes_before")),
            f"{rate:.1f}" if rate >= 0.1 else f"{rate:.3f}",
            f"{spanning['of_several']:,} of {spanning['windows']:,}",
            f"{spanning['bases_left'] / 1e6:.2f}",
        ]


def _gibibytes(runs: list[Row], which: str) -> str:
    peak = _peak(runs, which)
    return "-" if math.isnan(peak) else f"{peak:.2f}"


def _peak(runs: list[Row], which: str) -> float:
    return max(run[which] or math.nan for run in runs) / 2**30


def cost(rows: list[Row], length: int) -> tuple[float, float]:
    """GiB at the peak of the steps, and Mb a second."""
    runs = matching(rows, kind="labels", length=length)
    return _peak(runs, "peak_bytes"), statistics.fmean(
        run["bases_per_second"] for run in runs
    ) / 1e6


def of_network(rows: list[Row], length: int, vertebrates: bool | None = None) -> Share:
    return _share(matching(rows, kind="labels", length=length), vertebrates)


def of_kmers(rows: list[Row], length: int, vertebrates: bool | None = None) -> Share:
    return _share(matching(rows, kind="labels_kmers", length=length), vertebrates)


def _share(runs: list[Row], vertebrates: bool | None) -> Share:
    """Of runs on the same windows the mean; the windows do not become more by it."""
    if not runs:
        return Share(0, 0)
    names = [
        name
        for name in runs[0]["windows"]
        if vertebrates is None or (name in GROUPS["vertebrates"]) == vertebrates
    ]
    right = statistics.fmean(sum(run["right"].get(name, 0) for name in names) for run in runs)
    return Share(right, sum(runs[0]["windows"][name] for name in names))


def _best(rows: list[Row], windows: list[int]) -> str:
    shares = {length: of_network(rows, length) for length in windows}
    first, best = windows[0], max(windows, key=lambda n: shares[n].value)
    if best == first:
        return (
            f"The network tells the largest share right at {first:,} bases, the shortest windows."
        )
    low, high = shares[best].interval[0], shares[first].interval[1]
    apart = "do not overlap" if low > high else "overlap"
    return (
        f"The network tells the largest share right at {best:,} bases, {shares[best].value:.3f} "
        f"against {shares[first].value:.3f} at {first:,}; the two intervals {apart}."
    )


def _against_kmers(rows: list[Row], windows: list[int]) -> str:
    ahead: dict[str, list[int]] = {"the network": [], "the k-mers": [], "neither": []}
    for length in windows:
        network, baseline = of_network(rows, length), of_kmers(rows, length)
        if not baseline.of:
            continue
        if network.interval[0] > baseline.interval[1]:
            ahead["the network"].append(length)
        elif baseline.interval[0] > network.interval[1]:
            ahead["the k-mers"].append(length)
        else:
            ahead["neither"].append(length)
    said = [f"{who} at {', '.join(f'{n:,}' for n in at)}" for who, at in ahead.items() if at]
    return f"Ahead by more than the intervals: {'; '.join(said)}." if said else ""
