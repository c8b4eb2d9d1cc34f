"""Alternatives between one prefix and one flank, read from the state that the prefix leaves.

The prefix is read once; its state and its last hidden state serve every alternative.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dnamamba.inference.conditional import log_probability
from dnamamba.inference.reading import Reading
from dnamamba.inference.rows import Rows, pad
from dnamamba.inference.streaming import exact, on_device
from dnamamba.model import CausalBackbone, LanguageModel, State

__all__ = ["Prefixes", "Stretch", "Tails", "read_on", "read_prefixes", "read_tails"]

Ids = NDArray[np.uint8]


class Prefixes(NamedTuple):
    """What stands after n prefixes.

    Attributes:
        hidden: (n, d_model) the hidden state that predicts the next base.
        state: the model's state, n rows.
        begun: (n,) bool, whether anything was read at all, of which the next base is predicted;
            if not, ``hidden`` means nothing, and that base is not scored.
    """

    hidden: Tensor
    state: State
    begun: Tensor

    def take(self, rows: NDArray[np.int64]) -> "Prefixes":
        """Some of them, a number may occur several times."""
        index = on_device(rows, self.hidden.device)
        return Prefixes(self.hidden[index], self.state.take(index), self.begun[index])

    @classmethod
    def join(cls, parts: Sequence["Prefixes"]) -> "Prefixes":
        """Those of several, one after the other."""
        hidden, states, begun = zip(*parts, strict=True)
        return cls(torch.cat(hidden), type(states[0]).join(states), torch.cat(begun))


class Tails(NamedTuple):
    """What the model says about the bases of n tails, each given all before it.

    Attributes:
        log_likelihood: (n,) fp64, natural logarithm of the probability of the scored bases.
        bases: (n,) fp64, how many were scored; N and IUPAC codes are not.
        mean: (n, d_model) fp64, mean of the hidden states at the tail's bases.
    """

    log_likelihood: Tensor
    bases: Tensor
    mean: Tensor


class Stretch(NamedTuple):
    """Some positions of rows that are read on.

    Attributes:
        start: which id of its row stands at the first position.
        tokens: (n, l) their ids, on the device.
        hidden: (n, l, d_model) the hidden states at them.
        before: (n, l, d_model) those one position to the left, which predict them.
        state: the state after the stretch.
    """

    start: int
    tokens: Tensor
    hidden: Tensor
    before: Tensor
    state: State


def read_prefixes(
    model: LanguageModel, prefixes: Sequence[Ids], reading: Reading, device: torch.device
) -> Prefixes:
    """Read prefixes side by side, each from a sequence's start.

    Args:
        model: in evaluation mode, on ``device``.
        prefixes: (l,) token ids of the bases of each; none is a prefix too.
        reading: what bounds the memory.
        device: where the model is.
    """
    backbone = model.backbone
    assert isinstance(backbone, CausalBackbone)
    start = np.array(backbone.start_tokens, dtype=np.uint8)
    tokens, lengths = pad([(start, prefix) for prefix in prefixes])
    n, longest = tokens.shape
    state: State | None = None
    last = torch.zeros(n, model.config.d_model, device=device)
    ids = on_device(tokens, device)
    width = reading.chunk(n, longest, backbone, device)
    for at in range(0, longest, width):
        chunk = ids[:, at : at + width]
        real = np.clip(lengths - at, 0, chunk.shape[1])
        padded = int(real.min()) < chunk.shape[1]
        # No state may read on behind the end of its row.
        known = on_device(real, device) if padded else None
        hidden, state = backbone(chunk, state, lengths=known)
        if known is None:
            last = hidden[:, -1].float().clone()  # not a view, which would keep all the others
        else:
            ends = hidden[torch.arange(n, device=device), (known - 1).clamp(min=0)]
            last = torch.where(known[:, None] > 0, ends.float(), last)
    if state is None:  # there is nothing before any of them, not even a start token
        state = backbone.initial_state(n, device=device)
    return Prefixes(last, state, on_device(lengths > 0, device))


def read_tails(
    model: LanguageModel,
    before: Prefixes,
    tails: Rows,
    scored: Tensor,
    reading: Reading,
    skipped: NDArray[np.int64] | None = None,
) -> Tails:
    """Read tails side by side, each on from its own prefix. Nothing waits for the device.

    Args:
        model: in evaluation mode.
        before: of as many rows as there are tails.
        tails: token ids, at least one each.
        scored: (256,) bool, ids that count, on the model's device.
        reading: what bounds the memory.
        skipped: (n,) how many of each tail's first bases still belong to its prefix; None: none.
    """
    device = before.hidden.device
    n = len(tails.lengths)
    first = None if skipped is None else on_device(skipped, device)
    ends = on_device(tails.lengths, device)
    sums = exact(torch.zeros(2, n, device=device))
    total = exact(torch.zeros(n, model.config.d_model, device=device))
    for stretch in read_on(model, before, tails.tokens, reading):
        at = torch.arange(stretch.start, stretch.start + stretch.tokens.shape[1], device=device)
        inside = at < ends[:, None]
        if first is not None:
            inside &= at >= first[:, None]
        counts = scored[stretch.tokens.long()] & inside
        if stretch.start == 0:
            counts[:, 0] &= before.begun
        logits = model.head(stretch.before)
        sums += torch.stack(log_probability(logits, stretch.tokens, counts))
        hidden = stretch.hidden.float()
        if skipped is not None or tails.lengths.min() < stretch.start + hidden.shape[1]:
            hidden = hidden.masked_fill(~inside[..., None], 0.0)
        total += exact(hidden.sum(1))
    lengths = ends if first is None else ends - first
    return Tails(sums[0], sums[1], total / lengths[:, None].to(total.device))


def read_on(
    model: LanguageModel, before: Prefixes, tokens: Ids, reading: Reading
) -> Iterator[Stretch]:
    """Read rows on from their prefixes, each of their chunks as they come.

    What stands behind a row's end is read, too, and means nothing.

    Args:
        model: causal, in evaluation mode.
        before: of as many rows as ``tokens`` has.
        tokens: (n, L) ids, L at least 1.
        reading: what bounds the memory.
    """
    device, state = before.hidden.device, before.state
    ids = on_device(tokens, device)
    width = reading.chunk(len(tokens), tokens.shape[1], model.backbone, device)
    last = before.hidden[:, None].to(next(model.parameters()).dtype)
    for start in range(0, tokens.shape[1], width):
        chunk = ids[:, start : start + width]
        hidden, after = model.backbone(chunk, state)
        assert after is not None
        state = after
        yield Stretch(
            start, chunk, hidden, torch.cat([last.to(hidden.dtype), hidden[:, :-1]], dim=1), state
        )
        last = hidden[:, -1:]
