"""What a model that reads both ways makes of a substitution: masked marginals.

The substituted bases are masked, all of them together, and the model guesses them from at most
``context`` bases on either side. With p_i(x) what it gives the letter x at the i-th of them,

    LLR = sum over i of (log p_i(ALT) - log p_i(REF)).

Bases that ALT and REF share are no part of this: they stay as they are, and how a substitution is
padded in a VCF changes nothing. The minus strand is the reverse complement of the same window, and
both strands are averaged; a model that treats them alike reads one. One window serves all ALTs
that exchange the same bases, and in mutagenesis all three substitutions of a position.

An insertion or a deletion leaves no base that could be masked in both alleles, and is refused.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray

from dnamamba.alphabet import Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants import Variant
from dnamamba.inference.arrival import trailing
from dnamamba.inference.effects import Surroundings, VariantScore
from dnamamba.inference.masked import Asked, Query, ask, mask_out
from dnamamba.inference.masked_sites import Site, changed_bases, masked_sites
from dnamamba.inference.reading import Reading
from dnamamba.inference.sites import Region, base_columns, cased_bases
from dnamamba.model.language_model import LanguageModel

__all__ = ["masked_marginals", "substitution_marginals"]

Floats = NDArray[np.float64]


def masked_marginals(
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
        model: reads both ways; in evaluation mode, on ``device``.
        tokenizer: the model's; it has a mask.
        genome: the reference that the variants were checked against.
        around: what is read around them.
        reading: what bounds the memory.
        device: where the model is.
        sites: variants of the same place and REF each.

    Returns:
        One score a variant; NaN where a base that is exchanged, or its ALT, is N. All work is given
        to the device before; only the first of them waits for it.

    Raises:
        ValueError: an indel, or a window that is longer than what is read at a time.
    """
    variants = [variant for site in sites for variant in site]
    alike: dict[tuple[str, int, str, tuple[int, ...]], list[int]] = {}
    for number, variant in enumerate(variants):
        alike.setdefault((*variant[:3], changed_bases(variant)), []).append(number)
    groups = [[variants[i] for i in members] for members in alike.values()]
    changed = [key[-1] for key in alike]
    windows = masked_sites(genome, tokenizer, groups, changed, around.context)
    asking, answers = _marginals(model, tokenizer, windows, around, reading, device)
    asked = list(asking)

    def scores() -> Iterator[VariantScore]:
        results: dict[int, VariantScore] = {}
        for members, marginals in zip(alike.values(), answers(asked), strict=True):
            for option, number in enumerate(members, 1):
                llr = marginals[:, option] - marginals[:, 0]
                strands = (float(llr[0]), float(llr[1]) if around.both_strands else np.nan)
                results[number] = VariantScore(
                    variants[number], float(llr.mean()), *strands, np.nan, np.nan
                )
        yield from (results[number] for number in range(len(variants)))

    return scores()


def substitution_marginals(
    model: LanguageModel,
    tokenizer: Tokenizer,
    genome: Genome,
    region: Region,
    around: Surroundings,
    reading: Reading,
    device: torch.device,
    advance: Callable[[int], None],
) -> list[Floats]:
    """Score all substitutions of a region: each position is masked once on each strand.

    Args:
        model: reads both ways; in evaluation mode, on ``device``.
        tokenizer: the model's; it has a mask.
        genome: the reference.
        region: what to substitute.
        around: what is read around each position.
        reading: what bounds the memory.
        device: where the model is.
        advance: told of the bases done, each once a strand.

    Returns:
        Of each strand (L, 4), in the order of the plus strand's positions and bases.
    """
    contig, start, end = region
    first = max(0, start - around.context)
    letters = genome.fetch(contig, first, min(genome.contigs[contig], end + around.context))
    tokens = tokenizer.encode(letters, contig=f"{genome.name} {contig}", start=first)
    bases = letters[start - first : end - first]
    options, reference = cased_bases(tokenizer, bases), base_columns(bases)
    known = np.flatnonzero(reference >= 0)

    def sites() -> Iterator[Site]:
        for at in (known + start - first).tolist():
            left = max(0, at - around.context)
            window = tokens[left : at + around.context + 1]
            yield Site(window, np.array([at - left]), options[at - start + first, :, None])

    strands = 2 if around.both_strands else 1
    effects = np.full((strands, end - start, 4), np.nan)
    asking, answers = _marginals(model, tokenizer, sites(), around, reading, device)
    for at, marginals in zip(
        known, answers(trailing(asking, device, reading.share.size)), strict=True
    ):
        effects[:, at] = marginals - marginals[:, reference[at], None]
        advance(strands)
    advance(strands * (end - start - len(known)))
    return list(effects)


def _marginals(
    model: LanguageModel,
    tokenizer: Tokenizer,
    sites: Iterable[Site],
    around: Surroundings,
    reading: Reading,
    device: torch.device,
) -> tuple[Iterator[Asked], Callable[[Iterable[Asked]], Iterator[Floats]]]:
    """What asks about sites, batch by batch, and what makes answers of these batches.

    Of each site they are (strands, c), log-likelihood of each option; NaN of one not scored.
    """
    most = reading.bounds(model.backbone, device).most
    opposite = around.both_strands and not model.backbone.symmetric
    waiting: deque[Site] = deque()

    def queries() -> Iterator[Query]:
        for number, site in enumerate(sites):
            if len(site.tokens) > most:
                raise ValueError(
                    f"context ({around.context:,}) makes a window of {len(site.tokens):,} bases, "
                    f"more than is read at a time ({most:,}); lower context, or raise max_bases"
                )
            waiting.append(site)
            yield from _queries(number, site, tokenizer, opposite)

    def answers(asked: Iterable[Asked]) -> Iterator[Floats]:
        each = chain.from_iterable(batch.each() for batch in asked)
        for _, forward in each:
            reverse = next(each)[1] if opposite else forward
            site = waiting.popleft()
            strands = [forward, reverse] if around.both_strands else [forward]
            sums = np.stack([log_p.reshape(site.options.shape).sum(1) for log_p in strands])
            yield np.where(tokenizer.scored[site.options].all(1), sums, np.nan)

    return ask(model, queries(), reading, device), answers


def _queries(number: int, site: Site, tokenizer: Tokenizer, opposite: bool) -> Iterator[Query]:
    """What is asked of a site, on the plus and, if ``opposite``, on the minus strand."""
    places = np.tile(site.places, len(site.options))
    masked = mask_out(site.tokens, site.places, tokenizer)
    yield Query(number, masked, places, site.options.reshape(-1))
    if opposite:
        last = len(masked) - 1
        turned = tokenizer.reverse_complement(site.tokens)
        masked = mask_out(turned, last - site.places, tokenizer)
        yield Query(number, masked, last - places, tokenizer.complement(site.options).reshape(-1))
