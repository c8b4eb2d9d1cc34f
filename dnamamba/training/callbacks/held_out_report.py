"""What a test leaves behind: a table on the terminal, predictions, metrics and pictures."""

import json
import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
from rich.console import Console
from rich.table import Table
from torch import Tensor

from dnamamba.files import Opened, replacing_together
from dnamamba.model.heads import Head
from dnamamba.tables import write_table
from dnamamba.training.held_out import Outcomes
from dnamamba.training.proportion import wilson

__all__ = ["HeldOutReport"]


class HeldOutReport(pl.Callback):
    """Writes the outcome of ``test`` of a fine-tuning module.

    In the trainer's ``default_root_dir``, which the command line sets to the run's folder: files
    of an earlier test are replaced, all together.

    - ``predictions.parquet`` (``.tsv`` without pyarrow): ``id``, ``label``, ``predicted`` and the
      probability of each label;
    - ``test.json``: every metric, and how many samples stand behind it;
    - ``confusion.png``, ``roc.png``, ``pr.png``; for regression ``scatter.png``.

    Args:
        console: where the table goes; None is standard error.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        module: Any = pl_module
        outcomes: Outcomes | None = module.held_out_metrics.last
        if not trainer.is_global_zero or outcomes is None or not len(outcomes.sample):
            return
        # Drawing takes a second to import, and most commands draw nothing.
        from dnamamba.training.plots import plot_test

        data: Any = getattr(trainer, "datamodule", None)
        head: Head = module.model.head
        folder, labels = Path(trainer.default_root_dir), module.head.labels
        metrics = outcomes.metrics(head)
        counts = {"samples": len(outcomes.sample)}
        if (apart := _apart(data, outcomes.sample)) is not None:
            counts["windows that do not overlap"] = apart
        ending = "parquet" if find_spec("pyarrow") else "tsv"
        files = [folder / f"predictions.{ending}", folder / "test.json"]
        with replacing_together() as opened:
            write_table(files[0], _columns(head, outcomes, labels, data), opened)
            _write_json(files[1], {**counts, "labels": list(labels), **metrics}, opened)
            files += plot_test(folder, outcomes, head, labels, opened)
        self.console.print(_table(metrics, counts, head, head.counts(outcomes.label, labels)))
        self.console.print(
            f"written: {', '.join(map(str, files))}", highlight=False, soft_wrap=True
        )


def _columns(head: Head, outcomes: Outcomes, labels: tuple[str, ...], data: Any) -> dict[str, Any]:
    describe = getattr(data, "describe", None)
    ids = (
        describe(outcomes.sample, "test")
        if describe
        else [str(i) for i in outcomes.sample.tolist()]
    )
    label = head.written(outcomes.label, labels)
    return {"id": ids, "label": label, **head.columns(outcomes.probabilities, labels)}


def _table(
    metrics: dict[str, float], counts: dict[str, int], head: Head, of_labels: dict[str, int]
) -> Table:
    table = Table("test", "", title_justify="left")
    for name, count in counts.items():
        table.add_row(name, f"{count:,}")
    for label, count in of_labels.items():
        table.add_row(f"of {label}", f"{count:,}")
    for name, value in metrics.items():
        table.add_row(name.replace("_", " "), f"{value:.4f}")
        if name in head.shares:
            n = counts.get("windows that do not overlap", counts["samples"])
            low, high = wilson(round(value * n), n)
            table.add_row(f"  95 %, were {n:,} independent", f"{low:.3f} to {high:.3f}")
    return table


def _apart(data: Any, index: Tensor) -> int | None:
    """How many windows can be chosen so that no two overlap; None without windows of a genome."""
    windows = getattr(data, "windows", None)
    if windows is None:
        return None
    plan = windows("test").samples(np.asarray(index))
    count, contig, end = 0, -1, 0
    for row in np.lexsort((plan.start + plan.length, plan.contig)):
        if plan.contig[row] != contig or plan.start[row] >= end:
            count, contig, end = count + 1, plan.contig[row], plan.start[row] + plan.length[row]
    return count


def _write_json(path: Path, content: dict[str, Any], opened: Opened) -> None:
    plain = {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in content.items()
    }
    with opened(path) as file:
        file.write((json.dumps(plain, indent=2) + "\n").encode())
