"""Cuts an op into independent blocks and runs them side by side, each on a thread of its own.

PyTorch spreads a single call over its threads and waits for all of them at its end. An op of many
short calls then waits more than it works, and for ever longer on a machine that has other work.
Here each thread makes its own calls and all meet once; PyTorch lets go of the interpreter's lock
while it computes.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from math import gcd
from threading import Barrier
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

__all__ = ["Block", "blocks", "run", "slices"]

T = TypeVar("T")

# Operations below which a thread is not worth waking.
THREAD_OPERATIONS = 1 << 18
# A fifth of a block's time is spent in the interpreter, of which there is one.
MOST_THREADS = 8


class Block(NamedTuple):
    """Rows of the batch and channels: no recurrence crosses from one block to another."""

    rows: slice
    channels: slice

    def cut(self, tensor: Tensor) -> Tensor:
        """The block's part of a tensor (B, any, D)."""
        return tensor[self.rows, :, self.channels]


def blocks(like: Tensor, operations: int) -> list[Block]:
    """Blocks of a (B, L, D) tensor: as many as there are threads with enough to do.

    ``operations`` is how many each element takes. Where PyTorch's threads are not the CPU's, one.
    """
    batch, _, channels = like.shape
    threads = min(torch.get_num_threads(), MOST_THREADS) if like.device.type == "cpu" else 1
    threads = max(1, min(threads, like.numel() * operations // THREAD_OPERATIONS))
    # A thread of its own for each of as many rows as divide evenly; the rest from the channels.
    by_rows = gcd(batch, threads)
    return [
        Block(rows, across)
        for rows in slices(batch, batch // by_rows) or [slice(0)]
        for across in slices(channels, -(-channels * by_rows // threads))
    ]


def slices(length: int, step: int, leftwards: bool = False) -> list[slice]:
    """``range(length)`` in slices of ``step``, the last one shorter."""
    parts = [slice(start, min(start + step, length)) for start in range(0, length, max(1, step))]
    return parts[::-1] if leftwards else parts


def run(tasks: Sequence[Callable[[], T]], apart: bool = False) -> list[T]:
    """The tasks' results, in order; without gradients.

    A single task runs on the spot, PyTorch's threads its own, unless it is to be ``apart`` like
    the others: then it has one thread, which waits for nobody.
    """
    if len(tasks) == 1 and not apart:
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
