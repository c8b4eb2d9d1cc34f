"""Where a command runs, and how much memory there is."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["GPUS", "best_device", "usable_memory"]

GPUS = (Path("/dev/nvidia0"), Path("/dev/kfd"))
"""What stands where the system has a GPU, whatever PyTorch makes of it."""

_CGROUP = Path("/sys/fs/cgroup/memory.max")  # the bound of a container or a batch job


def best_device(name: "str | int | torch.device" = "auto") -> str:
    """What ``--device`` or ``device=`` stands for: ``auto`` is a CUDA GPU if there is one.

    Raises:
        ValueError: no device of PyTorch, or a GPU was asked for that is not there.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device must be auto, cpu, cuda, cuda:N or mps, got {name!r}") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {name} was asked for, but PyTorch finds no CUDA GPU; use cpu")
    if device.type == "cuda" and (device.index or 0) >= (count := torch.cuda.device_count()):
        raise ValueError(f"device {device} was asked for, but there are cuda:0 to cuda:{count - 1}")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError("device mps was asked for, but PyTorch finds no GPU of Apple; use cpu")
    return str(device)


def usable_memory(device: "torch.device") -> int | None:
    """Bytes of a device's memory that this process may have, what it holds included.

    Of a GPU what others leave free; of a CPU all that the machine, or the container, has; None
    where the system does not say.
    """
    import torch

    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)
    if device.type == "mps":
        return torch.mps.recommended_max_memory()
    if device.type != "cpu":
        return None
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None
    try:
        return min(total, int(_CGROUP.read_text()))
    except (ValueError, OSError):  # no bound, or none of this kind
        return total
