"""What a causal backbone carries from step to step, of each lane that is read."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dnamamba.model.backbone import Backbone, CausalBackbone
from dnamamba.model.state import State
from dnamamba.training.captured import Batch

__all__ = ["HeldOutLanes", "LaneStates", "Share", "carried", "joined"]

_STATE = "state."


class Share(NamedTuple):
    """Which part of a global batch a process reads.

    Attributes:
        rank: this process, 0 to ``world - 1``.
        world: number of processes.
        accumulated: batches of a process in one step.
    """

    rank: int
    world: int
    accumulated: int

    def all_lanes(self, rows: int) -> int:
        """Lanes of all processes, whose batches have so many rows."""
        return self.world * self.accumulated * rows

    def lanes(self, rows: int) -> Tensor:
        """(n,) int64, the lanes of this process, whose batches have so many rows."""
        first = torch.arange(self.accumulated) * (self.world * rows) + self.rank * rows
        return (first[:, None] + torch.arange(rows)).flatten()

    def places(self, lane: Tensor) -> Tensor:
        """Where the lanes (B,) of a batch stand in ``lanes``."""
        rows = lane.shape[0]
        return lane // (self.world * rows) * rows + lane % rows


class LaneStates:
    """The states of the lanes that a process trains on, each after its last window.

    A lane that is met for the first time has a state of zeros, or the one of a checkpoint. Where
    sequence is divided into another number of lanes than before, all begin with zeros: they are
    other lanes.

    Args:
        backbone: whose states they are.
    """

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        self._lanes: Tensor | None = None
        self._all = 0
        self._state: State | None = None
        self._saved: dict[str, Any] = {}

    @property
    def bytes_of_lane(self) -> int:
        """What the state of one lane takes."""
        return sum(x.nbytes for x in _zeros(self._backbone, 1, torch.device("meta")))

    def enter(self, batch: Batch, share: Share) -> Batch:
        """A batch with the states that its rows begin with."""
        lane = batch["lane"]
        lanes, total = share.lanes(lane.shape[0]), share.all_lanes(lane.shape[0])
        if self._lanes is None or not torch.equal(lanes, self._lanes):
            self._state = self._dealt(lanes, total, lane.device)
            self._lanes, self._all, self._saved = lanes, total, {}
        assert self._state is not None
        state = self._state.take(share.places(lane))
        return {**batch, **{f"{_STATE}{i}": x for i, x in enumerate(state.tensors)}}

    def leave(self, batch: Batch, share: Share, after: Sequence[Tensor]) -> None:
        """Keep the states with which a batch ends, the tensors of a ``State``."""
        assert self._state is not None
        places = share.places(batch["lane"])
        # Not in place: what a checkpoint carries may be the states before this batch.
        kept = zip(self._state.tensors, after, strict=True)
        tensors = (x.index_copy(1, places, y.detach().to(x.dtype)) for x, y in kept)
        self._state = type(self._state)(*tensors)

    def saved(self) -> dict[str, Any]:
        """``lane`` (n,) int64, ``state``, tensors (n_layers, n, ...), and ``of``, how many lanes
        all processes have together; empty before any batch.
        """
        if self._lanes is None or self._state is None:
            return self._saved
        return {"lane": self._lanes, "state": list(self._state.tensors), "of": self._all}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from what ``saved`` gave, of these lanes or of more."""
        self._lanes, self._state, self._saved = None, None, dict(saved)

    def _dealt(self, lanes: Tensor, total: int, device: torch.device) -> State:
        state = _zeros(self._backbone, len(lanes), device)
        saved = self.saved()
        # Checkpoints of before the number of lanes could change do not say it.
        if not saved or saved.get("of", total) != total:
            return state
        place = {lane: i for i, lane in enumerate(saved["lane"].tolist())}
        known = [i for i, lane in enumerate(lanes.tolist()) if lane in place]
        if len(known) < len(lanes):
            warnings.warn(
                f"the checkpoint holds no state of {len(lanes) - len(known)} lane(s): an error on "
                "one device wrote it, which cannot ask the others; they begin with zeros",
                stacklevel=2,
            )
        rows = torch.tensor(known, device=device)
        source = torch.tensor([place[lane] for lane in lanes[known].tolist()])
        filled = (
            x.index_copy(1, rows, y.index_select(1, source.to(y.device)).to(x))
            for x, y in zip(state.tensors, saved["state"], strict=True)
        )
        return type(state)(*filled)


class HeldOutLanes:
    """The states of the lanes of a held-out part, read in the same rows from batch to batch.

    Args:
        backbone: whose states they are.
    """

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        self._state: State | None = None

    def begin(self) -> None:
        """Forget all states, before a pass over the part."""
        self._state = None

    def enter(self, batch: Batch) -> State | None:
        """The states that a batch begins with; None where its rows are no lanes."""
        if "lane" not in batch:
            return None
        rows, device = len(batch["lane"]), batch["lane"].device
        if self._state is None or self._state.batch != rows:  # other lanes, which begin anew
            self._state = _zeros(self._backbone, rows, device)
        return self._state

    def leave(self, after: State | None) -> None:
        """Keep the states with which a batch of lanes ends."""
        if self._state is not None:
            self._state = after


def joined(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What several processes have saved, as if one had."""
    parts = [part for part in parts if part]
    if not parts:
        return {}
    columns = zip(*(part["state"] for part in parts), strict=True)
    return {
        **parts[0],
        "lane": torch.cat([part["lane"] for part in parts]),
        "state": [torch.cat(list(column), dim=1) for column in columns],
    }


def carried(batch: Batch, backbone: Backbone) -> State | None:
    """The states that ``LaneStates.enter`` has put into a batch; None: there are none."""
    tensors = [x for name, x in batch.items() if name.startswith(_STATE)]
    return type(_zeros(backbone, 0, torch.device("cpu")))(*tensors) if tensors else None


def _zeros(backbone: Backbone, rows: int, device: torch.device) -> State:
    assert isinstance(backbone, CausalBackbone)  # else there is no state, and lanes are refused
    return backbone.initial_state(rows, device)
