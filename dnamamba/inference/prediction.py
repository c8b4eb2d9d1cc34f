"""Sequences and variants to labels, by a fine-tuned model."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dnamamba.alphabet import Tokenizer
from dnamamba.arguments import switch
from dnamamba.containers import Sequences, members, present
from dnamamba.inference.models import evaluating
from dnamamba.inference.pooled import pool_chunks
from dnamamba.inference.reading import Reading
from dnamamba.inference.settings import BATCH_SIZE, CHUNK_LENGTH
from dnamamba.inference.sources import Encoded, Source, encode_all, sources_of
from dnamamba.inference.strands import Opposites, features
from dnamamba.inference.streaming import each_batch, on_device, stream
from dnamamba.model.classifier import Classifier, VariantClassifier, Windows
from dnamamba.model.heads import prediction_columns

__all__ = ["Alleles", "Pair", "Predictions", "features_of_sources", "predict", "predict_sources"]

Alleles = tuple[str | bytes, str | bytes, str | bytes, str | bytes]
"""Bases left of a variant, reference allele, alternative allele, bases right of it."""


class Predictions(NamedTuple):
    """What a model says of n sequences or variants.

    Attributes:
        labels: one item each: a name, a tuple of names, or for regression a number.
        probabilities: (n, C) float32, of each of ``classes``; for several labels each by itself;
            (n, 0) for regression.
        classes: the names.
    """

    labels: list[Any]
    probabilities: NDArray[np.float32]
    classes: tuple[str, ...]

    def columns(self) -> dict[str, list[Any]]:
        """As a table has them: ``predicted``, and ``probability_...`` of each class."""
        return prediction_columns(self.labels, self.classes, self.probabilities)


class Pair(NamedTuple):
    """The two windows of a variant.

    Attributes:
        ref: the reference.
        alt: the same with the alternative allele.
        first: place of the variant's first base in both.
        right: bases behind the variant, the same in both.
    """

    ref: Source
    alt: Source
    first: int
    right: int


def predict(
    model: nn.Module,
    tokenizer: Tokenizer,
    inputs: Sequences,
    *,
    both_strands: bool | None = None,
    batch_size: int = BATCH_SIZE,
    chunk_length: int = CHUNK_LENGTH,
    max_bases: int | None = None,
    overlap: int | None = None,
    device: str | torch.device | None = None,
) -> Predictions:
    """Label sequences of any length, or variants.

    Predictions do not depend, beyond rounding, on the batch, on the other inputs, or on the
    chunks: they are what validation and test of the training run saw.

    Args:
        model: a ``Classifier`` or a ``VariantClassifier``; its device and mode are given back.
        tokenizer: the model's.
        inputs: sequences for the one; (bases left of the variant, reference allele, alternative
            allele, bases right of it) for the other; at least one: a list, or another container
            of ``dnamamba.containers``; of a mapping the values, in its order.
        both_strands: average over both strands; None: as the model was validated.
        batch_size: most sequences side by side.
        chunk_length: most bases at a time of one sequence, by a causal model. Memory grows with
            neither the sequences nor their number: see ``max_bases``.
        max_bases: see ``Reading``.
        overlap: see ``Reading``.
        device: where to run, as ``cuda``; None is where the model is.

    Raises:
        ValueError: a model that was not fine-tuned, no input at all, an empty one, a letter that
            the tokenizer refuses, or an argument out of range; names the input by its number.
    """
    sources: Sequence[Source] | Sequence[Pair]
    if isinstance(model, VariantClassifier):
        named = members(inputs, "variant", "variants")
        sources = [_pair(tokenizer, alleles, name) for name, alleles in named]
        if not sources:
            raise ValueError("expected at least one variant, got none")
    else:
        sources = encode_all(tokenizer, inputs)
    reading = Reading(batch_size, chunk_length, max_bases, overlap)
    return predict_sources(model, tokenizer, sources, both_strands, reading, device)


def predict_sources(
    model: nn.Module,
    tokenizer: Tokenizer,
    sources: Sequence[Source] | Sequence[Pair],
    both_strands: bool | None = None,
    reading: Reading = Reading(),  # noqa: B008 (frozen)
    device: str | torch.device | None = None,
    advance: Callable[[int], None] | None = None,
) -> Predictions:
    """What ``predict`` does, for sources; ``advance`` is told of every chunk of bases done."""
    if not isinstance(model, Classifier | VariantClassifier):
        raise ValueError(
            f"predicting needs a fine-tuned model, got {type(model).__name__}, which has no "
            "labels; fine-tune it first (dnamamba fit with a ClassificationModule)"
        )
    if both_strands is None:
        both_strands = model.settings.both_strands
    both = switch("both_strands", both_strands)
    windows = _windows(model, sources)
    with evaluating(model, tokenizer, device) as target:
        read = partial(_pooled, model, reading, target, advance)
        if both:
            opposite = partial(_opposite, tokenizer)
            outputs = model.averaged(windows, read, opposite)
        else:
            outputs = model.outputs_of(windows, read)
        probabilities = model.head.probabilities(outputs).cpu()
    labels = model.settings.labels
    shown = probabilities.numpy()[:, : len(labels)]
    return Predictions(model.head.decide(probabilities, labels), shown, labels)


def features_of_sources(
    model: Classifier | VariantClassifier,
    tokenizer: Tokenizer,
    sources: Sequence[Source] | Sequence[Pair],
    reading: Reading = Reading(),  # noqa: B008 (frozen)
    device: str | torch.device | None = None,
) -> NDArray[np.float32]:
    """What the model's head reads of sources, averaged over both strands: (n, width) float32."""
    windows = _windows(model, sources)
    with evaluating(model, tokenizer, device) as target:
        read = partial(_pooled, model, reading, target, None)
        vectors = model.averaged_features(windows, read, partial(_opposite, tokenizer))
        return vectors.cpu().numpy()


