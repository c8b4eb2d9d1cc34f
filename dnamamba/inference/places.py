"""Places of a genome and what surrounds them along each strand, many read at a time."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnamamba.alphabet import Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.inference.batching import grouped

__all__ = ["Place", "encode_texts", "read_place", "read_places"]

Ids = NDArray[np.uint8]

# Bases that are fetched and looked up together.
_AT_ONCE = 1 << 20


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


def read_place(
    genome: Genome,
    tokenizer: Tokenizer,
    contig: str,
    start: int,
    end: int,
    context: int,
    flank: int,
) -> Place:
    """``read_places`` of a single one."""
    return read_places(genome, tokenizer, [(contig, start, end)], context, flank)[0]


def read_places(
    genome: Genome,
    tokenizer: Tokenizer,
    places: Sequence[tuple[str, int, int]],
    context: int,
    flank: int,
) -> list[Place]:
    """Bases [start, end), 0-based, with ``context`` before and ``flank`` behind on each strand.

    Args:
        genome: where they lie.
        tokenizer: how they are read.
        places: contig, start and end of each.
        context: most bases before each of them, on either strand.
        flank: most bases behind each of them, on either strand.

    Raises:
        ValueError: no such place, or a letter that the tokenizer refuses.
    """
    reach = max(context, flank)
    spans = []
    for contig, start, end in places:
        number = genome.number(contig)
        first, last = max(0, start - reach), min(genome.contigs[contig], end + reach)
        spans.append((number, first, last - first))
    results: list[Place] = []
    numbers = range(len(places))
    for members in grouped(numbers, lambda i: spans[i][2], len(places), _AT_ONCE):
        block = slice(members[0], members[-1] + 1)
        raw, ids = _fetched(genome, tokenizer, places[block], spans[block])
        opposite = tokenizer.complement(ids)
        for row, i in enumerate(members):
            (_, start, end), (_, first, length) = places[i], spans[i]
            before, behind = start - first, end - first
            letters = raw[row, before:behind].tobytes()
            plus, minus = ids[row, :length], opposite[row, length - 1 :: -1]
            # Read from the other end, the place begins where it ends.
            edges = ((plus, before, behind), (minus, length - behind, length - before))
            (left, right), (left_turned, right_turned) = (
                (strand[max(0, begin - context) : begin], strand[stop : stop + flank])
                for strand, begin, stop in edges
            )
            results.append(Place(letters, (left, left_turned), (right, right_turned)))
    return results


def _fetched(
    genome: Genome,
    tokenizer: Tokenizer,
    places: Sequence[tuple[str, int, int]],
    spans: Sequence[tuple[int, int, int]],
) -> tuple[Ids, Ids]:
    """(n, l) letters and ids of spans (contig's number, start, length); padding is arbitrary."""
    numbers, starts, lengths = np.array(spans, dtype=np.int64).T
    raw = np.full((len(spans), lengths.max()), ord("A"), dtype=np.uint8)
    genome.read_into(numbers, starts, lengths, raw)
    ids = np.empty_like(raw)
    try:
        tokenizer.encode_into(raw, ids)
    except ValueError:  # of a batch; it is to name the contig and the position
        for row, (contig, *_), (_, first, length) in zip(raw, places, spans, strict=True):
            tokenizer.encode(row[:length].tobytes(), contig=f"{genome.name} {contig}", start=first)
        raise
    return raw, ids


def encode_texts(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[Ids, NDArray[np.int64]]:
    """Token ids of many short texts, one behind the other, and (n + 1,) where each begins.

    Raises:
        ValueError: a letter that the tokenizer refuses; names its position in its text.
    """
    edges = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum([len(text) for text in texts], out=edges[1:])
    try:
        return tokenizer.encode("".join(texts)), edges
    except ValueError:
        for text in texts:
            tokenizer.encode(text)
        raise
