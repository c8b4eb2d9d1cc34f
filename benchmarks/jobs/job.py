"""What a job is: what it measures, and the figure to reach."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobs.inputs import Inputs

__all__ = ["Job"]


@dataclass(frozen=True)
class Job(ABC):
    """One row of the table.

    Attributes:
        name: as ``--jobs`` takes it.
        title: what is done.
        unit: of the figure: ``s`` or ``ms``, of which less is better, or a share of what else
            (``of the bare model``), of which more is.
        goal: the figure to reach; None where it is said in times of another.
        today: what the figure was before anything was done for it.
    """

    name: str
    title: str
    unit: str
    goal: float | None
    today: str

    @abstractmethod
    def measure(self, inputs: Inputs) -> dict[str, Any]:
        """``figure``, ``first`` (of the first run, None if there was one alone), ``checked``."""

    @abstractmethod
    def in_process(self, inputs: Inputs) -> Callable[[], object]:
        """The job in this process, to be looked into; may be called again and again."""

    def reached(self, figure: float) -> bool:
        """Whether the goal is, where there is one."""
        assert self.goal is not None
        return figure <= self.goal if self.unit in ("s", "ms") else figure >= self.goal
