"""What a frozen model makes of a task's samples: a vector each.

The final layer's hidden states, averaged over a sample's bases and over both strands, in fp32. A
variant's vector is that of the reference, the difference of the two alleles and their product,
each averaged from the variant on: what the head of a ``VariantClassifier`` reads.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnamamba.alphabet import Tokenizer
from dnamamba.config import BackboneConfig
from dnamamba.data.modules.labelled import LabelledDataModule
from dnamamba.data.modules.resumable import DataPart
from dnamamba.data.modules.variants import VariantDataModule
from dnamamba.inference.prediction import Pair, features_of_sources
from dnamamba.inference.sources import Encoded, Source
from dnamamba.model.classifier import Classifier, VariantClassifier
from dnamamba.model.heads import HeadConfig, VariantHeadConfig

__all__ = ["Labelled", "batches", "features", "new_reader"]

_ROWS = 1024  # samples that are cut from the data at a time

Reader = Classifier | VariantClassifier


class Labelled(NamedTuple):
    """A part of a task.

    Attributes:
        vectors: (n, width) float32.
        labels: (n, ...) as ``Codec.encode`` has them.
    """

    vectors: NDArray[np.float32]
    labels: NDArray[Any]


def new_reader(config: BackboneConfig, data: LabelledDataModule) -> Reader:
    """A model of new weights that reads a task's samples; its head is never asked."""
    any_labels: Any = {"kind": "binary", "labels": ("0", "1"), "pooling": "mean"}
    reader: Reader
    if isinstance(data, VariantDataModule):
        reader = VariantClassifier(config, VariantHeadConfig(**any_labels))
    else:
        reader = Classifier(config, HeadConfig(**any_labels))
    return reader.eval()


def features(
    reader: Reader, tokenizer: Tokenizer, data: LabelledDataModule, part: DataPart, device: str
) -> Labelled:
    """The vectors and labels of a part, in the order of its first epoch."""
    read = batches(data, part)
    sources: Sequence[Source] | Sequence[Pair]
    if isinstance(reader, VariantClassifier):
        sources = [pair for batch in read for pair in _pairs(batch)]
    else:
        sources = [row for batch in read for row in _rows(batch["tokens"], batch["lengths"])]
    vectors = features_of_sources(reader, tokenizer, sources, device=device)
    return Labelled(vectors, np.concatenate([batch["label"] for batch in read]))


def batches(
    data: LabelledDataModule, part: DataPart, epochs: int = 1
) -> list[dict[str, NDArray[Any]]]:
    """A part's samples as the data module gives them, in arrays.

    Args:
        data: the task's.
        part: which.
        epochs: how often a sample comes, each time another piece where pieces are drawn.

    Raises:
        ValueError: the part is empty; names it.
    """
    dataset = data.dataset(part)
    if not len(dataset):
        raise ValueError(f"the {part} part is empty; give its files, or a share (split.{part})")
    numbers = np.arange(len(dataset) * epochs)
    return [
        {name: column.numpy() for name, column in dataset[some].items()}
        for some in np.split(numbers, range(_ROWS, len(numbers), _ROWS))
    ]


def _pairs(batch: dict[str, NDArray[Any]]) -> list[Pair]:
    alleles = [_rows(batch["tokens"][:, i], batch["lengths"][:, i]) for i in (0, 1)]
    places = batch["position"].tolist(), batch["right"].tolist()
    return [Pair(*each) for each in zip(*alleles, *places, strict=True)]


def _rows(tokens: NDArray[np.uint8], lengths: NDArray[np.int64]) -> list[Encoded]:
    return [Encoded(row[:n]) for row, n in zip(tokens, lengths.tolist(), strict=True)]
