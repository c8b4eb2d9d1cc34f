"""Sites that a model which reads both ways is to guess, their bases masked."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnamamba.alphabet import Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants import Variant
from dnamamba.inference.places import encode_texts, read_places

__all__ = ["Site", "changed_bases", "masked_sites"]


class Site(NamedTuple):
    """Places of a window, and what may stand there: ids along the plus strand.

    Attributes:
        tokens: (l,) the window, nothing masked.
        places: (m,) the positions in it that are masked together.
        options: (c, m) the bases to compare.
    """

    tokens: NDArray[np.uint8]
    places: NDArray[np.int64]
    options: NDArray[np.uint8]


def changed_bases(variant: Variant) -> tuple[int, ...]:
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


def masked_sites(
    genome: Genome,
    tokenizer: Tokenizer,
    groups: Sequence[Sequence[Variant]],
    changed: Sequence[tuple[int, ...]],
    context: int,
) -> list[Site]:
    """The windows of variants that exchange the same bases: REF is the first option, then ALTs.

    Args:
        genome: the reference.
        tokenizer: how it is read.
        groups: of each site the variants, of one place and REF.
        changed: of each site the ``changed_bases``.
        context: most bases on either side of them.
    """
    starts = [group[0].start for group in groups]
    spans = [
        (group[0].contig, start + own[0], start + own[-1] + 1)
        for group, start, own in zip(groups, starts, changed, strict=True)
    ]
    places = read_places(genome, tokenizer, spans, context, context)
    texts, options = [], []
    for group, own, place in zip(groups, changed, places, strict=True):
        # A tokenizer that keeps case must not see it change with the allele.
        lower = [place.letters[i - own[0] : i - own[0] + 1].islower() for i in own]
        alleles = [[text[i] for i in own] for text in (group[0].ref, *(v.alt for v in group))]
        texts.append(place.letters.decode())
        options.append(
            "".join(
                x.lower() if low else x
                for allele in alleles
                for x, low in zip(allele, lower, strict=True)
            )
        )
    ids, edges = encode_texts(tokenizer, texts)
    chosen, bounds = encode_texts(tokenizer, options)
    sites = []
    for number, (own, place) in enumerate(zip(changed, places, strict=True)):
        inside = ids[edges[number] : edges[number + 1]]
        tokens = np.concatenate([place.prefixes[0], inside, place.flanks[0]])
        at = np.array(own) - own[0] + len(place.prefixes[0])
        bases = chosen[bounds[number] : bounds[number + 1]].reshape(-1, len(own))
        sites.append(Site(tokens, at, bases))
    return sites
