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
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dnamamba.alphabet import Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants import Variant
from dnamamba.inference.effects import Surroundings, VariantScore
from dnamamba.inference.masked import Query, guess, mask_out
from dnamamba.inference.reading import Reading
from dnamamba.inference.settings import FLANK
from dnamamba.inference.sites import Region, base_columns, cased_bases
from dnamamba.model.language_model import LanguageModel

__all__ = ["masked_marginals", "substitution_marginals"]

Ids = NDArray[np.uint8]
Places = NDArray[np.int64]
Floats = NDArray[np.float64]


class _Site(NamedTuple):
    """Places of a window, and what may stand there: ids along the plus strand.

    Attributes:
        tokens: (l,) the window, nothing masked.
        places: (m,) the positions in it that are masked together.
        options: (c, m) the bases to compare.
    """

    tokens: Ids
    places: Places
    options: Ids


def masked_marginals(
    model: LanguageModel,
    tokenizer: Tokenizer,
    genome: Genome,
    around: Surroundings,
    reading: Reading,
    device: torch.device,
    sites: Sequence[Sequence[Variant]],
) -> list[VariantScore]:
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
        One score a variant; NaN where a base that is exchanged, or its ALT, is N.

    Raises:
        ValueError: an indel, or a window that is longer than what is read at a time.
    """
    variants = [variant for site in sites for variant in site]
    alike: dict[tuple[str, int, str, tuple[int, ...]], list[int]] = {}
    for number, variant in enumerate(variants):
        alike.setdefault((*variant[:3], _changed(variant)), []).append(number)
    windows = [
        _site(genome, tokenizer, [variants[i] for i in members], changed, around.context)
        for (*_, changed), members in alike.items()
    ]
    scores: dict[int, VariantScore] = {}
    answers = _marginals(model, tokenizer, windows, around, reading, device)
    for members, marginals in zip(alike.values(), answers, strict=True):
        for option, number in enumerate(members, 1):
            llr = marginals[:, option] - marginals[:, 0]
            strands = (float(llr[0]), float(llr[1]) if around.both_strands else np.nan)
            scores[number] = VariantScore(
                variants[number], float(llr.mean()), *strands, np.nan, np.nan
            )
    return [scores[number] for number in range(len(variants))]


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

    def sites() -> Iterator[_Site]:
        for at in (known + start - first).tolist():
            left = max(0, at - around.context)
            window = tokens[left : at + around.context + 1]
            yield _Site(window, np.array([at - left]), options[at - start + first, :, None])

    strands = 2 if around.both_strands else 1
    effects = np.full((strands, end - start, 4), np.nan)
    answers = _marginals(model, tokenizer, sites(), around, reading, device)
    for at, marginals in zip(known, answers, strict=True):
        effects[:, at] = marginals - marginals[:, reference[at], None]
        advance(strands)
    advance(strands * (end - start - len(known)))
    return list(effects)


def _changed(variant: Variant) -> tuple[int, ...]:
    """Which bases of REF a substitution exchanges.

    Raises:
        ValueError: an indel.
    """
    if len(variant.ref) != len(variant.alt):
        raise ValueError(
            f"{variant.name[:60]} is an indel: a model that reads both ways scores substitutions "
            "alone, by masking their bases; leave it out (checks.kinds), or take a causal model"
        )
    pairs = enumerate(zip(variant.ref, variant.alt, strict=True))
    return tuple(i for i, (ref, alt) in pairs if ref != alt) or (0,)


def _site(
    genome: Genome,
    tokenizer: Tokenizer,
    variants: Sequence[Variant],
    changed: Sequence[int],
    context: int,
) -> _Site:
    """The window of variants that exchange the same bases: REF is the first option, then ALTs."""
    contig, start, ref = variants[0][:3]
    places = start + np.array(changed)
    first = max(0, int(places[0]) - context)
    letters = genome.fetch(
        contig, first, min(genome.contigs[contig], int(places[-1]) + context + 1)
    )
    tokens = tokenizer.encode(letters, contig=f"{genome.name} {contig}", start=first)
    # A tokenizer that keeps case must not see it change with the allele.
    lower = [letters[place - first : place - first + 1].islower() for place in places]
    alleles = [[text[i] for i in changed] for text in (ref, *(v.alt for v in variants))]
    cased = [
        "".join(x.lower() if low else x for x, low in zip(allele, lower, strict=True))
        for allele in alleles
    ]
    return _Site(tokens, places - first, np.stack([tokenizer.encode(text) for text in cased]))


def _marginals(
    model: LanguageModel,
    tokenizer: Tokenizer,
    sites: Iterable[_Site],
    around: Surroundings,
    reading: Reading,
    device: torch.device,
) -> Iterator[Floats]:
    """Of each site (strands, c): log-likelihood of each option; NaN of one that is not scored."""
    if around.flank != FLANK:
        raise ValueError(
            "flank has no meaning for a model that reads both ways: it scores the site alone; "
            "leave it out"
        )
    most = reading.bounds(model.backbone, device).most
    opposite = around.both_strands and not model.backbone.symmetric
    asked: deque[_Site] = deque()

    def queries() -> Iterator[Query]:
        for number, site in enumerate(sites):
            if len(site.tokens) > most:
                raise ValueError(
                    f"context ({around.context:,}) makes a window of {len(site.tokens):,} bases, "
                    f"more than is read at a time ({most:,}); lower context, or raise max_bases"
                )
            asked.append(site)
            yield from _queries(number, site, tokenizer, opposite)

    answers = guess(model, queries(), reading, device)
    for _, forward in answers:
        reverse = next(answers)[1] if opposite else forward
        site = asked.popleft()
        strands = [forward, reverse] if around.both_strands else [forward]
        sums = np.stack([log_p.reshape(site.options.shape).sum(1) for log_p in strands])
        yield np.where(tokenizer.scored[site.options].all(1), sums, np.nan)


def _queries(number: int, site: _Site, tokenizer: Tokenizer, opposite: bool) -> Iterator[Query]:
    """What is asked of a site, on the plus and, if ``opposite``, on the minus strand."""
    places = np.tile(site.places, len(site.options))
    masked = mask_out(site.tokens, site.places, tokenizer)
    yield Query(number, masked, places, site.options.reshape(-1))
    if opposite:
        last = len(masked) - 1
        turned = tokenizer.reverse_complement(site.tokens)
        masked = mask_out(turned, last - site.places, tokenizer)
        yield Query(number, masked, last - places, tokenizer.complement(site.options).reshape(-1))
