"""The part of docs/results.md on context, and its pictures, from the rows in ``results/``.

What a row may contradict is made of the rows, word by word.
"""

import json
from pathlib import Path
from typing import Any

from context_charts import distance_chart, labels_chart
from context_labels_page import cost, labels_page, lengths, of_kmers, of_network
from context_lanes_page import curves, groups, lanes_page
from matplotlib.figure import Figure
from rows import RESULTS

__all__ = ["drawings", "section"]

Row = dict[str, Any]


def section(folder: Path = RESULTS) -> str:
    """Both experiments, as far as they have rows; empty without any."""
    rows = _read(folder)
    return "\n\n".join(page.strip() for page in (lanes_page(rows), labels_page(rows)) if page)


def drawings(folder: Path = RESULTS) -> dict[str, Figure]:
    """Name of a picture in docs/ -> it."""
    rows = _read(folder)
    figures = {}
    panels = {
        group: ([piece["from"] for piece in row["bins"]], max(row["lengths"]), curves(rows, group))
        for group, row in groups(rows).items()
    }
    if panels:
        figures["distance.png"] = distance_chart(panels)
    if windows := lengths(rows):
        network, kmers, costs = (
            [of(rows, n) for n in windows] for of in (of_network, of_kmers, cost)
        )
        figures["species-context.png"] = labels_chart(windows, network, kmers, costs)
    return figures


def _read(folder: Path) -> list[Row]:
    path = folder / "context.json"
    return list(json.loads(path.read_text()).values()) if path.is_file() else []