def _windows(
    model: Classifier | VariantClassifier, sources: Sequence[Any]
) -> Windows[Sequence[Source]]:
    if isinstance(model, Classifier):
        return Windows(sources)
    position, right = (torch.tensor([getattr(p, x) for p in sources]) for x in ("first", "right"))
    return Windows([window for pair in sources for window in (pair.ref, pair.alt)], position, right)


def _opposite(tokenizer: Tokenizer, sources: Sequence[Source]) -> Sequence[Source]:
    return Opposites(sources_of(sources), tokenizer)


def _pooled(
    model: Classifier | VariantClassifier,
    reading: Reading,
    device: torch.device,
    advance: Callable[[int], None] | None,
    sources: Sequence[Source],
    first: Tensor | None,
) -> Tensor:
    """(n, d_model) fp32, each source pooled from base ``first`` on."""
    backbone, together = model.backbone, sources_of(sources)
    settled = reading.settled(backbone, device)
    if advance is not None:  # of what this process does, for all of them
        advance = partial(_times, advance, reading.share.size)

    def pool(members: list[int]) -> Tensor:
        read = together.take(members)
        chunks = stream(backbone, read, reading=settled, device=device, advance=advance)
        starts = [0] * len(members) if first is None else first[members].tolist()
        ends = read.lengths.tolist()
        return pool_chunks(features(backbone, chunks), model.pooling, starts, ends)

    order, parts = each_batch(pool, backbone, together, settled, device)
    vectors = torch.cat(parts).to(device)
    rows = on_device(np.array(order), device)
    return torch.empty_like(vectors).index_copy_(0, rows, vectors)


def _times(advance: Callable[[int], None], processes: int, bases: int) -> None:
    advance(processes * bases)


def _pair(tokenizer: Tokenizer, alleles: Any, where: str) -> Pair:
    if not isinstance(alleles, tuple | list | np.ndarray) or len(alleles) != 4:
        raise ValueError(
            f"{where} must be (bases left of the variant, reference allele, alternative allele, "
            f"bases right of it), got {alleles!r:.60}"
        )
    left, ref, alt, right = (
        tokenizer.encode(present(part, f"{where}, {name}"), contig=f"{where}, {name}")
        for name, part in zip(("left", "reference", "alternative", "right"), alleles, strict=True)
    )
    if not (len(ref) and len(alt)):
        raise ValueError(f"{where}: an allele is empty; anchor indels by a base, as a VCF does")
    windows = [Encoded(np.concatenate([left, allele, right])) for allele in (ref, alt)]
    return Pair(windows[0], windows[1], len(left), len(right))
