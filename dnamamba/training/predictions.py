"""What ``predict`` says of each window, as a table."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from dnamamba.files import replacing

__all__ = ["write_predictions"]


def write_predictions(
    folder: Path, trainer: pl.Trainer, batches: Iterable[dict[str, Any]] | None, overwrite: bool
) -> Path:
    """Write one row a window: where it lies, then each metric, to ``predictions.tsv``.

    With several devices each writes its own share, to ``predictions-RANK.tsv``.

    Args:
        folder: where to.
        trainer: the one that predicted; its datamodule says where windows lie.
        batches: what ``predict_step`` returned: ``index`` (B,), below 0 for rows that only fill
            up a batch, and further metrics (B,).
        overwrite: replace a file that is there.

    Raises:
        ValueError: the file is there and ``overwrite`` is False.
    """
    rank = f"-{trainer.global_rank}" if trainer.world_size > 1 else ""
    path = folder / f"predictions{rank}.tsv"
    if path.exists() and not overwrite:
        raise ValueError(f"{path} exists; set --overwrite to replace it")
    results = list(batches or [])
    columns = {name: torch.cat([batch[name] for batch in results]) for name in results[0]}
    index = columns.pop("index")
    real = index >= 0
    describe: Any = getattr(trainer, "datamodule").describe  # noqa: B009 (Lightning sets it late)
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(["window", *columns])
    metrics = (values[real].tolist() for values in columns.values())
    writer.writerows(zip(describe(index[real], "predict"), *metrics, strict=True))
    with replacing(path) as file:
        file.write(text.getvalue().encode())
    return path
