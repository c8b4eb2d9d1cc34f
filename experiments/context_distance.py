"""Bits per base against the distance from where the state began.

A bin is the bases from ``a`` to before ``b`` behind a start. Starts lie ``b - a`` apart, so that of
every contig the bases from its ``a``-th on are scored once in each bin, whatever its distance: bins
differ in what the model has read, and next to nothing in what it is asked. In the last bin, which
has no end, a contig has one start, its first base.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from torch import nn

from dnamamba.alphabet import Tokenizer
from dnamamba.inference.evaluation import evaluate
from dnamamba.inference.intervals import Interval

__all__ = ["by_distance", "edges"]

SIDE_BY_SIDE = 4096
FIRST, RATIO = 256, 4


def edges(reach: int) -> list[int]:
    """0, 256, and from there on four times as far, to ``reach`` at most."""
    begins = [0, FIRST]
    while begins[-1] * RATIO <= reach:
        begins.append(begins[-1] * RATIO)
    return begins


def by_distance(
    model: nn.Module, tokenizer: Tokenizer, contigs: Sequence[Interval], reach: int, window: int
) -> list[dict[str, Any]]:
    """The bins, each with what its bases cost contig by contig.

    Args:
        model: a causal language model, where it is to run.
        tokenizer: the model's.
        contigs: longer than ``reach``.
        reach: where the last bin begins, about.
        window: beside it, every contig is read in windows of so many bases, each from nothing.

    Returns:
        Of each bin ``from``, ``to`` (None: the contig's end), ``bases`` that are scored, and
        ``nats`` in all; ``window_bases`` and ``window_nats``: the same of the contig's windows from
        the first on that begins at ``from`` or behind. All but the first two by contig.
    """
    bounds = edges(reach)
    windows = _in_windows(model, tokenizer, contigs, bounds, window)
    bins = []
    for (a, b), by_window in zip(pairwise([*bounds, None]), windows, strict=True):
        owner = [number for number, contig in enumerate(contigs) for _ in _starts(contig, a, b)]
        pieces = [piece for contig in contigs for piece in _starts(contig, a, b)]
        sums = _scored(model, tokenizer, pieces)
        if a:
            sums -= _scored(model, tokenizer, [replace(p, end=p.start + a) for p in pieces])
        of_contigs = np.zeros((2, len(contigs)))
        for row, values in zip(of_contigs, sums, strict=True):
            np.add.at(row, owner, values)
        bins.append({"from": a, "to": b} | _columns(of_contigs) | _columns(by_window, "window_"))
    return bins


def _starts(contig: Interval, a: int, b: int | None) -> Iterator[Interval]:
    """From every start to the end of its bin."""
    if b is None:
        yield contig
        return
    for start in range(contig.start, contig.end - a, b - a):
        yield replace(contig, start=start, end=min(start + b, contig.end))


def _in_windows(
    model: nn.Module,
    tokenizer: Tokenizer,
    contigs: Sequence[Interval],
    bounds: Sequence[int],
    window: int,
) -> list[Any]:
    """(2, contigs) nats and bases of windows from each bound on."""
    cuts = sorted({-(-bound // window) * window for bound in bounds})
    parts = {}
    for a, b in pairwise([*cuts, None]):
        ends = [contig.end if b is None else contig.start + b for contig in contigs]
        pieces = [replace(c, start=c.start + a, end=e) for c, e in zip(contigs, ends, strict=True)]
        parts[a] = _scored(model, tokenizer, pieces, window)
    first = [-(-bound // window) * window for bound in bounds]
    return [sum(part for start, part in parts.items() if start >= a) for a in first]


def _scored(
    model: nn.Module, tokenizer: Tokenizer, pieces: Sequence[Interval], window: int | None = None
) -> Any:
    """(2, pieces) nats and bases."""
    scores = evaluate(model, tokenizer, pieces, window=window, batch_size=SIDE_BY_SIDE)
    return np.stack([-scores.log_likelihood, scores.bases])


def _columns(sums: Any, prefix: str = "") -> dict[str, list[float]]:
    nats, bases = sums.tolist()
    return {f"{prefix}nats": nats, f"{prefix}bases": [int(n) for n in bases]}
