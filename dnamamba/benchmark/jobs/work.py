"""What every job is told beside itself, and on what machine a row was made."""

import platform
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

from dnamamba.benchmark.jobs.recipe import Recipe

__all__ = ["Work", "machine"]

_LIBRARIES = ("torch", "pytorch-lightning", "numpy", "scikit-learn")


@dataclass(frozen=True)
class Work:
    """The settings of all jobs.

    Attributes:
        recipe: of fine-tuning.
        device: where models run, as ``cpu`` or ``cuda:1``.
        output: folder of the rows.
        cache: folder of what serves other outputs, too.
        threads: cores for each job; no figure depends on them.
    """

    recipe: Recipe
    device: str
    output: Path
    cache: Path
    threads: int = 1


def machine(device: str) -> dict[str, str]:
    """Date, device and versions, without which a figure cannot be made again.

    Args:
        device: of the ``Work``.
    """
    import torch

    on_gpu = torch.device(device).type == "cuda"
    return {
        "date": date.today().isoformat(),
        "device": torch.cuda.get_device_name(device) if on_gpu else device.upper(),
        "python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
    }
