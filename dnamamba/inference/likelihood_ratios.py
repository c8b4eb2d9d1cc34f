"""How much likelier a causal model finds a variant than its reference, without training for it.

On each strand the model reads its start token and at most ``context`` bases before the allele, the
prefix; then the allele a and F flank bases, the same reference bases behind REF as behind ALT. With

    S(a) = Σ log p(base | all before it) over the n(a) scored bases of a and the flank,

the score of a strand is the difference of the log-likelihoods per base, times the harmonic mean
of their numbers of bases:

    LLR = 2 n(REF) n(ALT) / (n(REF) + n(ALT)) * (S(ALT) / n(ALT) - S(REF) / n(REF)).

- Alleles of one length: LLR = S(ALT) - S(REF), the log-likelihood ratio.
- Alleles of different lengths: LLR = S(ALT) - S(REF) - (n(ALT) - n(REF)) m, where m is the mean
  log-probability of all bases of both: the longer allele is given back what its further bases
  cost on average. Where all bases are equally likely, LLR is 0 at any length.
- Swapping REF and ALT changes the sign alone. How an indel is written (padding, which copy of a
  repeat) matters only in so far as prefix and flank end elsewhere.

The minus strand is read likewise, its prefix the reverse complement of the bases to the right,
and both strands are averaged. The distances compare the mean hidden states over allele and flank.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants import Variant
from dnamamba.inference.arrival import to_host
from dnamamba.inference.batching import grouped
from dnamamba.inference.effects import Surroundings, VariantScore
from dnamamba.inference.places import Place, encode_texts, read_places
from dnamamba.inference.prefixes import Tails, read_prefixes, read_tails
from dnamamba.inference.reading import Reading
from dnamamba.inference.rows import pad
from dnamamba.inference.streaming import on_device
from dnamamba.model.language_model import LanguageModel

__all__ = ["likelihood_ratios"]

Ids = NDArray[np.uint8]


class _Reading(NamedTuple):
    """What the model reads of a site on one strand: token ids; REF, then each ALT; see Place."""

    prefix: Ids
    alleles: list[Ids]
    flank: Ids


def likelihood_ratios(
    model: LanguageModel,
    tokenizer: Tokenizer,
    genome: Genome,
    around: Surroundings,
    reading: Reading,
    device: torch.device,
    sites: Sequence[Sequence[Variant]],
) -> Iterator[VariantScore]:
    """Score the variants of some sites, which are read side by side.

    Args:
        model: causal, in evaluation mode, on ``device``.
        tokenizer: the model's.
        genome: the reference that the variants were checked against.
        around: what is read around them.
        reading: what bounds the memory.
        device: where the model is.
        sites: variants of the same place and REF each: they share one prefix and one REF.

    Returns:
        The scores. All work is given to the device before; only the first of them waits for it.
    """
    strands = 2 if around.both_strands else 1
    spans = [(v.contig, v.start, v.start + len(v.ref)) for v, *_ in sites]
    places = read_places(genome, tokenizer, spans, around.context, around.flank)
    readings = _readings(tokenizer, sites, places, strands)
    tails, numbers = _read(model, readings, tokenizer.scored, reading, device)
    ref, alt = (numbers[pairs] for pairs in _pairs(sites, strands))
    figures = to_host(_compare(tails, ref, alt))
    return _scores([variant for site in sites for variant in site], figures, strands)


def _readings(
    tokenizer: Tokenizer,
    sites: Sequence[Sequence[Variant]],
    places: Sequence[Place],
    strands: int,
) -> list[_Reading]:
    """Of each site the plus strand and, where there are two strands, the minus strand."""
    texts = []
    for site, place in zip(sites, places, strict=True):
        alleles = [site[0].ref, *(variant.alt for variant in site)]
        # A tokenizer that keeps case must not see it change with the allele.
        texts += [x.lower() for x in alleles] if place.letters[:1].islower() else alleles
    ids, edges = encode_texts(tokenizer, texts)
    opposite = tokenizer.complement(ids)
    readings, stop = [], 0
    for site, place in zip(sites, places, strict=True):
        first, stop = stop, stop + 1 + len(site)
        bounds = [slice(*pair) for pair in pairwise(edges[first : stop + 1])]
        readings.append(_Reading(place.prefixes[0], [ids[b] for b in bounds], place.flanks[0]))
        if strands == 2:
            turned = [opposite[b][::-1] for b in bounds]
            readings.append(_Reading(place.prefixes[1], turned, place.flanks[1]))
    return readings


def _read(
    model: LanguageModel,
    readings: Sequence[_Reading],
    scored_ids: NDArray[np.bool_],
    reading: Reading,
    device: torch.device,
) -> tuple[Tails, NDArray[np.int64]]:
    """What the model says of all alleles, each with its flank.

    Returns:
        The tails, and the number among them of each: of each reading REF, then each ALT.
    """
    scored = on_device(scored_ids.copy(), device)
    before = read_prefixes(model, [r.prefix for r in readings], reading, device)
    owners = np.array([number for number, r in enumerate(readings) for _ in r.alleles])
    tails = [(allele, r.flank) for r in readings for allele in r.alleles]
    sizes = [len(allele) + len(flank) for allele, flank in tails]
    order = sorted(range(len(tails)), key=lambda i: -sizes[i])
    budget = reading.budget(model.backbone, device)
    parts = [
        read_tails(model, before.take(owners[rows]), pad([tails[i] for i in rows]), scored, reading)
        for rows in grouped(order, lambda i: sizes[i], reading.batch_size, budget)
    ]
    numbers = np.empty(len(order), dtype=np.int64)
    numbers[order] = np.arange(len(order))
    return Tails(*(torch.cat(column) for column in zip(*parts, strict=True))), numbers


def _pairs(
    sites: Sequence[Sequence[Variant]], strands: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(V, strands) of each variant the numbers of REF and of its ALT, in the readings' order."""
    ref, alt, first = [], [], 0
    for site in sites:
        size = 1 + len(site)
        rows = [first + strand * size for strand in range(strands)]
        ref += [rows] * len(site)
        alt += [[row + number for row in rows] for number in range(1, size)]
        first += strands * size
    return np.array(ref), np.array(alt)


