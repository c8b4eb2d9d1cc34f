"""How many runs go side by side.

What the eight GUE tasks with training parts took on one H200, model, scratch and frozen, one seed,
by a model of 4 x 256 (1.9 M) and the own recipe, two choices tried in 0.2 of a run each, eight runs
side by side that overlapped (see ``overlap``): 285 steps a second of 128 rows, 579 of 32. Without
overlap it was 183 and 250.

===========  =====  ============  =======  ============  ===
task         batch  steps: whole  a trial  both columns    s
===========  =====  ============  =======  ============  ===
tf/0           128          3600      720        10,080   36
tf/1           128          3600      720        10,080   35
tf/2           128          2960      590         8,280   21
mouse/0         32          3600      720        10,080   18
mouse/2         32          1630      320         4,540    8
core all       128          3600      720        10,080   39
core noTATA    128          3600      720        10,080   39
core TATA       32          3060      610         8,560   14
all                                              71,780  210
===========  =====  ============  =======  ============  ===

With start and end it was 229 s, k-mers known before. A model of 4 x 128 (0.5 M) makes 427 and 894
steps a second.

The frozen columns take 13 to 126 s each, eight at a time, and end before. A core counts a task's
leaks in up to 5 s and its k-mers in up to 27.
"""

import os

from dnamamba.device import usable_memory

__all__ = ["IN_THIS_PROCESS", "cores", "gpus_of", "workers_for"]

IN_THIS_PROCESS = (1, 0)
"""Workers of which none is another process."""

_MEMORY = 4 << 30  # bytes of a GPU for each run: its context, the weights and a batch
_BESIDE = 1 << 30  # for one that learns from frozen vectors: its context, and a model that reads

# Behind so many a GPU is always at work, and a step is one launch.
_MOST_ON_EACH = 8
_MOST = 16


def cores() -> int:
    """That this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gpus_of(device: str) -> list[str]:
    """All the GPUs that ``cuda`` stands for, as CUDA_VISIBLE_DEVICES calls them; else none.

    Args:
        device: as ``best_device`` gives it; ``cuda:1`` stands for itself, and is no choice.
    """
    import torch

    if device != "cuda":
        return []
    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",")[:count] if visible else [str(number) for number in range(count)]


def workers_for(device: str, asked: int | None) -> tuple[int, int]:
    """Processes for what the device does, and for what a core does most of.

    On a CPU one run has all cores, in this process, unless more are asked for; a GPU serves several
    at a time, for a small model's step is mostly issued by a core, and ``cuda`` is all GPUs that
    there are, as large as the first and as free. Beside these half of the cores,
    at least one, do k-mers, count leaks, and learn from frozen vectors, 500 trees for each task.

    Args:
        device: as ``best_device`` gives it.
        asked: processes for the device, or all of them; None: as many as cores and memory allow.

    Returns:
        ``IN_THIS_PROCESS``: no processes; all is done in this one.

    Raises:
        ValueError: none was asked for.
    """
    import torch

    if asked is not None and asked < 1:
        raise ValueError(f"workers must be at least 1, got {asked}")
    if torch.device(device).type != "cuda":
        return asked or 1, 0
    memory = usable_memory(torch.device(device)) or _MEMORY
    beside = max(1, min(cores() // 2, memory // 4 // _BESIDE, _MOST))
    if asked is not None:
        return asked, beside
    gpus = max(1, len(gpus_of(device)))
    left = memory - -(-beside // gpus) * _BESIDE
    return max(1, min(cores() - beside, gpus * min(left // _MEMORY, _MOST_ON_EACH))), beside
