"""Every single-base substitution of a region, scored as a variant by a causal model.

A substitution's score is its log-likelihood ratio as in ``likelihood_ratios``: the substituted base
and the same F reference bases behind it, given all before them, against the reference base and
those F bases. A strand's prefix is read once, from ``context`` bases before the region on; at each
position the state before it serves the three substitutions, and one pass serves the reference.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dnamamba.alphabet import Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.inference.conditional import log_probability
from dnamamba.inference.effects import Surroundings
from dnamamba.inference.prefixes import Prefixes, read_place, read_prefixes, read_tails
from dnamamba.inference.reading import Reading
from dnamamba.inference.sites import Region, base_columns, cased_bases
from dnamamba.inference.streaming import carry
from dnamamba.model import CausalBackbone, LanguageModel

__all__ = ["substitution_ratios"]

Ids = NDArray[np.uint8]
Floats = NDArray[np.float64]


class _Strand(NamedTuple):
    """What is read of one strand, token ids along it; alternatives (L, 4) in the order of BASES."""

    prefix: Ids
    flank: Ids
    region: Ids
    alternatives: Ids
    reference: NDArray[np.int64]  # (L,) column of the reference's base, -1 for none


def substitution_ratios(
    model: LanguageModel,
    tokenizer: Tokenizer,
    genome: Genome,
    region: Region,
    around: Surroundings,
    reading: Reading,
    device: torch.device,
    advance: Callable[[int], None],
) -> list[Floats]:
    """Score all substitutions of a region.

    Args:
        model: causal, in evaluation mode, on ``device``.
        tokenizer: the model's.
        genome: the reference.
        region: what to substitute.
        around: what is read around each base; behind the region's first base, the prefix grows.
        reading: what bounds the memory.
        device: where the model is.
        advance: told of the bases done, each once a strand.

    Returns:
        Of each strand (L, 4), in the order of the plus strand's positions and bases.
    """
    strands = _strands(genome, tokenizer, region, around)[: 2 if around.both_strands else 1]
    how = tokenizer.scored, around.flank, reading, device, advance
    scores = [np.concatenate(list(_walk(model, strand, *how))) for strand in strands]
    return [scores[0], *(score[::-1] for score in scores[1:])]


def _strands(
    genome: Genome, tokenizer: Tokenizer, region: Region, around: Surroundings
) -> tuple[_Strand, _Strand]:
    """The region on the plus and on the minus strand."""
    place = read_place(genome, tokenizer, *region, around.context, around.flank)
    alternatives, column = cased_bases(tokenizer, place.letters), base_columns(place.letters)
    ids = tokenizer.encode(place.letters)
    plus = ids, alternatives, column
    minus = (
        tokenizer.reverse_complement(ids),
        tokenizer.complement(alternatives)[::-1],
        column[::-1],
    )
    ends = zip(place.prefixes, place.flanks, (plus, minus), strict=True)
    forward, reverse = (_Strand(prefix, flank, *own) for prefix, flank, own in ends)
    return forward, reverse


def _walk(
    model: LanguageModel,
    strand: _Strand,
    scored_ids: NDArray[np.bool_],
    flank: int,
    reading: Reading,
    device: torch.device,
    advance: Callable[[int], None],
) -> Iterator[Floats]:
    """Scores (l, 4) along a strand, ``batch_size`` positions at a time."""
    batch_size, chunk_length = reading.batch_size, reading.chunk_length
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
                effect = tail.log_likelihood - reference[p]
                effects[p - at, b] = effect if tail.bases else np.nan
        advance(len(positions))
        yield effects


def _positions(model: LanguageModel, reached: Prefixes, ids: Ids) -> tuple[Prefixes, Prefixes]:
    """What stands before each of these bases, and behind the last of them."""
    states = [reached]
    begun = torch.ones_like(reached.begun)
    backbone = model.backbone
    assert isinstance(backbone, CausalBackbone)
    for token in torch.tensor(ids.tolist(), device=reached.hidden.device):
        states.append(Prefixes(*backbone.step(token[None], states[-1].state), begun))
    *before, after = states
    state = type(reached.state).join([prefix.state for prefix in before])
    hidden, begun = (torch.cat([getattr(p, x) for p in before]) for x in ("hidden", "begun"))
    return Prefixes(hidden, state, begun), after


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
        counts = scored[targets.long()]
        if chunk.start == 0:
            counts[:1] &= before.begun
        columns = logits.transpose(0, 1), targets[:, None], counts[:, None]
        each, _ = log_probability(*columns)
        log_p.append(each.numpy())
        last = chunk.hidden[:, -1:]
    sums = np.cumsum(np.concatenate(log_p))
    first = np.arange(len(ids))
    return sums[np.minimum(first + flank + 1, len(ids))] - sums[first]
