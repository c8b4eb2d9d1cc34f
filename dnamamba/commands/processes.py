"""The processes that share a piece of work, as torchrun starts them."""

import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

__all__ = ["World", "join_world"]

Result = TypeVar("Result")

# A process waits for the slowest one; one that is gone ends the wait at once.
_PATIENCE = timedelta(days=7)
# Seconds in which others meet the same error, or say why they have ended.
_GRACE = 2.0
_LAST = 10.0  # in which the first process waits for the others to leave


@dataclass(frozen=True)
class World:
    """This process among those that share its work.

    Attributes:
        rank: its number, from 0.
        size: how many there are.
    """

    rank: int
    size: int

    def wait(self) -> None:
        """Return when all processes have called this."""
        if self.size > 1:
            from torch import distributed

            _together(distributed.barrier)

    def gather(self, mine: Any) -> list[Any]:
        """What each process gives, in their order; returns when all have called it."""
        if self.size == 1:
            return [mine]
        from torch import distributed

        each: list[Any] = [None] * self.size
        _together(lambda: distributed.all_gather_object(each, mine))
        return each


class _OtherEndedError(ValueError):
    """Another process is gone."""


@contextmanager
def join_world() -> Iterator[World]:
    """Join the processes that ``RANK`` and ``WORLD_SIZE`` speak of; alone without them.

    The current CUDA device becomes the one of ``LOCAL_RANK``. What all of them would say, the
    first says: the others warn of nothing, and of an error that several meet, or that ends the
    others with one of them, one leaves the block; the rest leave by ``SystemExit``.

    Raises:
        ValueError: the variables make no sense, or another process is gone without a word.
    """
    rank, size, local = (
        os.environ.get(*name) for name in (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))
    )
    if not (rank.isdigit() and size.isdigit() and local.isdigit() and int(rank) < int(size)):
        raise ValueError(
            f"RANK={rank}, WORLD_SIZE={size}, LOCAL_RANK={local} in the environment make no "
            "sense; start several processes with torchrun, or unset them"
        )
    if int(size) == 1:
        yield World(0, 1)
        return
    import torch
    from torch import distributed
    from torch.distributed.rendezvous import rendezvous

    if torch.cuda.is_available():
        torch.cuda.set_device(int(local) % torch.cuda.device_count())
    world = World(int(rank), int(size))
    try:
        store, *_ = next(rendezvous("env://", timeout=_PATIENCE))
    except (ValueError, RuntimeError) as error:  # no address, or a port that is taken
        why, *_ = str(error).splitlines()
        raise ValueError(
            f"process {rank} of {size} does not meet the others: {why}; "
            "start them with torchrun, which names a place (MASTER_ADDR, MASTER_PORT)"
        ) from error
    how = {"store": store, "rank": world.rank, "world_size": world.size, "timeout": _PATIENCE}
    distributed.init_process_group("gloo", **how)
    try:
        with warnings.catch_warnings():
            if world.rank:
                warnings.simplefilter("ignore")
            yield world
    except Exception as error:
        if _is_said_elsewhere(error, world, store):
            raise SystemExit(1) from error
        raise
    finally:
        distributed.destroy_process_group()  # who waits for this process waits no more
        _take_leave(world, store)


def _together(exchange: Callable[[], Result]) -> Result:
    try:
        return exchange()
    except RuntimeError as error:
        raise _OtherEndedError(
            "another process of this command has ended, perhaps killed, or for want of memory; "
            "see what was said before, and start the command again"
        ) from error


def _is_said_elsewhere(error: Exception, world: World, store: "Store") -> bool:
    """Whether another process has met an error of its own, or says that one is gone."""
    own = not isinstance(error, _OtherEndedError)
    others = [f"failed/{rank}" for rank in range(world.size) if rank != world.rank]
    with suppress(RuntimeError):  # the store is gone with the process that kept it
        if own:
            store.set(f"failed/{world.rank}", "")
            others = others[: world.rank]  # of the same error the first process speaks
        if others and _comes(lambda: any(store.check([name]) for name in others), _GRACE):
            return True
        return not own and store.add("gone", 1) > 1
    return False


def _take_leave(world: World, store: "Store") -> None:
    """The store ends with the first process, which waits until the others have asked in it."""
    names = [f"left/{rank}" for rank in range(1, world.size)]
    with suppress(RuntimeError):
        if world.rank:
            store.set(names[world.rank - 1], "")
        else:
            _comes(lambda: store.check(names), _LAST)


def _comes(state: Callable[[], bool], seconds: float) -> bool:
    """Whether it does, within so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if state():
            return True
        time.sleep(0.05)
    return False
