"""What a worker does for a job, and the row that it leaves."""

import contextlib
import logging
import platform
import time
import warnings
from dataclasses import asdict, dataclass
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from plan import Job, Table
from rows import write_row

__all__ = ["Work"]


@dataclass(frozen=True)
class Work:
    """Does jobs; a worker calls it.

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

    def __call__(self, job: Job) -> None:
        """Do the job, and leave its row."""
        # Here, so that the script itself starts at once.
        from finetuning import finetune
        from pretraining import pretrain
        from zero_shot import zero_shot

        work = {"pretrain": pretrain, "finetune": finetune, "zero_shot": zero_shot}
        _quiet()
        with contextlib.chdir(self.data):
            began = time.monotonic()
            row = work[job.kind](job, self)
            row["seconds"] = round(time.monotonic() - began, 1)
        write_row(self.output, job.name, {**asdict(job), **row, "machine": machine()})
        if torch.cuda.is_available():
            torch.cuda.empty_cache()  # the other workers need it

    def model(self, job: Job) -> Path:
        """The folder of the pretrained model that a job makes or starts from."""
        return self.output / "pretrained" / f"{job.size}-seed{job.seed}"


def machine(*others: str) -> dict[str, str]:
    """Date, device and versions: a figure without them means nothing."""
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


def _quiet() -> None:
    """No advice of Lightning's, in a log of many short runs."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
