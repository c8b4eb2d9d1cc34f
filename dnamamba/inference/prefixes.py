"""Alternatives between one prefix and one flank, read from the state that the prefix leaves.

The prefix is read once; its state and its last hidden state serve every alternative.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dnamamba.alphabet import PAD, Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.inference.conditional import log_probability
from dnamamba.inference.reading import Reading
from dnamamba.inference.streaming import Chunk, carry, exact, on_device
from dnamamba.model import CausalBackbone, LanguageModel, State

__all__ = ["Place", "Prefixes", "Tail", "read_place", "read_prefixes", "read_tails"]

Ids = NDArray[np.uint8]


class Place(NamedTuple):
    """A place of a genome and what surrounds it, as token ids along each strand.

    Attributes:
        letters: the place's own bases on the plus strand, case kept.
        prefixes: (l,) the bases before it: on the plus strand, on the minus strand.
        flanks: (l,) the bases behind it, likewise.
    """

    letters: bytes
    prefixes: tuple[Ids, Ids]
    flanks: tuple[Ids, Ids]


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

    def take(self, rows: list[int]) -> "Prefixes":
        """Some of them, a number may occur several times."""
        index = on_device(np.array(rows), self.hidden.device)
        return Prefixes(self.hidden[index], self.state.take(index), self.begun[index])

    @classmethod
    def join(cls, parts: Sequence["Prefixes"]) -> "Prefixes":
        """Those of several, one after the other."""
        hidden, states, begun = zip(*parts, strict=True)
        return cls(torch.cat(hidden), type(states[0]).join(states), torch.cat(begun))


class Tail(NamedTuple):
    """What the model says about the bases of one tail, each given all before it.

    Attributes:
        log_likelihood: natural logarithm of the probability of the scored bases.
        bases: how many were scored; N and IUPAC codes are not.
        mean: (d_model,) fp64, mean of the hidden states at the tail's bases.
    """

    log_likelihood: float
    bases: int
    mean: NDArray[np.float64]


def read_place(
    genome: Genome,
    tokenizer: Tokenizer,
    contig: str,
    start: int,
    end: int,
    context: int,
    flank: int,
) -> Place:
    """Bases [start, end), 0-based, with ``context`` before and ``flank`` behind on each strand.

    Raises:
        ValueError: no such place, or a letter that the tokenizer refuses.
    """
    reach = max(context, flank)
    first, last = max(0, start - reach), min(genome.contigs[contig], end + reach)
    bases = genome.fetch(contig, first, last)
    ids = tokenizer.encode(bases, contig=f"{genome.name} {contig}", start=first)
    right = ids[end - first :]
    left = tokenizer.reverse_complement(ids[: start - first])  # nearest base first
    return Place(
        letters=bases[start - first : end - first],
        prefixes=(
            tokenizer.reverse_complement(left[:context]),
            tokenizer.reverse_complement(right[:context]),
        ),
        flanks=(right[:flank], left[:flank]),
    )


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
    state: State | None = None
    hidden = torch.zeros(len(prefixes), model.config.d_model, device=device)
    start = np.array(backbone.start_tokens, dtype=np.uint8)
    rows = [np.concatenate([start, prefix]) for prefix in prefixes]
    chunk_length = reading.chunk(len(rows), max(map(len, rows)), backbone, device)
    for chunk in carry(backbone, rows, chunk_length=chunk_length, device=device):
        state = chunk.state
        real = on_device(np.array(chunk.real), device)
        ends = chunk.hidden[torch.arange(len(rows), device=device), (real - 1).clamp(min=0)]
        hidden = torch.where(real[:, None] > 0, ends.to(hidden.dtype), hidden)
    if state is None:  # there is nothing before any of them, not even a start token
        state = backbone.initial_state(len(prefixes), device=device)
    begun = torch.tensor([len(row) > 0 for row in rows], device=device)
    return Prefixes(hidden, state, begun)


def read_tails(
    model: LanguageModel,
    before: Prefixes,
    tails: Sequence[Ids],
    scored: Tensor,
    reading: Reading,
    skipped: Sequence[int] | None = None,
) -> list[Tail]:
    """Read tails side by side, each on from its own prefix.

    Args:
        model: in evaluation mode.
        before: of as many rows as there are tails.
        tails: (l,) token ids each, at least one.
        scored: (256,) bool, ids that count, on the model's device.
        reading: what bounds the memory.
        skipped: how many of each tail's first bases still belong to its prefix; None: none.
    """
    device = before.hidden.device
    chunk_length = reading.chunk(len(tails), max(map(len, tails)), model.backbone, device)
    first = on_device(np.array(skipped or [0] * len(tails)), device)[:, None]
    sums = exact(torch.zeros(2, len(tails), device=device))
    total = exact(torch.zeros(len(tails), model.config.d_model, device=device))
    for chunk, hidden_before in _shifted(model, before, tails, chunk_length):
        targets = on_device(_targets(tails, chunk), device)
        real = on_device(np.array(chunk.real), device)[:, None]
        at = torch.arange(targets.shape[1], device=device)
        inside = (at < real) & (at + chunk.start >= first)
        counts = scored[targets.long()] & inside
        if chunk.start == 0:
            counts[:, 0] &= before.begun
        sums += torch.stack(log_probability(model.head(hidden_before), targets, counts))
        hidden = torch.where(inside[..., None], chunk.hidden.float(), 0.0)
        total += exact(hidden.sum(1))
    log_likelihood, bases = sums.cpu().numpy()
    lengths = np.array([len(tail) for tail in tails]) - np.array(skipped or 0)
    mean = total.cpu().numpy() / lengths[:, None]
    return [Tail(float(s), int(n), m) for s, n, m in zip(log_likelihood, bases, mean, strict=True)]


def _shifted(
    model: LanguageModel, before: Prefixes, tails: Sequence[Ids], chunk_length: int
) -> Iterator[tuple[Chunk, Tensor]]:
    """Each chunk, with the hidden states (rows, l, d_model) one position to the left of it."""
    last = before.hidden[:, None].to(next(model.parameters()).dtype)
    device = before.hidden.device
    for chunk in carry(
        model.backbone, tails, before.state, chunk_length=chunk_length, device=device
    ):
        yield chunk, torch.cat([last.to(chunk.hidden.dtype), chunk.hidden[:, :-1]], dim=1)
        last = chunk.hidden[:, -1:]


def _targets(tails: Sequence[Ids], chunk: Chunk) -> Ids:
    """(rows, l) the tails' own bases; what stands after a row's end means nothing."""
    targets = np.full((len(tails), max(chunk.real)), PAD, dtype=np.uint8)
    for row, (tail, count) in enumerate(zip(tails, chunk.real, strict=True)):
        targets[row, :count] = tail[chunk.start : chunk.start + count]
    return targets
