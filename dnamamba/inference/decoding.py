"""Recurrent steps of one batch, with as little launched for each as the device allows."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from dnamamba.inference.streaming import on_device
from dnamamba.model.language_model import LanguageModel
from dnamamba.model.state import State

__all__ = ["Decoder", "Drawing"]

_WARM_UP = 2


class Graph(Protocol):
    """Work that is repeated as one launch."""

    def replay(self) -> None: ...


class Decoder:
    """Steps a language model one token at a time, the state kept here.

    On a CUDA device the step is captured once as a graph and replayed: hundreds of launches
    become one, the state is updated in place, and what ``step`` returns is overwritten by the
    next call. Elsewhere it is ``model.step``.

    Args:
        model: evaluates; its weights may not move while this lives.
        state: what came before, of as many rows as will be stepped. It is left as it is.
    """

    def __init__(self, model: LanguageModel, state: State) -> None:
        self._model = model
        self._state = state
        self._graph: Graph | None = None
        device = state.tensors[0].device
        if _repeats(device):
            self._state = state.clone()
            self._tokens = torch.zeros(state.batch, dtype=torch.long, device=device)
            self._graph = _captured(self._turn, device)
            _copy(state, self._state)

    def step(self, tokens: Tensor) -> Tensor:
        """Logits (rows, V) of the token after one more token in each row (rows,)."""
        if self._graph is None:
            logits, self._state = self._model.step(tokens, self._state)
            return logits
        self._tokens.copy_(tokens)
        self._graph.replay()
        return self._logits

    def _turn(self) -> None:
        self._logits, _ = self._model.step(self._tokens, self._state, in_place=True)


class Drawing:
    """Draws bases for the rows of a batch, each of which the model reads before the next.

    On a CUDA device the draw is captured together with the step: what is drawn stays there, and
    many bases are drawn without a word from the host. Elsewhere it is ``model.step``.

    Args:
        model: evaluates; its weights may not move while this lives.
        choose: which of four bases, (rows,), by their logits (rows, 4) and noise (rows, 4); waits
            for nothing.
        bases: (4,) their ids, where the model is.
        logits: (1, V) of the first base of all rows.
        state: what came before it, one row.
        rows: how many are drawn side by side.
        block: most bases a row that are drawn at a time.

    Attributes:
        rows: see above.
    """

    def __init__(
        self,
        model: LanguageModel,
        choose: Callable[[Tensor, Tensor], Tensor],
        bases: Tensor,
        logits: Tensor,
        state: State,
        rows: int,
        block: int,
    ) -> None:
        self._model, self._choose, self._bases = model, choose, bases
        self.rows = rows
        self._first = logits.expand(rows, -1), state.repeat(rows)
        self._graph: Graph | None = None
        self._unread: Tensor | None = None
        if _repeats(bases.device):
            self._logits, self._state = logits.repeat(rows, 1), self._first[1].clone()
            block = max(block, _WARM_UP)  # turns of the warm-up, too, are written down
            self._noise = torch.ones(block, rows, len(bases), device=bases.device)
            self._drawn = torch.zeros(block, rows, dtype=torch.uint8, device=bases.device)
            self._at = torch.zeros(1, dtype=torch.long, device=bases.device)
            self._graph = _captured(self._turn, bases.device)
        self.restart()

    @property
    def device(self) -> torch.device:
        """Where bases are drawn."""
        return self._bases.device

    def restart(self) -> None:
        """Begin again with other rows behind the same prompt."""
        self._unread = None
        if self._graph is None:
            self._logits, self._state = self._first
        else:
            self._logits.copy_(self._first[0])
            _copy(self._first[1], self._state)

    def draw(self, noise: Tensor) -> Tensor:
        """The next bases (rows, n), uint8 ids, where the model is.

        Args:
            noise: (n, rows, 4) what they are drawn by, on the CPU.
        """
        noise = on_device(noise.numpy(), self._bases.device)
        if self._graph is None:
            return torch.stack([self._one(each) for each in noise], 1).byte()
        self._noise[: len(noise)].copy_(noise)
        self._at.zero_()
        for _ in range(len(noise)):
            self._graph.replay()
        return self._drawn[: len(noise)].t().clone()

    def _one(self, noise: Tensor) -> Tensor:
        """One base a row (rows,). It is read when the next is asked for."""
        if self._unread is not None:
            self._logits, self._state = self._model.step(self._unread, self._state)
        self._unread = self._bases[self._choose(self._logits[:, self._bases].float(), noise)]
        return self._unread

    def _turn(self) -> None:
        """One base a row, read at once, all in place and counted on the device."""
        logits = self._logits.index_select(1, self._bases).float()
        choice = self._choose(logits, self._noise.index_select(0, self._at)[0])
        drawn = self._bases.index_select(0, choice)
        self._drawn.index_copy_(0, self._at, drawn.byte()[None])
        self._logits.copy_(self._model.step(drawn, self._state, in_place=True)[0])
        self._at.add_(1)


def _repeats(device: torch.device) -> bool:
    """Whether work can be captured there."""
    return device.type == "cuda"


def _captured(work: Callable[[], None], device: torch.device) -> Graph:
    """A graph of ``work``, which is done a few times before, and once as nothing but its record."""
    # What compiles or allocates at its first call must have done so before the capture.
    aside = torch.cuda.Stream(device)
    aside.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(aside):
        for _ in range(_WARM_UP):
            work()
    torch.cuda.current_stream(device).wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.device(device), torch.cuda.graph(graph):
        work()
    return graph


def _copy(state: State, into: State) -> None:
    for source, target in zip(state.tensors, into.tensors, strict=True):
        target.copy_(source)
