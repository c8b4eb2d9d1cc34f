"""What a carried state is worth: the words and the table, made of the rows."""

import math
import statistics
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from context_plan import LANE_GROUPS, TRAINED
from rows import machine_of, matching
from tabular import markdown

__all__ = ["Curve", "curves", "groups", "lanes_page"]

Row = dict[str, Any]

TEXT = Path(__file__).with_name("context_lanes.md")
READ = {"carried": "", "windows": "window_"}  # how it is read -> prefix of the row's columns


class Curve(NamedTuple):
    """Bits per base of one model read in one way, bin by bin."""

    trained: str
    read: str
    bits: list[float]


def groups(rows: list[Row]) -> dict[str, Row]:
    """Groups of genomes whose trainings are all there -> one of their rows."""
    complete = {}
    for group in sorted(LANE_GROUPS):
        runs = [matching(rows, kind="lanes", group=group, rows=trained) for trained in TRAINED]
        if all(runs):
            complete[group] = runs[0][0]
    return complete


def lanes_page(rows: list[Row]) -> str:
    """The section; empty without rows."""
    shown = groups(rows)
    if not shown:
        return ""
    row = next(iter(shown.values()))
    speed = {trained: [_speed(rows, group, trained) for group in shown] for trained in TRAINED}
    return Template(TEXT.read_text()).substitute(
        parameters=f"{row['parameters']:,}",
        read=f"{row['bases'] / 1e6:,.0f}",
        window=f"{row['window']:,}",
        batch=row["batch"],
        seeds=len(matching(rows, kind="lanes", group=row["group"], rows="lanes")),
        windows_speed=" and ".join(speed["windows"]),
        lanes_speed=" and ".join(speed["lanes"]),
        bases_a_lane=" and ".join(f"{run['bases_a_lane'] / 1e3:,.0f}" for run in shown.values()),
        groups=" and ".join(shown),
        machine=machine_of(row),
        tables="\n\n".join(_distances(rows, group) for group in shown),
    )


def _speed(rows: list[Row], group: str, trained: str) -> str:
    runs = matching(rows, kind="lanes", group=group, rows=trained)
    return f"{statistics.fmean(run['bases_per_second'] for run in runs) / 1e6:.1f}"


def _distances(rows: list[Row], group: str) -> str:
    row = groups(rows)[group]
    bits = {(curve.trained, curve.read): curve.bits for curve in curves(rows, group)}
    lines = [
        [
            _range(piece),
            f"{sum(piece['bases']) / 1e6:,.2f}",
            *(f"{bits[trained, read][i]:.4f}" for trained in TRAINED for read in READ),
            _contigs_won(rows, group, i),
        ]
        for i, piece in enumerate(row["bins"])
    ]
    columns = [f"{trained}, {read}" for trained in TRAINED for read in READ]
    head = ["distance", "Mb", *columns, "contigs"]
    contigs = f"{len(row['contigs'])} contigs, {sum(row['lengths']) / 1e6:.1f} Mb"
    return "\n\n".join(
        [f"{group.capitalize()}: {contigs}.", markdown(head, lines), _said(row, bits)]
    )


def _said(row: Row, bits: dict[tuple[str, str], list[float]]) -> str:
    """In words, of the farthest bin."""
    lanes, windows = bits["lanes", "carried"], bits["windows", "carried"]
    nothing = bits["windows", "windows"]
    near, far = _range(row["bins"][0]), _range(row["bins"][-1])
    return (
        f"{far} bases from a start the model of lanes needs {_beside(lanes[-1], nothing[-1])} than "
        f"the model of windows in windows, and {_beside(lanes[-1], windows[-1])} than that model "
        f"with its state carried, which needs {_beside(windows[-1], nothing[-1])} than in windows. "
        f"{near} bases from a start the model of lanes needs {lanes[0]:.4f} bits a base and "
        f"{far} bases from it {lanes[-1]:.4f}, the model of windows {windows[0]:.4f} and "
        f"{windows[-1]:.4f}."
    )


def _beside(value: float, other: float) -> str:
    return f"{abs(value - other):.4f} bits a base {'less' if value < other else 'more'}"


def _range(piece: Row) -> str:
    to = "or more" if piece["to"] is None else f"to {piece['to'] - 1:,}"
    return f"{piece['from']:,} {to}"


def curves(rows: list[Row], group: str) -> list[Curve]:
    """Means over the seeds."""
    of_models = []
    for trained in TRAINED:
        runs = matching(rows, kind="lanes", group=group, rows=trained)
        for read, prefix in READ.items():
            of_bins = zip(*(run["bins"] for run in runs), strict=True)
            bits = [statistics.fmean(_bits(b, prefix) for b in same) for same in of_bins]
            of_models.append(Curve(trained, read, bits))
    return of_models


def _bits(piece: Row, prefix: str) -> float:
    bases = sum(piece[f"{prefix}bases"])
    return sum(piece[f"{prefix}nats"]) / bases / math.log(2) if bases else math.nan


def _contigs_won(rows: list[Row], group: str, i: int) -> str:
    """In how many contigs lanes with their state carried need less than windows in windows."""
    (lanes, *_), (windows, *_) = (
        matching(rows, kind="lanes", group=group, rows=trained) for trained in ("lanes", "windows")
    )
    one, other = lanes["bins"][i], windows["bins"][i]
    pairs = [
        a / n < b / m
        for a, n, b, m in zip(
            one["nats"], one["bases"], other["window_nats"], other["window_bases"], strict=True
        )
        if n and m
    ]
    return f"{sum(pairs)} of {len(pairs)}"
