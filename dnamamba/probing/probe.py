"""``dnamamba.probe``: what a model's frozen vectors know of labels."""

import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import nn

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.containers import Sequences
from dnamamba.extras import library
from dnamamba.inference.embedding import embed_sources, strands_read
from dnamamba.inference.models import backbone_of
from dnamamba.inference.reading import Reading
from dnamamba.inference.settings import BATCH_SIZE, CHUNK_LENGTH, Pooling
from dnamamba.inference.sources import Encoded, Source
from dnamamba.model.classifier import Classifier, VariantClassifier
from dnamamba.model.families import build
from dnamamba.probing.columns import metrics_there_are, of_kmers, of_vectors
from dnamamba.probing.folds import Divided, divided
from dnamamba.probing.learners import LEARNERS
from dnamamba.probing.records import Records, listed_records
from dnamamba.probing.result import Probe
from dnamamba.probing.rows import Row
from dnamamba.probing.settings import KMERS, Settings, layers_of, several
from dnamamba.settings import plain

__all__ = ["Probe", "Subject", "check_scikit_learn", "probe", "probed", "subject_of"]

RANDOM = "random weights"
Advance = Callable[[int], None]
Progress = Callable[[str, int, str | None], AbstractContextManager[Advance]]
"""Title, total, and what is counted (None: bases) -> what is told of what was done."""


class Subject(NamedTuple):
    """The model that is probed: its name in the table, its backbone's owner, its tokenizer."""

    name: str
    model: nn.Module
    tokenizer: Tokenizer


def probe(
    model: Any,
    X: Sequences,
    y: Any,
    groups: Any = None,
    *,
    layers: int | Sequence[int] | Literal["all"] = -1,
    pooling: Pooling = "mean",
    both_strands: bool = True,
    learners: Sequence[str] = tuple(LEARNERS),
    kmers: Sequence[int] = KMERS,
    random_weights: bool = True,
    folds: int = 5,
    seed: int = 0,
    numbers: bool | None = None,
    batch_size: int = BATCH_SIZE,
    chunk_length: int = CHUNK_LENGTH,
    max_bases: int | None = None,
    overlap: int | None = None,
    device: str | torch.device | None = None,
) -> Probe:
    """Learn labels from frozen vectors, beside k-mers and the same network with new weights.

    Vectors are standardised by the training part of each fold; logistic (of numbers ridge)
    regression and a random forest with fixed settings learn from it and are tested on the rest.
    Of k-mers, k and the strength of the regression are chosen within each training part.

    Args:
        model: what ``dnamamba.load`` takes or returns; of a fine-tuned model the backbone is
            probed, with a warning: it may have seen the labels.
        X: n sequences: a list, a column of a DataFrame, or another container of
            ``dnamamba.containers``.
        y: n labels. Text, truth values and whole numbers of at most 20 values name classes; other
            numbers are a measure.
        groups: n, whose equals stay in one fold; None: relatives do, that share a quarter of their
            21-mers on either strand; ``"none"``: every sequence by itself.
        layers: hidden states behind these blocks, counted from 0, each probed by itself; -1 those
            behind the final norm; ``"all"``.
        pooling: over a sequence's bases: ``mean``, ``max`` or ``last``.
        both_strands: the mean of a sequence's and of its reverse complement's vector.
        learners: of ``linear`` and ``forest``.
        kmers: lengths among which k-mers are chosen; empty: no such line.
        random_weights: whether the network with new weights stands beside it.
        folds: of the cross-validation.
        seed: of folds and new weights.
        numbers: whether y is a measure; None: by what it holds.
        batch_size: most sequences side by side.
        chunk_length: most bases at a time of one sequence, by a causal model.
        max_bases: see ``Reading``.
        overlap: see ``Reading``.
        device: where to run, as ``cuda``; None is where the model is.

    Returns:
        Figures of every fold; ``print`` shows their table, ``columns()`` gives it for a
        DataFrame, ``plot`` draws it, ``write`` makes a folder of both.

    Raises:
        ValueError: bad sequences, labels or groups, named by their number; one class; too few
            records or groups for the folds; or an argument out of range. All before any long work.
        ModuleNotFoundError: scikit-learn is missing; names the extra.
    """
    check_scikit_learn()
    reading = Reading(batch_size, chunk_length, max_bases, overlap)
    settings = Settings(
        layers_of(layers), pooling, both_strands, several(learners), several(kmers), random_weights,
        folds, seed, reading,
    )  # fmt: skip
    named = groups if isinstance(groups, str) else None
    if named not in (None, "none"):
        raise ValueError(f"groups must be one a sequence, None or 'none', got {groups!r:.60}")
    records = listed_records(X, y, None if named else groups, numbers)
    data = divided(records, settings.folds, settings.seed, named is None)
    return probed(subject_of(model), records, data, settings, device)


