"""What runs of ``dnamamba fit`` from a script have in common: their flags, and what they log."""

import csv
import json
import math
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["arguments", "logged", "logged_rate"]


def arguments(config: Path, run: Path, settings: Mapping[str, Any]) -> list[str]:
    """Flags of a command."""
    flags = [
        f"--{key}={value if isinstance(value, str) else json.dumps(value)}"
        for key, value in settings.items()
    ]
    fixed = ["--config", str(config), "--run_dir", str(run), "--trainer.enable_progress_bar=false"]
    return [*fixed, *flags]


def logged(run: Path, column: str) -> list[float]:
    """A column of ``metrics.csv``, without its empty cells."""
    with (run / "metrics.csv").open(newline="") as file:
        return [float(row[column]) for row in csv.DictReader(file) if row.get(column)]


def logged_rate(run: Path, column: str) -> float:
    """The median of a column of ``metrics.csv``, without the first, in which kernels compile.

    NaN of a run that was too short to log it.
    """
    rates = logged(run, column)
    return statistics.median(rates[1:] or rates or [math.nan])
