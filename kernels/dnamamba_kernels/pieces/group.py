"""Which process holds which piece, and the two ways in which tensors go between them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["Pieces", "cut"]


def cut(length: int, parts: int) -> list[slice]:
    """Where ``length`` positions are cut into pieces: as even as can be, the longer ones first.

    Raises:
        ValueError: there are fewer positions than pieces.
    """
    if parts < 1 or length < parts:
        raise ValueError(
            f"a sequence of {length} positions cannot be cut into {parts} pieces: each takes at "
            "least one; use fewer processes for a sequence, or longer sequences"
        )
    size, longer = divmod(length, parts)
    edges = [size * k + min(k, longer) for k in range(parts + 1)]
    return [slice(start, end) for start, end in pairwise(edges)]


@dataclass(frozen=True)
class Pieces:
    """The pieces of a batch of sequences, of which this process holds one; made by ``agree``.

    Attributes:
        group: the processes that share a sequence; None is all.
        rank: of this process in it, and of its piece: 0 begins the sequence.
        rows: B.
        lengths: positions of each piece.
    """

    group: "dist.ProcessGroup | None"
    rank: int
    rows: int
    lengths: tuple[int, ...]

    @classmethod
    def agree(cls, rows: int, length: int, group: "dist.ProcessGroup | None" = None) -> "Pieces":
        """Say what this process holds, and learn what the others do: a call of all of the group.

        It waits for all of them; what it returns serves every batch of the same sizes.

        Args:
            rows: B, the same everywhere.
            length: positions of this process's piece.
            group: the processes that share a sequence, in its order; None is all.

        Raises:
            ValueError: torch.distributed is not initialised, this process is not in the group, or,
                on all of them alike, the pieces do not fit together.
        """
        if not (dist.is_available() and dist.is_initialized()):
            raise ValueError(
                "a sequence in pieces needs torch.distributed: call init_process_group first, "
                "as torchrun and Lightning do"
            )
        rank, count = dist.get_rank(group), dist.get_world_size(group)
        if rank < 0:
            raise ValueError(
                f"process {dist.get_rank()} is not in the group that shares the sequence: "
                "each process takes part in its own group alone"
            )
        sizes: list[tuple[int, int]] = [(0, 0)] * count
        dist.all_gather_object(sizes, (rows, length), group=group)
        every = [size[0] for size in sizes]
        if len(set(every)) > 1:
            raise ValueError(f"pieces of the same sequences must have as many rows, got {every}")
        lengths = tuple(size[1] for size in sizes)
        if min(lengths) < 1:
            raise ValueError(
                f"each of {count} processes needs at least one position of a sequence, got "
                f"pieces of {list(lengths)}; use fewer processes for a sequence, or longer ones"
            )
        return cls(group, rank, rows, lengths)

    @property
    def count(self) -> int:
        """P."""
        return len(self.lengths)

    def place(self, reverse: bool) -> int:
        """Of this piece, from 0 in the order of the scan."""
        return self.count - 1 - self.rank if reverse else self.rank

    def check(self, op: str, x: Tensor) -> None:
        """Raises:
        ValueError: x (B, L, ...) is not of the agreed sizes.
        """
        expected = (self.rows, self.lengths[self.rank])
        if tuple(x.shape[:2]) != expected:
            raise ValueError(
                f"{op}: the pieces agreed on B, L = {expected} for process {self.rank} of "
                f"{self.count}, got {tuple(x.shape[:2])}"
            )

    def check_taps(self, op: str, taps: int) -> None:
        """Raises:
        ValueError: a piece has fewer positions than the ``taps`` = W - 1 that the next one sees.
        """
        if min(self.lengths) < taps:
            raise ValueError(
                f"{op}: a piece needs the W - 1 = {taps} positions that the next "
                f"one sees, got pieces of {list(self.lengths)}; use fewer processes"
            )

    def gather(self, every: Sequence[Tensor], sides: Sequence[bool]) -> Callable[[], list[Tensor]]:
        """Of each tensor every process's, (P, *shape), in one message; without a gradient.

        The message is under way when this returns; what it returns waits for it. Each in the order
        of its scan, which of those in ``sides`` begins with the last piece. All are of one dtype,
        and on all processes of the same shapes.
        """
        own = torch.cat([x.flatten() for x in every])
        gathered = own.new_empty(self.count, own.numel())
        work = dist.all_gather(list(gathered.unbind()), own, group=self.group, async_op=True)
        shapes = [x.shape for x in every]

        def received() -> list[Tensor]:
            work.wait()
            parts = gathered.split([shape.numel() for shape in shapes], 1)
            return [
                (part.flip(0) if reverse else part).unflatten(1, shape)
                for part, shape, reverse in zip(parts, shapes, sides, strict=True)
            ]

        return received

    def pass_on(self, every: Sequence[Tensor], sides: Sequence[bool]) -> list[Tensor]:
        """Of each tensor that of the piece scanned before this one, of the last for the first.

        Otherwise as ``gather``, but waits: P messages at most, from and to the neighbours.
        """
        steps = [-1 if reverse else 1 for reverse in sides]
        to, come = ([(self.rank + way * k) % self.count for k in steps] for way in (1, -1))
        sent, received = [0] * self.count, [0] * self.count
        for x, target, source in zip(every, to, come, strict=True):
            sent[target] += x.numel()
            received[source] += x.numel()
        order = range(len(every))
        own = torch.cat([every[k].flatten() for k in sorted(order, key=to.__getitem__)])
        out = torch.empty_like(own)
        dist.all_to_all_single(out, own, received, sent, group=self.group)
        places = sorted(order, key=come.__getitem__)
        parts = out.split([every[k].numel() for k in places])
        return [parts[places.index(k)].view(every[k].shape) for k in order]
