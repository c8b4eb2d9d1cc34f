"""The Transformer's decoding: a static cache of keys and values, a step as a CUDA graph.

A graph knows no length that grows. Two ways mask what is not written yet, so that one graph serves
every position; the third reads the cache up to each position by a graph of its own, which no
program would keep for a long context, but is the best that flash attention can do.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformer import HEAD_DIM, Attention, Transformer, TransformerConfig

__all__ = ["ATTENTIONS", "Cache", "CachedDecoder", "cache_bytes", "new_cache"]

Cache = list[tuple[Tensor, Tensor]]
"""Of each layer keys and values, (B, H, positions, 64) each."""

_WARM_UP = 2


def cache_bytes(config: TransformerConfig, positions: int, size: int = 2) -> int:
    """Of one sequence, at ``size`` bytes a number."""
    return config.n_layers * 2 * config.d_model * positions * size


def new_cache(
    config: TransformerConfig, rows: int, positions: int, device: str, dtype: torch.dtype
) -> Cache:
    """Filled with normal numbers: what stands there changes no time, but zeros draw less power."""
    shape = rows, config.heads, positions, HEAD_DIM

    def one() -> Tensor:
        return torch.empty(shape, device=device, dtype=dtype).normal_()

    return [(one(), one()) for _ in range(config.n_layers)]


def _mask(q: Tensor, position: Tensor, positions: int) -> Tensor:
    """(positions,) of q's dtype: 0 up to ``position``, -inf behind it."""
    places = torch.arange(positions, device=q.device)
    zeros = torch.zeros(positions, device=q.device, dtype=q.dtype)
    return zeros.masked_fill(places > position, -torch.inf)


def _explicit(like: Tensor, position: Tensor, filled: int) -> Attention:
    mask = _mask(like, position, like.shape[2])

    def attend(q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        scores = torch.add(mask, q @ keys.transpose(-1, -2), alpha=HEAD_DIM**-0.5)
        return scores.softmax(-1) @ values

    return attend


def _efficient(like: Tensor, position: Tensor, filled: int) -> Attention:
    mask = _mask(like, position, like.shape[2]).expand(*like.shape[:2], 1, -1)

    def attend(q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        with sdpa_kernel(SDPBackend.EFFICIENT_ATTENTION):
            return F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)

    return attend


def _flash(like: Tensor, position: Tensor, filled: int) -> Attention:
    def attend(q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            return F.scaled_dot_product_attention(q, keys[:, :, :filled], values[:, :, :filled])

    return attend


ATTENTIONS: dict[str, Callable[[Tensor, Tensor, int], Attention]] = {
    "explicit": _explicit,
    "efficient": _efficient,
    "flash": _flash,
}
"""Name -> (keys of a layer, the position on the device, positions filled up to it) -> attention."""


class CachedDecoder:
    """Steps a Transformer one token at a time after a context of ``context`` tokens.

    Like ``dnamamba.inference.decoding.Decoder``: what ``step`` returns is overwritten by the next.

    Args:
        model: evaluates.
        cache: of at least ``context + steps`` positions, a multiple of 16; is written.
        context: tokens before the first step.
        steps: how often ``step`` will be called, at most, before it starts anew.
        attention: one of ``ATTENTIONS``.
    """

    def __init__(
        self, model: Transformer, cache: Cache, context: int, steps: int, attention: str
    ) -> None:
        self._model, self._cache, self._context = model, cache, context
        self._attention = ATTENTIONS[attention]
        keys = cache[0][0]
        self._tokens = torch.zeros(keys.shape[0], dtype=torch.long, device=keys.device)
        self._position = torch.tensor([context], device=keys.device)
        self._graphs: list[tuple[torch.cuda.CUDAGraph, Tensor]] = []
        self.rewind()
        if keys.is_cuda:
            self._capture(steps if attention == "flash" else 1)

    def rewind(self) -> None:
        """Back to the end of the context."""
        self._done = 0
        self._position.fill_(self._context)

    def step(self, tokens: Tensor) -> Tensor:
        """Logits (rows, V) of the token after one more token in each row (rows,)."""
        self._tokens.copy_(tokens)
        done = self._done
        self._done += 1
        if not self._graphs:
            return self._advance(done)
        graph, logits = self._graphs[min(done, len(self._graphs) - 1)]
        graph.replay()
        return logits

    def _advance(self, done: int) -> Tensor:
        attention = self._attention(self._cache[0][0], self._position, self._context + done + 1)
        logits = self._model.step(self._tokens, self._position, self._cache, attention)
        self._position.add_(1)
        return logits

    def _capture(self, graphs: int) -> None:
        # What compiles or allocates at its first call must have done so before the capture.
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UP):
                self._advance(0)
                self.rewind()
        torch.cuda.current_stream().wait_stream(aside)
        pool = torch.cuda.graph_pool_handle()
        for done in range(graphs):
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool):
                logits = self._advance(done)
            self._graphs.append((graph, logits))
