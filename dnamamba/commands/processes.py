"""The processes that share a piece of work, as torchrun starts them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

__all__ = ["World", "join_world"]

# A barrier waits for the slowest process; one that is gone ends the wait at once.
_PATIENCE = timedelta(days=7)


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

            distributed.barrier()


@contextmanager
def join_world() -> Iterator[World]:
    """Join the processes that ``RANK`` and ``WORLD_SIZE`` speak of; alone without them.

    The current CUDA device becomes the one of ``LOCAL_RANK``.

    Raises:
        ValueError: the variables make no sense.
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

    if torch.cuda.is_available():
        torch.cuda.set_device(int(local) % torch.cuda.device_count())
    distributed.init_process_group("gloo", timeout=_PATIENCE)
    try:
        yield World(int(rank), int(size))
    finally:
        distributed.destroy_process_group()
