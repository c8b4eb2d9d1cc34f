"""Batches side by side: on a CPU each on a thread of its own, elsewhere one after the other.

An op that is spread over threads waits for the slowest of them at its end; threads that each read
a batch of their own never wait. An accelerator works through its queue by itself.
"""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from threading import Lock
from typing import TypeVar

import torch

from dnamamba_kernels import parallel

__all__ = ["batches_ahead", "side_by_side"]

Batch = TypeVar("Batch")
Result = TypeVar("Result")

# Batches for each thread that are worked on before any result is handed out.
_AHEAD = 4


def side_by_side(
    work: Callable[[Batch], Result],
    batches: Iterable[Batch],
    device: torch.device,
    brief: bool = False,
) -> list[Result]:
    """What ``work`` makes of each batch, in order; batches are taken as they are needed.

    Args:
        work: made for a thread: it writes nothing that another batch's writes, too.
        batches: what it is given, one at a time.
        device: where the work is done.
        brief: a single batch is too little for several threads, too.
    """
    queue = enumerate(batches)
    first = list(islice(queue, _threads(device)))
    if len(first) < 2 and not (brief and first and _threads(device) > 1):
        return [work(batch) for _, batch in first] + [work(batch) for _, batch in queue]
    lock, results, failed = Lock(), dict[int, Result](), False

    def drain(entry: tuple[int, Batch] | None) -> None:
        nonlocal failed
        try:
            while entry is not None:
                number, batch = entry
                results[number] = work(batch)
                with lock:
                    entry = None if failed else next(queue, None)
        except BaseException:
            failed = True
            raise

    try:
        modes = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")
        tasks = [partial(_under_autocast, partial(drain, entry), *modes) for entry in first]
        parallel.run(tasks, apart=True)
    finally:
        failed = True  # an interrupt ends the wait here, not the threads
    return [results[number] for number in range(len(results))]


def batches_ahead(device: torch.device) -> int:
    """How many batches to work on before their results are handed out."""
    return _AHEAD * _threads(device)


def _threads(device: torch.device) -> int:
    return min(torch.get_num_threads(), parallel.MOST_THREADS) if device.type == "cpu" else 1


def _under_autocast(work: Callable[[], None], enabled: bool, dtype: torch.dtype) -> None:
    # Autocast, too, belongs to a thread.
    with torch.autocast("cpu", dtype=dtype, enabled=enabled):
        work()
