"""What ``predict`` says of each window, as a table."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, distributed

from dnamamba.files import replacing

__all__ = ["write_predictions"]

Columns = dict[str, Tensor]


def write_predictions(
    folder: Path, trainer: pl.Trainer, batches: Iterable[dict[str, Any]] | None, overwrite: bool
) -> Path:
    """Write one row a window, in order: where it lies, then each metric, to ``predictions.tsv``.

    Called by all processes of a run; the first writes what all have found.

    Args:
        folder: where to.
        trainer: the one that predicted; its datamodule says where windows lie.
        batches: what ``predict_step`` returned: ``index`` (B,), below 0 for rows that only fill
            up a batch, and further metrics (B,).
        overwrite: replace a file that is there.

    Raises:
        ValueError: the file is there and ``overwrite`` is False, or nothing was predicted.
    """
    path, batches = folder / "predictions.tsv", list(batches or [])
    if path.exists() and not overwrite:
        raise ValueError(f"{path} exists; set --overwrite to replace it")
    if not batches:
        raise ValueError(
            "nothing was predicted, so nothing is written; raise trainer.limit_predict_batches"
        )
    columns = _of_all(trainer, _joined(batches))
    if not trainer.is_global_zero:
        return path
    index = columns.pop("index")
    order = index.argsort(stable=True)
    order = order[index[order] >= 0]
    describe: Any = getattr(trainer, "datamodule").describe  # noqa: B009 (Lightning sets it late)
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(["window", *columns])
    metrics = (values[order].tolist() for values in columns.values())
    writer.writerows(zip(describe(index[order], "predict"), *metrics, strict=True))
    with replacing(path) as file:
        file.write(text.getvalue().encode())
    return path


def _joined(parts: Sequence[Columns]) -> Columns:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _of_all(trainer: pl.Trainer, columns: Columns) -> Columns:
    """Those of every process."""
    if trainer.world_size == 1:
        return columns
    gathered: list[Any] = [None] * trainer.world_size
    distributed.all_gather_object(gathered, columns)
    return _joined(gathered)
