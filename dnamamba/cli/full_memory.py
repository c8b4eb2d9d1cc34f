"""What to say where a device's memory is full."""

import pytorch_lightning as pl
import torch

from dnamamba.training.callbacks import MemoryForecast

__all__ = ["explain_full", "is_full"]

_CPU_FULL = "DefaultCPUAllocator"  # PyTorch has no class for it


def is_full(error: BaseException) -> bool:
    """Whether an error is of memory that could not be had."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and _CPU_FULL in str(error)


def explain_full(trainer: pl.Trainer, error: BaseException) -> str:
    """What happened, and settings that would fit where the trainer's forecast knows some."""
    said = f"the device's memory is full: {str(error).partition('.')[0]}"
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, MemoryForecast) and (remedy := callback.remedy()):
            return f"{said}. {remedy}"
    return (
        f"{said}. Lower data.length, or raise trainer.accumulate_grad_batches, which leaves the "
        "run the same"
    )
