"""Frozen vectors by both probes, beside k-mers: the task's figure, and AUROC, and their means."""

import statistics
from collections.abc import Sequence

from dnamamba.benchmark.runs.heading import Heading
from dnamamba.benchmark.table.table import METRICS, Cell, Line, Table

__all__ = ["probe_lines"]

_COLUMNS = ("kmers", "random", "frozen")
_PROBES = {"": "linear", "forest/": "random forest"}  # beginning of a figure's name -> in print
_AREA = "auroc"


def probe_lines(table: Table) -> tuple[list[str], list[list[str]]]:
    """The head and the lines, cell by cell; no lines where nothing was frozen.

    The mean AUROC is over the tasks that have one in all of these columns, whatever their figure.
    """
    headings = [heading for heading in table.headings if heading.column in _COLUMNS]
    head = ["task", "features", "figure"]
    head += [f"{name}, {what}" for name in _PROBES.values() for what in ("figure", "AUROC")]
    if all(heading.column == "kmers" for heading in headings):
        return head, []
    lines = [
        [line.title, heading.title, METRICS.get(line.metric, line.metric), *_values(line, cell)]
        for line in table.lines
        for heading in headings
        if (cell := line.cells.get(heading.key)) is not None
    ]
    ranked = [line for line in table.lines if all(_area(line, h) for h in headings)]
    if len(ranked) > 1:
        lines += [_mean_line(ranked, heading) for heading in headings]
    return head, lines


def _values(line: Line, cell: Cell) -> list[str]:
    """Of each probe the mean figure and AUROC."""
    names = [f"{probe}{metric}" for probe in _PROBES for metric in (line.metric, _AREA)]
    return [_number(_mean(cell, name)) for name in names]


def _mean_line(lines: Sequence[Line], heading: Heading) -> list[str]:
    values = []
    for probe in _PROBES:
        areas = [_mean(line.cells[heading.key], f"{probe}{_AREA}") for line in lines]
        known = [area for area in areas if area is not None]
        values += ["", _number(statistics.fmean(known) if len(known) == len(lines) else None)]
    return [f"mean of {len(lines)}", heading.title, "", *values]


def _area(line: Line, heading: Heading) -> bool:
    cell = line.cells.get(heading.key)
    return cell is not None and _AREA in cell.figures


def _mean(cell: Cell, name: str) -> float | None:
    values = cell.figures.get(name)
    return statistics.fmean(values.values()) if values else None


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
