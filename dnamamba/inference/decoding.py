"""Recurrent steps of one batch, with as little launched for each as the device allows."""

import torch
from torch import Tensor

from dnamamba.model.language_model import LanguageModel
from dnamamba.model.state import State

__all__ = ["Decoder"]

_WARM_UP = 2


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
        self._graph: torch.cuda.CUDAGraph | None = None
        device = state.tensors[0].device
        if device.type == "cuda":
            self._state = state.clone()
            self._tokens = torch.zeros(state.batch, dtype=torch.long, device=device)
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
        aside, spare = torch.cuda.Stream(device), self._state.clone()
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
