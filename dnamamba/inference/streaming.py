"""Sequences of any length through a model in constant memory.

Sequences of like length run side by side, in chunks, the state carried from chunk to chunk. A
row that ends leaves the batch, so that no state ever has to survive padding, and padding stands
only to the right of what a causal model looks at: results do not depend on the neighbours in a
batch, nor, beyond rounding, on where the chunks are cut.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dnamamba.alphabet import BOS, PAD, Tokenizer
from dnamamba.inference.sources import Source

__all__ = [
    "BATCH_SIZE",
    "CHUNK_LENGTH",
    "Chunk",
    "carry",
    "evaluating",
    "require_head",
    "stream",
]

BATCH_SIZE = 16
CHUNK_LENGTH = 4096


class Chunk(NamedTuple):
    """What the model says about one stretch of a batch.

    Attributes:
        start: the input position of the first output; position 0 reads BOS, position p reads
            base p - 1.
        output: (rows, l, ...): the first rows of the batch, those that are not over yet.
        real: of each of those rows, how many of the l positions are not padding.
        state: the state after the chunk, of those rows; meaningless for one that has ended.
    """

    start: int
    output: Tensor
    real: list[int]
    state: Any


def stream(
    module: nn.Module,
    sources: Sequence[Source],
    lengths: Sequence[int],
    *,
    chunk_length: int,
    device: torch.device,
) -> Iterator[Chunk]:
    """Run a batch through a causal module ``(tokens, state) -> (output, state)``.

    Args:
        module: a backbone or a language model, in evaluation mode, on ``device``.
        sources: the sequences, longest first.
        lengths: how many inputs of each to read, BOS included.
        chunk_length: input positions at a time; bounds the memory.
        device: where the tokens go.

    Raises:
        ValueError: ``chunk_length`` is not positive.
    """
    if chunk_length < 1:
        raise ValueError(f"chunk_length must be at least 1, got {chunk_length}")
    state: Any = None
    for start in range(0, lengths[0], chunk_length):
        real = [min(length - start, chunk_length) for length in lengths if length > start]
        tokens = np.full((len(real), real[0]), PAD, dtype=np.uint8)
        for row, width in enumerate(real):
            read = sources[row].ids(max(start - 1, 0), start + width - 1)
            tokens[row, width - read.size : width] = read
        if start == 0:
            tokens[:, 0] = BOS
        output, state = module(torch.from_numpy(tokens).to(device), _first(state, len(real)))
        yield Chunk(start, output, real, state)


def carry(
    module: nn.Module,
    rows: Sequence[NDArray[np.uint8]],
    state: Any = None,
    *,
    chunk_length: int,
    device: torch.device,
) -> Iterator[Chunk]:
    """Run rows of token ids through a causal module, each on from its own state.

    Unlike in ``stream``, a row that is over stays in the batch, and its state stays what it was:
    the last chunk's state is that of every row after its last token. Nothing is put before the
    rows: one that begins a sequence begins with BOS.

    Args:
        module: ``(tokens, state, lengths=...) -> (output, state)``, in evaluation mode.
        rows: (l,) token ids each, in any order, not all empty.
        state: the rows' states; None before the first token.
        chunk_length: tokens at a time; bounds the memory.
        device: where the tokens go.

    Raises:
        ValueError: ``chunk_length`` is not positive.
    """
    if chunk_length < 1:
        raise ValueError(f"chunk_length must be at least 1, got {chunk_length}")
    longest = max(map(len, rows))
    for start in range(0, longest, chunk_length):
        width = min(chunk_length, longest - start)
        real = [min(max(len(row) - start, 0), width) for row in rows]
        tokens = np.full((len(rows), width), PAD, dtype=np.uint8)
        for row, (ids, count) in enumerate(zip(rows, real, strict=True)):
            tokens[row, :count] = ids[start : start + count]
        lengths = None if min(real) == width else torch.tensor(real, device=device)
        output, state = module(torch.from_numpy(tokens).to(device), state, lengths=lengths)
        yield Chunk(start, output, real, state)


def _first(state: Any, rows: int) -> Any:
    """The state of the first rows; each of its tensors is (n_layers, B, ...)."""
    if state is None or state[0].shape[1] == rows:
        return state
    return type(state)(*(tensor[:, :rows] for tensor in state))


def require_head(model: nn.Module, task: str) -> None:
    """Refuse a model that predicts no bases.

    Raises:
        ValueError: names the task and the model's class.
    """
    if not hasattr(model, "lm_head"):
        raise ValueError(
            f"{task} needs a language model, got {type(model).__name__}, which predicts no bases"
        )


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
        ValueError: the model's vocabulary is not the tokenizer's.
    """
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
    there = home if device is None else torch.device(device)
    try:
        model.eval().to(there)
        with torch.inference_mode():
            yield there
    finally:
        for module, training in modes:
            module.training = training
        model.to(home)
