"""Runs the independent parts of one op side by side, each on a thread of its own.

PyTorch spreads a single call over its threads and waits for all of them at its end. An op of many
short calls then waits more than it works, and for ever longer on a machine that has other work.
Here each thread makes its own calls and all meet once; PyTorch lets go of the interpreter's lock
while it computes.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from threading import Barrier
from typing import TypeVar

import torch

__all__ = ["run"]

T = TypeVar("T")


def run(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """The tasks' results, in order; without gradients, and one task runs on the spot."""
    if len(tasks) == 1:
        with torch.no_grad():
            return [tasks[0]()]
    call = partial(_call, torch.is_inference_mode_enabled())
    return list(_pool(len(tasks), os.getpid()).map(call, tasks))


def _call(inference: bool, task: Callable[[], T]) -> T:
    # Both modes belong to a thread, and a tensor made under inference mode can be written only so.
    with torch.inference_mode(inference), torch.no_grad():
        return task()


@cache
def _pool(workers: int, process: int) -> ThreadPoolExecutor:
    """Of this process: a fork takes the pool along, but not its threads."""
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(workers, "dnamamba", initializer=_compute_alone)
    started = Barrier(workers)
    list(pool.map(lambda _: started.wait(), range(workers)))
    # A worker's setting is also what threads yet to come begin with: give that back.
    torch.set_num_threads(threads)
    return pool


def _compute_alone() -> None:
    torch.set_num_threads(1)
    # Reading it once makes it stick: a thread's first use would take it from the process again.
    torch.get_num_threads()
