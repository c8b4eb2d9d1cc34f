"""How many runs go side by side.

What the eight GUE tasks with a training part take on one H200, model, scratch and frozen, one seed,
by a model of 4 x 256 (2 M) and the package's recipe, four choices tried in 0.2 of a run each:
million bases, and seconds of a GPU that always has work, at 3.5 Mb/s in training and 12 in reading.

===========  =====  ============  =======  ========  ======  ========  =======  ====
task         batch  steps: whole  a trial  training  frozen  held out  batches     s
===========  =====  ============  =======  ========  ======  ========  =======  ====
tf/0           128          3600      720     167.6    13.5      16.6      102    50
tf/1           128          3600      720     167.6    12.8      16.6      102    50
tf/2           128          2960      590     137.7     8.1      16.6      102    41
mouse/0         32          3600      720      41.9     2.9      13.4      102    13
mouse/2         32          1630      320      18.8     1.2       5.4      102     6
core all       128          3600      720     116.1    14.9      68.0      612    40
core noTATA    128          3600      720     116.1    13.4      60.9      612    39
core TATA       32          3060      610      24.7     1.5       7.0      102     8
all                                           790.5    68.3     204.5     1836   249
===========  =====  ============  =======  ========  ======  ========  =======  ====

Training is 92,000 steps, a launch each where they are captured as a graph. What is held out, 50
validations and a test in each fine-tuned column, is read launch by launch, in so many batches: a
fifteenth of the time. Steps of 32 rows do not fill a GPU, and take longer than their bases say. The
longest chain, a trial and then the whole run, is 16 s of a GPU, so that all runs end together.

Beside it a core learns a forest from the vectors of a large task in about 80 s, of all sixteen in
970: 8 cores in 2 minutes. A core reads a task's files in 1 s, and counts its leaks in 4.
"""

import os

from dnamamba.device import usable_memory

__all__ = ["IN_THIS_PROCESS", "cores", "workers_for"]

IN_THIS_PROCESS = (1, 0)
"""Workers of which none is another process."""

_MEMORY = 4 << 30  # bytes of a GPU for each run: its context, the weights and a batch
_BESIDE = 1 << 30  # for one that learns from frozen vectors: its context, and a model that reads

# Processes take turns on a GPU: behind so many it is always at work, and a step is one launch.
_MOST_ON_DEVICE = 8
_MOST = 16


def cores() -> int:
    """That this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def workers_for(device: str, asked: int | None) -> tuple[int, int]:
    """Processes for what the device does, and for what a core does most of.

    On a CPU one run has all cores, in this process, unless more are asked for; a GPU serves several
    at a time, for a small model's step is mostly issued by a core. Beside these half of the cores,
    at least one, do k-mers, count leaks, and learn from frozen vectors, 500 trees for each task.

    Args:
        device: as ``best_device`` gives it.
        asked: processes for the device; None: as many as cores and memory allow.

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
    left = memory - beside * _BESIDE
    return max(1, min(cores() - beside, left // _MEMORY, _MOST_ON_DEVICE)), beside
