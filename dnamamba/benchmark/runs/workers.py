"""How many runs go side by side."""

import os

from dnamamba.device import usable_memory

__all__ = ["cores", "workers_for"]

_MEMORY = 4 << 30  # bytes of a GPU for each run: its context, the weights and a batch
_MOST = 16


def cores() -> int:
    """That this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def workers_for(device: str, asked: int | None) -> tuple[int, int]:
    """Processes for what needs the device, and for what needs a core alone.

    On a CPU one run has all cores, in this process, unless more are asked for; a GPU serves several
    at a time, for a small model's step is mostly issued by a core. Beside these a quarter of the
    cores, at least one, does what needs no GPU.

    Args:
        device: as ``best_device`` gives it.
        asked: processes for the device; None: as many as cores and memory allow.

    Returns:
        (1, 0): no processes; all is done in this one.

    Raises:
        ValueError: none was asked for.
    """
    import torch

    if asked is not None and asked < 1:
        raise ValueError(f"workers must be at least 1, got {asked}")
    if torch.device(device).type != "cuda":
        return asked or 1, 0
    beside = max(1, min(cores() // 4, _MOST))
    if asked is not None:
        return asked, beside
    memory = usable_memory(torch.device(device)) or _MEMORY
    return max(1, min(cores() - beside, memory // _MEMORY, _MOST)), beside
