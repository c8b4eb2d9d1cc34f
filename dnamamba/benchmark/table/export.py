"""The table for other programs: a line a cell as CSV, and everything as JSON."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from dnamamba.benchmark.jobs.job import Row
from dnamamba.benchmark.runs.heading import Heading
from dnamamba.benchmark.table.table import Cell, Line, Table

__all__ = ["as_csv", "as_json"]

_FIELDS = (
    "task", "column", "model", "metric", "mean", "deviation", "runs", "wanted", "failed", "test",
    "groups", "copies", "relatives", "chosen", "figures",
)  # fmt: skip


def as_csv(table: Table) -> str:
    """A line a cell; published figures are cells of the column ``published``."""
    text = io.StringIO()
    lines = csv.DictWriter(text, _FIELDS, restval="", lineterminator="\n")
    lines.writeheader()
    for line, cell in _cells(table):
        chosen = "; ".join(json.dumps(one, sort_keys=True) for one in cell["chosen"])
        figures = json.dumps({name: _short(value) for name, value in cell["figures"].items()})
        numbers = {name: _short(cell[name]) for name in ("mean", "deviation")}
        values = {**_of_line(line), **cell, **numbers, "chosen": chosen, "figures": figures}
        lines.writerow(values)
    for line in table.lines:
        for who, figure in line.published.items():
            cell = {"column": "published", "model": who, "mean": figure}
            lines.writerow({"task": line.task, "metric": line.metric, **cell})
    return text.getvalue()


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def as_json(table: Table, rows: Sequence[Row], about: Mapping[str, Any]) -> str:
    """Cells, means and rows.

    Args:
        table: what is in it.
        rows: every run's, as it stands on disk.
        about: what else there is to say: versions, settings, runs that failed.
    """
    content = {
        **about,
        "headings": [heading.__dict__ for heading in table.headings],
        "tasks": [
            {
                **_of_line(line),
                "title": line.title,
                "published": dict(line.published),
                "cells": [_of_cell(h, line.cells[h.key]) for h in _present(table, line)],
            }
            for line in table.lines
        ],
        "means": [
            {
                "metric": mean.metric,
                "tasks": mean.tasks,
                "published": dict(mean.published),
                "cells": [_of_cell(h, mean.cells[h.key]) for h in _present(table, mean)],
            }
            for mean in table.means()
        ],
        "rows": list(rows),
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _cells(table: Table) -> Iterator[tuple[Line, dict[str, Any]]]:
    for line in table.lines:
        for heading in _present(table, line):
            cell = _of_cell(heading, line.cells[heading.key])
            yield line, {key: value for key, value in cell.items() if key in _FIELDS}


def _present(table: Table, line: Any) -> list[Heading]:
    return [heading for heading in table.headings if heading.key in line.cells]


def _of_line(line: Line) -> dict[str, Any]:
    counts = {name: getattr(line, name) for name in ("test", "groups", "copies", "relatives")}
    return {"task": line.task, "metric": line.metric, **counts}


def _of_cell(heading: Heading, cell: Cell) -> dict[str, Any]:
    return {
        "column": heading.column,
        "model": heading.model or heading.title,
        "mean": cell.mean,
        "deviation": cell.deviation,
        "runs": len(cell.values),
        "wanted": cell.wanted,
        "failed": cell.failed,
        "chosen": list(cell.chosen),
        "figures": {name: fmean(values.values()) for name, values in cell.figures.items()},
        "values": [
            {"seed": seed, "fold": fold, "value": value}
            for (seed, fold), value in sorted(cell.values.items())
        ],
    }
