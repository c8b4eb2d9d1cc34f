"""The files that a benchmark leaves in its output folder."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dnamamba.benchmark.asked import Asked
from dnamamba.benchmark.checks import SETTINGS
from dnamamba.benchmark.jobs.job import Row
from dnamamba.benchmark.table.chart import draw
from dnamamba.benchmark.table.export import as_csv, as_json
from dnamamba.benchmark.table.markdown import page
from dnamamba.benchmark.table.shown import made_on
from dnamamba.benchmark.table.table import Table
from dnamamba.files import replacing, replacing_together

__all__ = ["FILES", "write_settings", "write_table"]

FILES = ("table.md", "table.csv", "table.json", "chart.png")


def write_settings(output: Path, asked: Asked) -> None:
    """Leave what was asked for, which also marks the folder as a benchmark's."""
    content = {
        **asdict(asked),
        "data": None if asked.data is None else str(asked.data),
        "seconds": None if asked.seconds == float("inf") else asked.seconds,
    }
    with replacing(output / SETTINGS) as file:
        file.write((json.dumps(content, indent=1) + "\n").encode())


def write_table(
    output: Path, title: str, table: Table, rows: list[Row], about: Mapping[str, Any]
) -> None:
    """Write all of ``FILES``, over those of before, or none.

    Args:
        output: the folder.
        title: of the page.
        table: what there is.
        rows: all that it is made of.
        about: what else the JSON is to say.
    """
    texts = {
        "table.md": page(table, title, made_on(rows)),
        "table.csv": as_csv(table),
        "table.json": as_json(table, rows, about),
    }
    with replacing_together() as opened:
        for name, text in texts.items():
            with opened(output / name) as file:
                file.write(text.encode())
        draw(table, output / "chart.png", opened)
