"""Labelled sequences in memory: one long array of ids, and batches cut from it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dnamamba.alphabet import PAD, Tokenizer
from dnamamba.data.labelled.examples import Example
from dnamamba.data.labelled.length import Length
from dnamamba.data.samples.loader import SampleDataset
from dnamamba.data.samples.order import SampleOrder

__all__ = ["LabelledDataset", "Records", "encode_examples"]

Ints = NDArray[np.int64]


class Records(NamedTuple):
    """Sequences laid end to end.

    Attributes:
        ids: one a record, for reports.
        tokens: (all bases,) uint8 ids.
        ends: (n,) int64, where each record ends in ``tokens``.
        targets: (n,) int64, (n, C) float32 or (n,) float32 (see ``Codec``); None without labels.
    """

    ids: list[str]
    tokens: NDArray[np.uint8]
    ends: Ints
    targets: NDArray[Any] | None

    @classmethod
    def none(cls) -> "Records":
        """No record at all."""
        return cls([], np.empty(0, np.uint8), np.empty(0, np.int64), None)


class LabelledDataset(SampleDataset):
    """A batch of sequences for an array of sample numbers.

    Of what ``SampleDataset`` names, a batch holds ``tokens`` (B, L), L the longest of the batch,
    ``lengths`` and ``index`` (B,) and, if there are labels, ``label``: (B,) int64, (B, C) float32
    or (B,) float32 (see ``Codec``).

    Args:
        records: from ``encode_examples``.
        tokenizer: for the opposite strand.
        length: what of a longer record is read.
        order: which record a sample is; None: as they stand.
    """

    def __init__(
        self,
        records: Records,
        tokenizer: Tokenizer,
        length: Length,
        order: SampleOrder | None = None,
    ) -> None:
        self.records, self.tokenizer, self.length = records, tokenizer, length
        self.order = order or SampleOrder(len(records.ids))

    def __len__(self) -> int:
        return len(self.order)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        longest = int(np.diff(self.records.ends, prepend=0).max(initial=1))
        return (min(longest, self.length.maximum or longest),)

    def __getitem__(self, index: Ints) -> dict[str, Tensor]:
        """The batch of the samples ``index`` (B,) int64."""
        number = self.order.numbers(np.maximum(index, 0))
        start, size = self._pieces(number, index)
        at = np.arange(max(1, size.max()))
        real, reverse = at < size[:, None], self.order.reverse(index)[:, None]
        place = np.where(reverse, size[:, None] - 1 - at, at) + start[:, None]
        ids = self.records.tokens[np.where(real, place, 0)]
        ids = np.where(reverse, self.tokenizer.complement(ids), ids)
        tokens = np.where(real, ids, np.uint8(PAD))
        batch = {"tokens": tokens, "lengths": size, "index": index}
        if self.records.targets is not None:
            batch["label"] = self.records.targets[number]
        return {name: torch.from_numpy(column) for name, column in batch.items()}

    def names(self, index: Ints) -> list[str]:
        """Ids of the records."""
        return [self.records.ids[number] for number in self.order.numbers(index)]

    @property
    def targets(self) -> NDArray[Any] | None:
        """Those of the records, in their order."""
        return self.records.targets

    def _pieces(self, number: Ints, index: Ints) -> tuple[Ints, Ints]:
        """Where the samples start in ``tokens``, and how many bases they have."""
        ends = self.records.ends
        start = np.where(number > 0, ends[number - 1], 0)
        size = ends[number] - start
        if self.length.maximum is not None:
            over = np.maximum(size - self.length.maximum, 0)
            size = size - over
            if self.length.longer == "center":
                start = start + over // 2
            elif self.length.longer == "random":
                start = start + self.order.offsets(index, over)
        return start, np.where(index < 0, 0, size)


def encode_examples(
    examples: Sequence[Example],
    tokenizer: Tokenizer,
    length: Length,
    targets: NDArray[Any] | None = None,
) -> Records:
    """Lay examples end to end as ids.

    Raises:
        ValueError: a letter that the tokenizer refuses, or a sequence longer than allowed;
            names file and record.
    """
    sizes = np.array([len(example.sequence) for example in examples], dtype=np.int64)
    if length.maximum is not None and length.longer == "error":
        for example in examples:
            if len(example.sequence) > length.maximum:
                raise ValueError(
                    f"{example.where}: {len(example.sequence):,} bases, more than length.maximum="
                    f"{length.maximum:,}; raise it, or set length.longer to start, center or "
                    "random"
                )
    ends = np.cumsum(sizes)
    tokens = np.empty(int(sizes.sum()), dtype=np.uint8)
    for example, end, size in zip(examples, ends, sizes, strict=True):
        tokens[end - size : end] = tokenizer.encode(example.sequence, contig=example.where)
    ids = [example.id for example in examples]
    return Records(ids, tokens, ends, targets)
