"""Sequences of any length through a backbone, in constant memory where it is causal.

Sequences of like length run side by side, in chunks, the state carried from chunk to chunk. A
row that ends leaves the batch, so that no state ever has to survive padding, and padding stands
only to the right of what a causal backbone looks at: results do not depend on the neighbours in a
batch, nor, beyond rounding, on where the chunks are cut. A backbone that reads both ways gets
whole sequences, and the length of each.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dnamamba.alphabet import PAD, Tokenizer
from dnamamba.arguments import whole
from dnamamba.device import best_device
from dnamamba.inference.settings import BATCH_SIZE, CHUNK_LENGTH
from dnamamba.inference.sources import Source
from dnamamba.model.backbone import Backbone
from dnamamba.model.language_model import LanguageModel
from dnamamba.model.state import State

__all__ = [
    "BATCH_SIZE",
    "CHUNK_LENGTH",
    "Chunk",
    "carry",
    "causal_language_model",
    "evaluating",
    "stream",
]


class Chunk(NamedTuple):
    """What a backbone makes of one stretch of a batch.

    Attributes:
        start: which base (of ``carry``: which id of its row) the first hidden state has read last;
            below 0 where that is a token before the first base.
        hidden: (rows, l, d_model) of the first rows of the batch, those that are not over yet.
        real: of each of those rows, how many of the l positions are not padding.
        state: the state after the chunk, of those rows, meaningless for one that has ended; None
            of a backbone that is not causal.
    """

    start: int
    hidden: Tensor
    real: list[int]
    state: State | None

    @property
    def skipped(self) -> int:
        """Positions at the chunk's beginning that read no base."""
        return max(0, -self.start)

    @property
    def bases(self) -> int:
        """Bases read in all rows together."""
        return sum(max(width - self.skipped, 0) for width in self.real)


def stream(
    backbone: Backbone,
    sources: Sequence[Source],
    lengths: Sequence[int] | None = None,
    *,
    chunk_length: int,
    device: torch.device,
    layer: int | None = None,
    advance: Callable[[int], None] | None = None,
) -> Iterator[Chunk]:
    """Read a batch of sequences.

    Args:
        backbone: in evaluation mode, on ``device``.
        sources: the sequences, longest first.
        lengths: how many bases of each to read; None: all.
        chunk_length: positions at a time, which bounds the memory; a backbone that is not causal
            reads whole sequences whatever this says.
        device: where the tokens go.
        layer: see ``Backbone.forward``.
        advance: told of the bases of each chunk when it is done with.

    Raises:
        ValueError: ``chunk_length`` is not positive.
    """
    chunk_length = whole("chunk_length", chunk_length, 1)
    before = backbone.start_tokens
    inputs = [len(before) + n for n in (map(len, sources) if lengths is None else lengths)]
    if not backbone.causal:
        chunk_length = inputs[0]
    state: State | None = None
    for start in range(0, inputs[0], chunk_length):
        real = [min(length - start, chunk_length) for length in inputs if length > start]
        tokens = np.full((len(real), real[0]), PAD, dtype=np.uint8)
        first = start - len(before)
        for row, width in enumerate(real):
            read = sources[row].ids(max(first, 0), max(first + width, 0))
            tokens[row, width - read.size : width] = read
        begun = before[start : start + real[0]]
        tokens[:, : len(begun)] = begun
        if state is not None and len(real) < state.batch:
            state = state.rows(len(real))
        wanted = None if backbone.causal else torch.tensor(real, device=device)
        batch = torch.from_numpy(tokens).to(device)
        hidden, state = backbone(batch, state, lengths=wanted, layer=layer)
        chunk = Chunk(first, hidden, real, state)
        yield chunk
        if advance is not None:
            advance(chunk.bases)


def carry(
    backbone: Backbone,
    rows: Sequence[NDArray[np.uint8]],
    state: State | None = None,
    *,
    chunk_length: int,
    device: torch.device,
) -> Iterator[Chunk]:
    """Run rows of token ids through a causal backbone, each on from its own state.

    Unlike in ``stream``, a row that is over stays in the batch, and its state stays what it was:
    the last chunk's state is that of every row after its last token. Nothing is put before the
    rows: one that begins a sequence begins with ``backbone.start_tokens``.

    Args:
        backbone: in evaluation mode.
        rows: (l,) token ids each, in any order, not all empty.
        state: the rows' states; None before the first token.
        chunk_length: tokens at a time; bounds the memory.
        device: where the tokens go.

    Raises:
        ValueError: ``chunk_length`` is not positive.
    """
    chunk_length = whole("chunk_length", chunk_length, 1)
    longest = max(map(len, rows))
    for start in range(0, longest, chunk_length):
        width = min(chunk_length, longest - start)
        real = [min(max(len(row) - start, 0), width) for row in rows]
        tokens = np.full((len(rows), width), PAD, dtype=np.uint8)
        for row, (ids, count) in enumerate(zip(rows, real, strict=True)):
            tokens[row, :count] = ids[start : start + count]
        lengths = None if min(real) == width else torch.tensor(real, device=device)
        hidden, state = backbone(torch.from_numpy(tokens).to(device), state, lengths=lengths)
        yield Chunk(start, hidden, real, state)


def causal_language_model(model: nn.Module, task: str) -> LanguageModel:
    """The model, as one that predicts each base from those before it.

    Raises:
        ValueError: it predicts no bases, or reads from the right too; names the task and the
            model's class.
    """
    if not hasattr(model, "lm_head"):
        raise ValueError(
            f"{task} needs a language model, got {type(model).__name__}, which predicts no bases"
        )
    language_model = cast(LanguageModel, model)
    if not language_model.backbone.causal:
        raise ValueError(
            f"{task} needs a causal model, which predicts each base from those before it; "
            f"this one is a {type(language_model.backbone).__name__}, which reads both ways"
        )
    return language_model


@contextmanager
def evaluating(
    model: nn.Module, tokenizer: Tokenizer, device: str | torch.device | None = None
) -> Iterator[torch.device]:
    """Lend a model: evaluation mode, no gradients, on ``device``; afterwards all is as before.

    Args:
        model: the user's module.
        tokenizer: has to speak the model's vocabulary.
        device: where to run; None is where the model is.

    Yields:
        The device that the inputs have to be on.

    Raises:
        ValueError: no model, no such device, or the model's vocabulary is not the tokenizer's.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(
            f"model must be a module, as dnamamba.load gives, got {type(model).__name__}"
        )
    config = getattr(model, "config", None)
    vocab_size = getattr(config, "vocab_size", tokenizer.vocab_size)
    if vocab_size != tokenizer.vocab_size:
        raise ValueError(
            f"the model has a vocabulary of {vocab_size} ids, the tokenizer "
            f"{tokenizer.name!r} one of {tokenizer.vocab_size}; use the tokenizer that the "
            "model was trained with"
        )
    home = next(model.parameters()).device
    modes = [(module, module.training) for module in model.modules()]
    target = home if device is None else torch.device(best_device(device))
    try:
        model.eval().to(target)
        with torch.inference_mode():
            yield target
    finally:
        for module, training in modes:
            module.training = training
        model.to(home)
