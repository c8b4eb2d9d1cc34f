"""What the table of tasks is made of, beside its rows: titles, figures, and which rows count."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from rows import matching

__all__ = ["SIZES", "STARTS", "Task", "chosen_rate", "read_tasks"]

SIZES = ("small", "large")
STARTS = ("pretrained", "scratch")
SEED = 1  # of the runs that tried each learning rate


class Task(NamedTuple):
    """A task; see ``table.yaml``."""

    title: str
    metric: str
    batch: int


def read_tasks() -> dict[str, Task]:
    """All of ``table.yaml``."""
    content = yaml.safe_load(Path(__file__).with_name("table.yaml").read_text())
    return {name: Task(**task) for name, task in content.items()}


def chosen_rate(rows: Mapping[str, Mapping[str, Any]], task: str, start: str) -> float | None:
    """The learning rate with the best metric on the validation part; None: none was tried."""
    tried = matching(
        rows.values(), kind="finetune", size=SIZES[0], seed=SEED, fold=0, task=task, start=start
    )
    best = max(tried, key=lambda row: row["validation"], default=None)
    return None if best is None else best["rate"]
