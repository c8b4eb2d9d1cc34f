"""Recurrent steps of one batch, with as little launched for each as the device allows."""

from typing import Any

import torch
from torch import Tensor

__all__ = ["Decoder"]

_WARM_UP = 2


class Decoder:
    """Steps a language model one token at a time, the state kept here.

    On a CUDA device the step is captured once as a graph and replayed: hundreds of launches
    become one, the state is updated in place, and what ``step`` returns is overwritten by the
    next call. Elsewhere it is ``model.step``.

    Args:
        model: a ``LanguageModel`` that evaluates; its weights may not move while this lives.
        state: what came before, of as many rows as will be stepped. It is left as it is.
    """

    def __init__(self, model: Any, state: Any) -> None:
        self._model = model
        self._state = state
        self._graph: torch.cuda.CUDAGraph | None = None
        first = state[0]
        if first.device.type == "cuda":
            self._state = type(state)(*(x.clone() for x in state))
            self._tokens = torch.zeros(first.shape[1], dtype=torch.long, device=first.device)
            self._capture()

    def step(self, tokens: Tensor) -> Tensor:
        """Logits (rows, V) of the token after one more token in each row (rows,)."""
        if self._graph is None:
            logits, self._state = self._model.step(tokens, self._state)
            return logits
        self._tokens.copy_(tokens)
        self._graph.replay()
        return self._logits

    def _capture(self) -> None:
        device = self._tokens.device
        # What compiles or allocates at its first call must have done so before the capture.
        aside, spare = (
            torch.cuda.Stream(device),
            type(self._state)(*(x.clone() for x in self._state)),
        )
        aside.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UP):
                self._model.step(self._tokens, spare, in_place=True)
        torch.cuda.current_stream(device).wait_stream(aside)
        del spare
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(device), torch.cuda.graph(graph):
            self._logits, _ = self._model.step(self._tokens, self._state, in_place=True)
        self._graph = graph
