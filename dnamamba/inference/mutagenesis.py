"""Every single-base substitution of a region, scored as a variant.

A substitution's score is its log-likelihood ratio as in ``variant_scores``: the substituted base
and the same F reference bases behind it, given all before them, against the reference base and
those F bases. A strand's prefix is read once, from ``context`` bases before the region on; at each
position the state before it serves the three substitutions, and one pass serves the reference.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dnamamba.alphabet import Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.inference.prefixes import Prefixes, read_place, read_prefixes, read_tails
from dnamamba.inference.scoring import log_probability
from dnamamba.inference.streaming import (
    BATCH_SIZE,
    CHUNK_LENGTH,
    carry,
    causal_language_model,
    evaluating,
)
from dnamamba.inference.variant_scores import CONTEXT, FLANK, check_window
from dnamamba.model import CausalBackbone, LanguageModel

__all__ = ["BASES", "Effects", "mutate"]

BASES = "ACGT"

Ids = NDArray[np.uint8]
Floats = NDArray[np.float64]


class Effects(NamedTuple):
    """Substitutions of a region, all in nats; below 0 where the model prefers the reference.

    Attributes:
        contig: its name.
        start: 0-based position of the first base.
        ref: the region's L bases, upper case.
        llr: (L, 4) for A, C, G and T, mean of the strands; 0 for the reference's own base, NaN
            where the reference is none of them.
        forward: (L, 4) of the plus strand.
        reverse: (L, 4) of the minus strand; NaN where it was not read.
    """

    contig: str
    start: int
    ref: str
    llr: Floats
    forward: Floats
    reverse: Floats

    @property
    def mean(self) -> Floats:
        """(L,) mean of the three substitutions."""
        return self.llr.sum(axis=1) / 3

    @property
    def strongest(self) -> Floats:
        """(L,) the substitution of the greatest effect, up or down, with its sign."""
        largest = np.abs(np.nan_to_num(self.llr)).argmax(axis=1)
        return np.take_along_axis(self.llr, largest[:, None], axis=1)[:, 0]


class _Strand(NamedTuple):
    """What is read of one strand, token ids along it; alternatives (L, 4) in the order of BASES."""

    prefix: Ids
    flank: Ids
    region: Ids
    alternatives: Ids
    reference: NDArray[np.int64]  # (L,) column of the reference's base, -1 for none


def mutate(
    model: nn.Module,
    tokenizer: Tokenizer,
    genome: Genome,
    contig: str,
    start: int,
    end: int,
    *,
    context: int = CONTEXT,
    flank: int = FLANK,
    both_strands: bool = True,
    batch_size: int = BATCH_SIZE,
    chunk_length: int = CHUNK_LENGTH,
    advance: Callable[[int], None] | None = None,
) -> Effects:
    """Score all substitutions of bases [start, end) of a contig, 0-based.

    Args:
        model: a ``LanguageModel``; runs where it is, its mode is given back.
        tokenizer: the model's.
        genome: the reference.
        contig: its name there.
        start: first base.
        end: one past the last.
        context: most bases read before the region, on either strand; behind its first base the
            prefix grows with the region.
        flank: bases scored behind each substitution, on either strand; fewer at a contig's end.
        both_strands: average over both strands; False reads the plus strand alone.
        batch_size: substitutions side by side.
        chunk_length: tokens at a time.
        advance: told of the bases done, each once a strand.

    Raises:
        ValueError: no such region, an argument out of range, a model that predicts no bases, or a
            letter that the tokenizer refuses.
    """
    language_model = causal_language_model(model, "mutagenesis")
    check_window(context, flank, batch_size)
    bases = genome.fetch(contig, start, end)
    strands = _strands(genome, tokenizer, contig, start, end, context, flank)
    advance = advance or (lambda _: None)
    how = batch_size, chunk_length
    scores = []
    with evaluating(model, tokenizer) as device:
        for strand in strands[: 2 if both_strands else 1]:
            parts = _walk(language_model, strand, tokenizer.scored, flank, *how, device, advance)
            scores.append(np.concatenate(list(parts)))
    forward = scores[0]
    reverse = scores[1][::-1] if both_strands else np.full_like(forward, np.nan)
    llr = (forward + reverse) / 2 if both_strands else forward
    return Effects(contig, start, bases.decode().upper(), llr, forward, reverse)


def _strands(
    genome: Genome,
    tokenizer: Tokenizer,
    contig: str,
    start: int,
    end: int,
    context: int,
    flank: int,
) -> tuple[_Strand, _Strand]:
    """The region on the plus and on the minus strand."""
    place = read_place(genome, tokenizer, contig, start, end, context, flank)
    raw = np.frombuffer(place.letters, dtype=np.uint8)
    # A tokenizer that keeps case must not see it change with the base.
    cases = np.stack([tokenizer.encode(letters) for letters in (BASES, BASES.lower())])
    alternatives = cases[tokenizer.soft_mask(raw).astype(np.intp)]
    column = np.full(256, -1)
    column[list(b"ACGTUacgtu")] = [0, 1, 2, 3, 3] * 2
    region = tokenizer.encode(place.letters)
    plus = region, alternatives, column[raw]
    minus = (
        tokenizer.reverse_complement(region),
        tokenizer.complement(alternatives)[::-1],
        column[raw][::-1],
    )
    ends = zip(place.prefixes, place.flanks, (plus, minus), strict=True)
    forward, reverse = (_Strand(prefix, flank, *own) for prefix, flank, own in ends)
    return forward, reverse


def _walk(
    model: LanguageModel,
    strand: _Strand,
    scored_ids: NDArray[np.bool_],
    flank: int,
    batch_size: int,
    chunk_length: int,
    device: torch.device,
    advance: Callable[[int], None],
) -> Iterator[Floats]:
    """Scores (l, 4) along a strand, ``batch_size`` positions at a time."""
    scored = torch.tensor(scored_ids, device=device)
    reached = read_prefixes(model, [strand.prefix], chunk_length, device)
    onward = np.concatenate([strand.region, strand.flank])
    reference = _reference(model, reached, onward, flank, scored, chunk_length)
    for at in range(0, len(strand.region), batch_size):
        positions = range(at, min(at + batch_size, len(strand.region)))
        before, reached = _positions(model, reached, strand.region[at : positions.stop])
        effects = np.full((len(positions), 4), np.nan)
        known = [p for p in positions if strand.reference[p] >= 0]
        effects[[p - at for p in known], strand.reference[known]] = 0.0
        wanted = [(p, b) for p in known for b in range(4) if b != strand.reference[p]]
        for first in range(0, len(wanted), batch_size):
            group = wanted[first : first + batch_size]
            tails = [
                np.concatenate([strand.alternatives[p, b : b + 1], onward[p + 1 : p + 1 + flank]])
                for p, b in group
            ]
            states = before.take([p - at for p, _ in group])
            read = read_tails(model, states, tails, scored, chunk_length)
            for (p, b), tail in zip(group, read, strict=True):
                effects[p - at, b] = tail.log_likelihood - reference[p]
        advance(len(positions))
        yield effects


def _positions(model: LanguageModel, reached: Prefixes, ids: Ids) -> tuple[Prefixes, Prefixes]:
    """What stands before each of these bases, and behind the last of them."""
    states = [reached]
    backbone = model.backbone
    assert isinstance(backbone, CausalBackbone)
    for token in torch.tensor(ids.tolist(), device=reached.hidden.device):
        states.append(Prefixes(*backbone.step(token[None], states[-1].state)))
    *before, after = states
    state = type(reached.state).join([prefix.state for prefix in before])
    return Prefixes(torch.cat([prefix.hidden for prefix in before]), state), after


def _reference(
    model: LanguageModel,
    before: Prefixes,
    ids: Ids,
    flank: int,
    scored: torch.Tensor,
    chunk_length: int,
) -> Floats:
    """(l,) log-likelihood of each base of ``ids`` together with the ``flank`` bases behind it."""
    log_p = [np.zeros(1)]
    last = before.hidden[:, None]
    for chunk in carry(
        model.backbone, [ids], before.state, chunk_length=chunk_length, device=scored.device
    ):
        logits = model.head(torch.cat([last, chunk.hidden[:, :-1]], dim=1))
        targets = torch.from_numpy(ids[chunk.start :][: chunk.real[0]]).to(scored.device)
        each, _ = log_probability(logits.transpose(0, 1), targets[:, None], scored)
        log_p.append(each.numpy())
        last = chunk.hidden[:, -1:]
    sums = np.cumsum(np.concatenate(log_p))
    first = np.arange(len(ids))
    return sums[np.minimum(first + flank + 1, len(ids))] - sums[first]
