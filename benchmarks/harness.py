"""What every benchmark says beside its figures, and where it leaves them."""

import datetime
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["machine", "print_table", "write_results"]

RESULTS = Path(__file__).parent / "results"


def machine(*others: str) -> dict[str, str | int]:
    """Date, processor, cores and versions: a figure without them means nothing.

    Args:
        others: further distributions that the benchmark measured.
    """
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(
            (s.split(":", 1)[1].strip() for s in lines if s.startswith("model name")), model
        )
    packages = ("torch", "numpy", "pyfaidx", *others)
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": model,
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1,
        "system": platform.platform(),
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def print_table(title: str, columns: list[str], rows: list[list[Any]]) -> None:
    """One table on the terminal, figures to the right."""
    table = Table(title=title)
    for column in columns:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console().print(table)


def write_results(name: str, results: dict[str, Any]) -> Path:
    """Leave the figures as JSON in ``benchmarks/results``."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(results, indent=2) + "\n")
    print(f"written to {path}")
    return path
