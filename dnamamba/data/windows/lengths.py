"""Windows that become longer as a run goes on, at the same number of bases in every step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from dnamamba.data.samples.stages import Stages
from dnamamba.data.windows.settings import LONGEST, SHORTEST

__all__ = ["LengthSchedule", "LengthStage", "length_setting"]

_SETTING = "data.length_schedule"
_MOST_WINDOWS = 1 << 24


class LengthStage(NamedTuple):
    """Optimiser steps that read windows of one length.

    Attributes:
        step: the first of them, from 0.
        length: L, bases in a window.
        windows: in one step, over all devices and accumulated batches.
    """

    step: int
    length: int
    windows: int

    def __str__(self) -> str:
        plural = "s" if self.windows > 1 else ""
        return f"{self.windows:,} window{plural} of {self.length:,} bases"


@dataclass(frozen=True)
class LengthSchedule:
    """The stages of a run, each of as many bases a step.

    Attributes:
        stages: by their first steps, which ascend from 0; the last one never ends.
    """

    stages: tuple[LengthStage, ...]

    @classmethod
    def of(
        cls, schedule: Sequence[Sequence[int]] | None, length: int, global_batch_size: int
    ) -> "LengthSchedule":
        """From settings.

        Args:
            schedule: (step, length) of each stage; None: there is but one.
            length: bases in a window, at the end and of held-out parts.
            global_batch_size: windows of that length in one step.

        Raises:
            ValueError: steps that do not ascend from 0, a length out of range or that does not
                divide the bases of a step, or a last one that is not ``length``; names the stage.
        """
        if schedule is None:
            return cls((LengthStage(0, length, global_batch_size),))
        pairs = [_pair(entry) for entry in schedule]
        if not pairs or pairs[0][0] != 0:
            raise ValueError(
                f"{_SETTING} must begin with step 0, got {list(schedule)!r:.80}; give [[0, LENGTH]"
                f", [STEP, LENGTH], ...], the last of data.length {length}, or leave it out"
            )
        for (before, _), (step, size) in pairwise(pairs):
            if step <= before:
                raise ValueError(
                    f"{_SETTING}: steps must ascend, got [{step}, {size}] after step {before}"
                )
        for pair in pairs:
            _check_length(*pair, length * global_batch_size)
        if pairs[-1][1] != length:
            raise ValueError(
                f"{_SETTING} ends with {pairs[-1][1]:,} bases, but data.length, at which a run "
                f"ends and is validated, is {length:,}; set both alike"
            )
        bases = length * global_batch_size
        return cls(tuple(LengthStage(step, size, bases // size) for step, size in pairs))

    @property
    def varies(self) -> bool:
        """Whether there is more than one stage."""
        return len(self.stages) > 1

    @property
    def numbering(self) -> Stages:
        """Which samples the steps take."""
        return Stages(tuple(s.step for s in self.stages), tuple(s.windows for s in self.stages))

    def at(self, step: int) -> LengthStage:
        """The stage of an optimiser step, counted from 0."""
        return self.stages[self.numbering.at(step)]

    def named(self) -> Iterator[tuple[LengthStage, str]]:
        """Each stage, and the setting that gives its length."""
        for number, stage in enumerate(self.stages[:-1]):
            yield stage, length_setting(number)
        yield self.stages[-1], "data.length"

    def __str__(self) -> str:
        first, *others = self.stages
        later = "".join(f"; from step {stage.step:,} on {stage}" for stage in others)
        return f"lengths: a step reads {first}{later}"

    def unreached(self, steps: int) -> str:
        """What to say of a run of so many optimiser steps that ends before the last stage."""
        last = self.stages[-1]
        if steps > last.step or not self.varies:
            return ""
        return (
            f"{_SETTING} comes to data.length {last.length:,} at step {last.step:,}, and the run "
            f"ends before, at step {steps:,} (trainer.max_steps, trainer.max_epochs)"
        )

    def check_devices(self, world: int, accumulated: int) -> None:
        """Refuse a stage before the last whose windows cannot be shared out alike.

        Raises:
            ValueError: names the stage.
        """
        for stage in self.stages[:-1]:
            if stage.windows % (world * accumulated):
                raise ValueError(
                    f"{_SETTING}: from step {stage.step:,} on a step reads {stage}, not to be "
                    f"divided by {world} device(s) x {accumulated} accumulated batch(es) "
                    "(trainer.accumulate_grad_batches); choose a length that divides data.length, "
                    f"and a data.global_batch_size that is a multiple of {world * accumulated}"
                )


def length_setting(stage: int) -> str:
    """What sets the length of a stage before the last, by its number from 0."""
    return f"{_SETTING}[{stage}][1]"


def _pair(entry: Sequence[int]) -> tuple[int, int]:
    whole = isinstance(entry, list | tuple) and all(type(number) is int for number in entry)
    if not whole or len(entry) != 2:
        raise ValueError(f"{_SETTING}: a stage is [STEP, LENGTH], two whole numbers, got {entry!r}")
    return entry[0], entry[1]


def _check_length(step: int, length: int, bases: int) -> None:
    stage = f"{_SETTING}: [{step}, {length}]"
    if not SHORTEST <= length <= LONGEST:
        raise ValueError(f"{stage} must have a length of {SHORTEST} to {LONGEST:,} bases")
    if bases % length:
        raise ValueError(
            f"{stage} does not divide the bases of a step, data.length x data.global_batch_size "
            f"{bases:,}: every step is to read as many; choose a length that does"
        )
    if bases // length > _MOST_WINDOWS:
        raise ValueError(
            f"{stage} makes {bases // length:,} windows a step, at most {_MOST_WINDOWS:,} can be; "
            "choose a longer one, or lower data.global_batch_size"
        )
