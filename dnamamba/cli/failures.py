"""What to say where a device's memory is full, or another process of the run is gone."""

import pytorch_lightning as pl
import torch
from torch import distributed

from dnamamba.training.callbacks import MemoryForecast

__all__ = ["explained"]

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
