"""New DNA from a language model, one recurrent step a base, in constant memory."""

import math
from collections import deque
from dataclasses import dataclass
from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dnamamba.alphabet import Tokenizer
from dnamamba.arguments import real, whole
from dnamamba.inference.arrival import to_host
from dnamamba.inference.decoding import Drawing
from dnamamba.inference.models import causal_language_model, evaluating
from dnamamba.inference.reading import Reading
from dnamamba.inference.sources import Encoded
from dnamamba.inference.streaming import stream
from dnamamba.model.language_model import LanguageModel
from dnamamba.model.state import State

__all__ = ["generate"]

# Random numbers are drawn for so many steps at once.
_BLOCK = 256


@overload
def generate(
    model: nn.Module,
    tokenizer: Tokenizer,
    prompt: str = ...,
    *,
    length: int,
    n: None = None,
    temperature: float = ...,
    top_k: int | None = ...,
    top_p: float | None = ...,
    seed: int = ...,
    batch_size: int = ...,
    device: str | torch.device | None = ...,
) -> str: ...
@overload
def generate(
    model: nn.Module,
    tokenizer: Tokenizer,
    prompt: str = ...,
    *,
    length: int,
    n: int,
    temperature: float = ...,
    top_k: int | None = ...,
    top_p: float | None = ...,
    seed: int = ...,
    batch_size: int = ...,
    device: str | torch.device | None = ...,
) -> list[str]: ...
def generate(
    model: nn.Module,
    tokenizer: Tokenizer,
    prompt: str = "",
    *,
    length: int,
    n: int | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    batch_size: int = 64,
    device: str | torch.device | None = None,
) -> str | list[str]:
    """Draw bases that continue a prompt.

    Only A, C, G and T are drawn. The prompt is read in chunks, then every base costs one step
    of the recurrence: time grows with ``length``, memory does not. Random numbers come from
    generators of their own; sequence i depends on ``(seed, i)`` alone, not on n.

    Args:
        model: a ``LanguageModel``; its device and mode are given back.
        tokenizer: the model's.
        prompt: bases to continue; empty to start where a sequence starts, which a model without a
            start token cannot.
        length: bases to draw.
        n: how many sequences; None for one, returned as a string.
        temperature: divides the logits; below 1 is bolder, 0 always takes the likeliest base.
        top_k: draw from the k likeliest bases, 1 to 4; None for all.
        top_p: draw from the fewest likeliest bases that hold this much probability, above 0
            and up to 1; None for all.
        seed: of the draws, a whole number, 0 or more: the same draws every time.
        batch_size: sequences side by side.
        device: where to run, as ``cuda``; None is where the model is.

    Returns:
        The new bases, without the prompt; a string, or a list of n strings.

    Raises:
        ValueError: an argument out of range, or a letter of the prompt that the tokenizer
            refuses; a model that is not causal, or no prompt for one without a start token.
    """
    sampling = _Sampling(
        real("temperature", temperature),
        None if top_k is None else whole("top_k", top_k),
        None if top_p is None else real("top_p", top_p),
    )
    length, batch_size = whole("length", length, 1), whole("batch_size", batch_size, 1)
    if whole("seed", seed) < 0:
        raise ValueError(f"seed must be 0 or more, got {seed}")
    language_model = causal_language_model(model, "generating")
    source = Encoded(tokenizer.encode(prompt, contig="prompt"))
    if not (len(source) or language_model.backbone.start_tokens):
        raise ValueError(
            "generating needs a prompt of at least one base: this model reads no token before a "
            "sequence's first base, and has nothing to predict that base from"
        )
    numbers = range(1 if n is None else whole("n", n, 1))
    drawn: list[str] = []
    with evaluating(model, tokenizer, device) as target:
        bases = torch.tensor(tokenizer.base_ids, device=target)
        logits, state = _read(language_model, source, target)
        drawing: Drawing | None = None
        for at in range(0, len(numbers), batch_size):
            generators = [_generator(seed, i) for i in numbers[at : at + batch_size]]
            if drawing is None or drawing.rows != len(generators):
                how = bases, logits, state, len(generators), min(_BLOCK, length)
                drawing = Drawing(language_model, sampling.choose, *how)
            else:
                drawing.restart()
            drawn += [tokenizer.decode(row) for row in _draw(drawing, length, generators)]
    return drawn[0] if n is None else drawn


@dataclass(frozen=True)
class _Sampling:
    """How one of four bases is drawn from their logits."""

    temperature: float
    top_k: int | None
    top_p: float | None

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature must be 0 or more, got {self.temperature}")
        if self.top_k is not None and not 1 <= self.top_k <= 4:
            raise ValueError(f"top_k must be 1 to 4 (there are four bases), got {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, got {self.top_p}")

    def choose(self, logits: Tensor, noise: Tensor) -> Tensor:
        """Which of the bases, (rows,), by their logits (rows, 4).

        ``noise`` (rows, 4) is exponential: the index of the largest p / noise follows p
        exactly, and an excluded base, with p = 0, cannot win.
        """
        if self.temperature == 0:
            return logits.argmax(1)
        if self.temperature != 1:
            # Less the largest first: however small the temperature, no infinity less infinity.
            logits = (logits - logits.amax(1, keepdim=True)) / self.temperature
        p, order = logits.softmax(1).sort(1, descending=True)
        if self.top_p is not None:
            p = p.masked_fill(~(p.cumsum(1) - p < self.top_p), 0.0)
        if self.top_k is not None:
            p[:, self.top_k :].zero_()
        return order.gather(1, (p / noise).argmax(1, keepdim=True))[:, 0]


def _generator(seed: int, number: int) -> torch.Generator:
    """The random numbers of sequence ``number``, on the CPU: the same on every device."""
    mixed = np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(mixed[0]))


def _read(model: LanguageModel, prompt: Encoded, device: torch.device) -> tuple[Tensor, State]:
    """Logits (1, V) of the first new base, and the state before it."""
    chunks = stream(model.backbone, [prompt], reading=Reading(), device=device)
    last = deque(chunks, maxlen=1)[0]
    assert last.state is not None
    return model.head(last.hidden)[:, -1], last.state


def _draw(drawing: Drawing, length: int, generators: list[torch.Generator]) -> NDArray[np.uint8]:
    """(rows, length) ids, one row a generator."""
    # All of it at once: what does not fit is said before the work, not after it.
    drawn = torch.empty(len(generators), length, dtype=torch.uint8, device=drawing.device)
    for start in range(0, length, _BLOCK):
        noise = torch.stack([torch.empty(_BLOCK, 4).exponential_(generator=g) for g in generators])
        block = drawing.draw(noise[:, : length - start].transpose(0, 1).contiguous())
        drawn[:, start : start + _BLOCK] = block
    return to_host(drawn)()
