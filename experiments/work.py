"""What every job is told, and on what machine its row was made."""

import platform
from dataclasses import dataclass
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from plan import Job, Table

__all__ = ["Work", "machine"]


@dataclass(frozen=True)
class Work:
    """The settings of all jobs.

    Attributes:
        table: what the jobs are of.
        data: the data folder; configurations name files relative to it.
        output: rows, models and runs go there.
        set: settings of every run, by dotted keys.
        steps: what the fine-tuning's numbers of steps are multiplied by.
        pretrain_tokens: bases to read in pretraining, by size; of a size that is not there, as
            many as ``pretrain_seconds`` allow.
        pretrain_seconds: of pretraining, by size.
        until: seconds since the epoch at which a pretraining must be over: it ends early, for half
            of one is better than none.
    """

    table: Table
    data: Path
    output: Path
    set: dict[str, Any]
    steps: float
    pretrain_tokens: dict[str, float]
    pretrain_seconds: dict[str, float]
    until: float

    def model(self, job: Job) -> Path:
        """The folder of the pretrained model that a job makes or starts from."""
        return self.output / "pretrained" / f"{job.size}-seed{job.seed}"


def machine(*others: str) -> dict[str, str]:
    """Date, device and versions: a metric without them means nothing."""
    return {
        "date": date.today().isoformat(),
        "device": device_name(),
        "python": platform.python_version(),
        **{
            name: import_module(name).__version__
            for name in ("torch", "pytorch_lightning", "numpy", *others)
        },
    }


def device_name() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
