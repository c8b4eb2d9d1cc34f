"""What to say where a run is stopped, memory is full, or another process of the run is gone."""

import sys

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_only
from torch import distributed

from dnamamba.cli.runs import RunFolder
from dnamamba.training.callbacks import MemoryForecast

__all__ = ["explained", "say_stopped"]

# PyTorch has no classes for them.
_CPU_FULL = "DefaultCPUAllocator"
_GLOO = "gloo/transport"


def explained(trainer: pl.Trainer, error: BaseException) -> str:
    """What happened, and a remedy; empty where it is an error of neither kind."""
    if _is_full(error):
        return _explain_full(trainer, error)
    if isinstance(error, distributed.DistError) or _GLOO in str(error):
        return (
            "another process of this run has ended, perhaps killed, or for want of memory; see "
            "what was said before, and start the command again (fit: with --ckpt_path last)"
        )
    return ""


def _is_full(error: BaseException) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and _CPU_FULL in str(error)


def _explain_full(trainer: pl.Trainer, error: BaseException) -> str:
    """With settings that would fit where the trainer's forecast knows some."""
    said = f"the device's memory is full: {str(error).partition('.')[0]}"
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, MemoryForecast) and (remedy := callback.remedy()):
            return f"{said}. {remedy}"
    return (
        f"{said}. Lower data.length, or raise trainer.accumulate_grad_batches, which leaves the "
        "run the same"
    )


def say_stopped(folder: RunFolder) -> None:
    """Of a training that was stopped: what is saved, and how it goes on."""
    if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
        saved = folder.last.is_file()
        said = (
            f"stopped; {folder.last} is saved. To go on"
            if saved
            else ("stopped before anything was saved. To begin anew")
        )
        print(f"{said}, repeat the command with --ckpt_path last", file=sys.stderr)