def check_scikit_learn() -> None:
    """Raises: ModuleNotFoundError: it is missing; names the extra."""
    library("sklearn.linear_model", "benchmark", "A probe")


def subject_of(model: Any) -> Subject:
    """A model that is named or was loaded.

    Raises:
        CheckpointError: a ValueError: it cannot be read; names file and remedy.
        ValueError: no model, or one whose letters nobody knows.
    """
    if isinstance(model, str | Path):
        read = checkpoint.open_model(model)
        subject = Subject(str(model), read.model, read.tokenizer)
    else:
        try:
            network, tokenizer = model
        except (TypeError, ValueError):
            raise ValueError(
                "model must be a name or folder, what dnamamba.load gives, or a model and its "
                f"tokenizer; got {type(model).__name__}"
            ) from None
        subject = Subject("model", network, tokenizer)
    _ = subject.tokenizer.base_ids  # says what is wrong with one without letters
    return subject


def probed(
    subject: Subject,
    records: Records,
    data: Divided,
    settings: Settings,
    device: str | torch.device | None,
    progress: Progress = lambda *_: nullcontext(lambda _: None),
) -> Probe:
    """What ``probe`` does, of checked records."""
    backbone = backbone_of(subject.model)
    layers = settings.layers or (*range(len(backbone.layers)), -1)
    for layer in layers:
        if not -1 <= layer < len(backbone.layers):
            raise ValueError(
                f"layers must be 0 to {len(backbone.layers) - 1}, the blocks of this model, or -1 "
                f"for what leaves its final norm; got {layer}"
            )
    remarks = _remarks(subject, records, data, settings)
    encoded = _encoded(subject.tokenizer, records)
    networks = {RANDOM: _new_weights(subject, settings.seed)} if settings.random_weights else {}
    networks[subject.name] = subject.model
    rows: list[Row] = []
    if settings.kmers:
        how = (settings.kmers, settings.learners, settings.seed)
        with progress("k-mers", settings.folds, "folds") as advance:
            rows += of_kmers(records.sequences, data, *how, advance)
    strands = strands_read(subject.model, settings.pooling, settings.both_strands)
    bases = sum(map(len, encoded)) * strands * len(networks) * len(layers)
    with progress("embed", bases, None) as advance:
        for name, network in networks.items():
            for layer in layers:
                vectors = _vectors(subject, network, encoded, layer, settings, device, advance)
                rows += of_vectors(name, layer, vectors, data, settings.learners)
    about = {"model": subject.name, "data": records.source, "settings": plain(settings)}
    return Probe(tuple(rows), metrics_there_are(data), data.codec.kind, about, remarks)


def _vectors(
    subject: Subject,
    network: nn.Module,
    encoded: Sequence[Source],
    layer: int,
    settings: Settings,
    device: str | torch.device | None,
    advance: Advance,
) -> Any:
    how = (settings.pooling, layer, settings.both_strands, settings.reading, device, advance)
    vectors = embed_sources(network, subject.tokenizer, encoded, *how)
    if not np.isfinite(vectors).all():
        raise ValueError(
            f"vectors of {subject.name} behind layer {layer} are not finite; the weights are "
            "damaged, or of a dtype that is too narrow"
        )
    return vectors


def _encoded(tokenizer: Tokenizer, records: Records) -> list[Source]:
    named = zip(records.sequences, records.names, strict=True)
    return [Encoded(np.asarray(tokenizer.encode(bases, contig=name))) for bases, name in named]


def _new_weights(subject: Subject, seed: int) -> nn.Module:
    """The same network, where the model is, that has learned nothing."""
    backbone = backbone_of(subject.model)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # those of GPUs stay as they are
        network = build(backbone.config)
    return network.to(next(subject.model.parameters()).device).eval()


def _remarks(
    subject: Subject, records: Records, data: Divided, settings: Settings
) -> tuple[str, ...]:
    n, together = len(records.names), len(set(data.groups))
    kept = f" in {together:,} {data.apart}, each in one fold" if data.apart != "records" else ""
    counts = np.bincount(data.targets) if data.codec.kind == "class" else ()
    classes = ", ".join(f"{x} {c:,}" for x, c in zip(data.codec.classes, counts, strict=False))
    if data.codec.kind == "number":
        classes = f"labels are a measure, {data.targets.min():.4g} to {data.targets.max():.4g}"
    remarks = [
        f"{n:,} records{kept}{f'; {classes}' if classes else ''}",
        f"`a ± b`: mean and sample deviation over {settings.folds} folds, the same for all lines",
    ]
    if isinstance(subject.model, Classifier | VariantClassifier):
        labels = ", ".join(subject.model.settings.labels[:4]) or "numbers"
        remarks.append(
            f"{subject.name} was fine-tuned (labels: {labels}), and its backbone is probed: if it "
            "has seen these records, its figures are too good"
        )
        warnings.warn(remarks[-1], stacklevel=4)
    return tuple(remarks)
