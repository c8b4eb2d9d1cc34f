"""What a training step needs of a device's memory, before it is taken, and what would need less.

Arithmetic alone. What a backbone holds it says itself (``Backbone.footprint``), and a module what
its head and loss hold beside it; here come weights, gradients, optimiser and libraries.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf
from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn

from dnamamba.model.backbone import Backbone
from dnamamba.model.footprint import Reading
from dnamamba.model.recompute import Recompute
from dnamamba.training.captured import is_small
from dnamamba.training.optim import averages

__all__ = ["Forecast", "SaysMemory", "Step", "StepMemory", "activations", "readable_bytes"]

# Of what is free, as much may be asked for: the allocator never fills it to the last byte.
_SHARE = 0.9
# What cuBLAS works in, for each thread and stream: forward and backward have a thread each, and a
# CUDA graph is captured on a stream of its own.
_THREADS = 2
_SHORTEST = 64  # bases; no shorter window is proposed


@runtime_checkable
class SaysMemory(Protocol):
    """A module that knows what its batches take."""

    def activation_memory(self, reading: Reading, captured: bool) -> int | None:
        """See ``TrainedModule``."""
        ...


def activations(backbone: Backbone, reading: Reading, head: int, adapters: int = 0) -> int | None:
    """Bytes at the peak of forward and backward, weights apart; None where nobody says.

    Args:
        backbone: as it is trained.
        reading: what it reads.
        head: bytes that head and loss hold beside the hidden states.
        adapters: bytes that what was added to the backbone keeps.
    """
    footprint = backbone.footprint(reading)
    if footprint is None:
        return None
    return adapters + max(footprint.peak, footprint.kept + footprint.hidden + head)


@dataclass(frozen=True)
class Step:
    """What an optimiser step reads, and how.

    Attributes:
        samples: of all devices and accumulated batches, ``data.global_batch_size``.
        windows: rows of a sample.
        length: bases of the longest row.
        itemsize: bytes of a number in the dtype in which projections run.
        recompute: what blocks compute again.
        devices: that share the samples, or groups of them, each device with all weights.
        pieces: devices of a group, which share each row.
        accumulated: batches of a step.
        on_gpu: the device is a CUDA device.
        may_capture: small batches are captured as CUDA graphs there.
        workspace: bytes that cuBLAS takes for a thread on a stream.
        carried: bytes of the state that a row leaves to the next step; 0: none does.
    """

    samples: int
    windows: int
    length: int
    itemsize: int
    recompute: Recompute = "nothing"
    devices: int = 1
    pieces: int = 1
    accumulated: int = 1
    on_gpu: bool = False
    may_capture: bool = False
    workspace: int = 0
    carried: int = 0

    @property
    def batch(self) -> int:
        """Samples of a device's batch."""
        return max(1, self.samples // (self.devices * self.accumulated))

    @property
    def reading(self) -> Reading:
        """A device's batch, of which the first of a group has the longest piece."""
        rows, length = self.batch * self.windows, -(-self.length // self.pieces)
        return Reading(rows, length, self.itemsize, self.on_gpu, self.recompute)

    @property
    def captured(self) -> bool:
        """Whether a batch is taken as one graph."""
        alone = self.may_capture and self.pieces == 1
        return alone and is_small(self.reading.positions)

    @property
    def states(self) -> int:
        """Bytes of what rows carry: of all lanes as before the batch and as after it, of the
        batch's rows what it reads and what it leaves, and of a graph its own of both.
        """
        rows = self.reading.rows
        copies = 2 * rows * self.accumulated + (4 if self.captured else 2) * rows
        return self.carried * copies


class StepMemory(NamedTuple):
    """Bytes at a step's peak.

    Attributes:
        model: weights, gradients, optimiser, and what libraries work in.
        activations: of a batch, forward and backward, and the states of lanes.
    """

    model: int
    activations: int

    @property
    def total(self) -> int:
        return self.model + self.activations


class Forecast:
    """What a module's steps need, and which settings would need less.

    Args:
        module: a ``SaysMemory``, whose parameters are on their device.
        step: what it takes.
        length_setting: the data's name for ``step.length``.
        recomputes: whether the module has a setting for it.
    """

    def __init__(
        self, module: nn.Module, step: Step, length_setting: str, recomputes: bool
    ) -> None:
        self.module, self.step = module, step
        self.length_setting, self.recomputes = length_setting, recomputes

    def of(self, step: Step) -> StepMemory | None:
        """Of another step than its own; None where the backbone's family says nothing."""
        assert isinstance(self.module, SaysMemory)
        found = self.module.activation_memory(step.reading, step.captured)
        if found is None:
            return None
        return StepMemory(_of_model(self.module, step), found + step.states)

    def remedy(self, room: float) -> str:
        """The settings that would fit ``room`` bytes, what changes the run least before others."""
        everything = replace(self.step, recompute="everything")
        may = self.recomputes and self.step.recompute != "everything"
        same = [everything] if may and self._fits(everything, room) else []
        same += self._accumulated(self.step, room)
        if not same and may:
            same += self._accumulated(everything, room)
        if same:
            choices = "; or ".join(self._described(step) for step in same)
            return f"Set {choices}. It leaves the run the same"
        for step in self._shorter(everything if may else self.step):
            if self._fits(step, room):
                return f"Set {self._described(step)}"
        return "No batch and length would fit: choose a smaller model"

    def _fits(self, step: Step, room: float) -> bool:
        memory = self.of(step)
        return memory is not None and memory.total <= _SHARE * room

    def _accumulated(self, step: Step, room: float) -> list[Step]:
        """The same with the fewest batches accumulated that fit, if any do; at most one."""
        of_device = step.samples // step.devices
        for batch in range(step.batch - 1, 0, -1):
            if of_device % batch == 0:
                smaller = replace(step, accumulated=of_device // batch)
                if self._fits(smaller, room):
                    return [smaller]
        return []

    def _shorter(self, step: Step) -> Iterator[Step]:
        length = step.length
        while length > _SHORTEST:
            length = max(_SHORTEST, 1 << (length - 1).bit_length() - 1)
            yield replace(step, length=length, accumulated=step.samples // step.devices)

    def _described(self, step: Step) -> str:
        settings = {
            self.length_setting: (self.step.length, step.length),
            "trainer.accumulate_grad_batches": (self.step.accumulated, step.accumulated),
            "model.recompute": (self.step.recompute, step.recompute),
        }
        changed = [f"{name}: {new}" for name, (old, new) in settings.items() if new != old]
        memory = self.of(step)
        needs = inf if memory is None else memory.total
        return f"{' with '.join(changed)} (needs about {readable_bytes(needs)})"


def readable_bytes(count: float) -> str:
    """As people count memory: 3.2 GiB, 47 MiB."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def _of_model(module: nn.Module, step: Step) -> int:
    parameters = list(module.parameters())
    trained = _size(x for x in parameters if x.requires_grad)
    # Gradients and AdamW's two running means.
    total = _size(parameters) + 3 * trained
    if averages(module):
        total += trained
    # Weights as autocast has them.
    total += sum(x.numel() * step.itemsize for x in parameters if x.itemsize > step.itemsize)
    if step.captured:
        total += trained  # a graph's own gradients
    if step.devices * step.pieces > 1:
        total += trained  # what devices exchange them in
    return total + _gathered(module) + step.workspace * _THREADS * (2 if step.captured else 1)


def _gathered(module: nn.Module) -> int:
    """Of a module in shards what is whole at a time, beside them: two blocks, and all the rest.

    So are their gradients, of one block.
    """
    if not any(hasattr(x, "to_local") for x in module.parameters()):
        return 0
    layers = [
        block for part in module.modules() if isinstance(part, Backbone) for block in part.layers
    ]
    blocks = [_whole(block) for block in layers]
    rest = _whole(module) - sum(blocks)
    return 2 * rest + 3 * max(blocks, default=0)


def _whole(module: nn.Module) -> int:
    return sum(x.numel() * x.itemsize for x in module.parameters())


def _size(tensors: Iterator[Tensor] | list[nn.Parameter]) -> int:
    """Bytes on this device, which may hold but a shard."""
    each = (x.to_local() if hasattr(x, "to_local") else x for x in tensors)
    return sum(x.numel() * x.itemsize for x in each)
