"""Batches divided among processes: each works on some, and all are given the results of all.

Every process plans the same batches, and what they cost says which of them are its own. A batch is
then what it is in a process alone, and so is its result, to the last bit where devices are of one
kind. Results are exchanged when the first of some batches is asked for, so that a device has work
meanwhile; who asks must ask in every process, and in the same order.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, Protocol, TypeVar

import torch

from dnamamba.inference.side_by_side import batches_ahead, side_by_side

__all__ = ["ALONE", "Share", "dealt", "divided", "in_order", "least"]

Batch = TypeVar("Batch")
Result = TypeVar("Result")
Answer = Callable[[], Result]
"""Waits for a result, and gives it, on the host."""


class Share(Protocol):
    """This process among those that divide the batches.

    Attributes:
        rank: its number, from 0.
        size: how many there are.
    """

    @property
    def rank(self) -> int: ...
    @property
    def size(self) -> int: ...

    def gather(self, mine: Any) -> list[Any]:
        """What each process gives, in their order; returns when all have called it."""
        ...


@dataclass(frozen=True)
class _Alone:
    rank: int = 0
    size: int = 1

    def gather(self, mine: Any) -> list[Any]:
        return [mine]


ALONE: Share = _Alone()


def dealt(costs: Iterable[int], size: int) -> list[int]:
    """Which of ``size`` processes does each piece of work: who has least so far, the first of them.

    No process has more than the mean and the dearest piece.
    """
    loads = [0] * size
    owners = []
    for cost in costs:
        owner = loads.index(min(loads))
        loads[owner] += cost
        owners.append(owner)
    return owners


def least(share: Share, number: int) -> int:
    """The smallest of every process's number, as what all of their devices have room for."""
    return min(share.gather(number))


def divided(
    work: Callable[[Batch], Answer[Result]],
    batches: Sequence[Batch],
    cost: Callable[[Batch], int],
    device: torch.device,
    share: Share,
    brief: bool = False,
) -> list[Answer[Result]]:
    """What ``work`` makes of each batch, in order, whoever does it.

    Args:
        work: see ``side_by_side``; what it returns waits for the device.
        batches: the same in every process.
        cost: of a batch, in any unit.
        device: where the work is done.
        share: of this process.
        brief: see ``side_by_side``.

    Raises:
        ValueError: when an answer is asked for, and the processes did not plan the same batches.
    """
    if share.size == 1:
        return side_by_side(work, batches, device, brief)
    owners = dealt(map(cost, batches), share.size)
    own = [number for number, owner in enumerate(owners) if owner == share.rank]
    # How the CPU's threads are used must not depend on how few of the batches are left here.
    together = brief or len(batches) > 1
    answers = side_by_side(work, [batches[number] for number in own], device, together)

    @cache
    def everything() -> dict[int, Result]:
        mine = {number: answer() for number, answer in zip(own, answers, strict=True)}
        parts = share.gather((len(batches), mine))
        results = {number: result for _, part in parts for number, result in part.items()}
        if {number for number, _ in parts} != {len(batches)} or len(results) != len(batches):
            raise ValueError(
                "the processes did not divide the same work: each needs the same model, files and "
                "settings, and a device of the same kind"
            )
        return results

    return [lambda number=number: everything()[number] for number in range(len(batches))]  # type: ignore[misc]


def in_order(
    work: Callable[[Batch], Answer[Result]],
    batches: Iterable[Batch],
    cost: Callable[[Batch], int],
    device: torch.device,
    share: Share = ALONE,
    brief: bool = False,
) -> Iterator[tuple[Batch, Answer[Result]]]:
    """Each batch and its answer; a few batches of each thread and process are held at a time."""
    queue = iter(batches)
    while group := list(islice(queue, batches_ahead(device) * share.size)):
        yield from zip(group, divided(work, group, cost, device, share, brief), strict=True)