def _compare(tails: Tails, ref: NDArray[np.int64], alt: NDArray[np.int64]) -> Tensor:
    """(V, 3 + strands) fp64: LLR, L2 and cosine, means of the strands, and the LLR of each strand.

    A strand's LLR is NaN where one of the alleles has no scored base; it is no part of the mean.

    Args:
        tails: what the model says.
        ref: (V, strands) numbers of tails.
        alt: likewise.
    """
    (s, n, mean), (r, a) = tails, (on_device(x, tails.mean.device) for x in (ref, alt))
    crossed = n[r] * s[a] - n[a] * s[r]
    llr = (2 * crossed / (n[r] + n[a])).masked_fill((n[r] == 0) | (n[a] == 0), math.nan)
    x, y = mean[r], mean[a]
    norms = x.norm(dim=-1) * y.norm(dim=-1)
    cosine = (1 - (x * y).sum(-1) / norms).masked_fill(norms == 0, 0.0).clamp(min=0)
    of_both = llr.nanmean(1), (x - y).norm(dim=-1).mean(1), cosine.mean(1)
    return torch.cat([torch.stack(of_both, 1), llr], 1)


def _scores(
    variants: Sequence[Variant], figures: Callable[[], NDArray[np.float64]], strands: int
) -> Iterator[VariantScore]:
    for variant, row in zip(variants, figures().tolist(), strict=True):
        llr, l2, cosine, forward = row[:4]
        yield VariantScore(variant, llr, forward, row[4] if strands == 2 else math.nan, l2, cosine)
