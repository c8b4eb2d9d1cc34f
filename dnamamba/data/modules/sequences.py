"""``LabelledSequenceDataModule``: sequences with labels from tables or FASTA, under Lightning."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.data.labelled.dataset import LabelledDataset, Length, Records, encode_examples
from dnamamba.data.labelled.examples import Example, Fields, Files, read_examples
from dnamamba.data.labelled.labels import Codec, Labels
from dnamamba.data.labelled.reading import leaks, read_splits
from dnamamba.data.labelled.splits import Split
from dnamamba.data.modules.labelled import LabelledDataModule
from dnamamba.data.modules.resumable import DataPart, sample_numbers
from dnamamba.data.samples import SampleOrder

__all__ = ["LabelledFiles", "LabelledSequenceDataModule"]


@dataclass(frozen=True)
class LabelledFiles:
    """What to read; each a file, a list of files, or class -> FASTA.

    A file is a table by its name (``.csv``, ``.tsv``, ``.tab``, also with ``.gz``; ``.parquet``)
    and FASTA otherwise.

    Attributes:
        train: labelled sequences to train on, and to cut held-out parts from where none is given.
        validation: to watch the run.
        test: for the end.
        predict: sequences without labels.
    """

    train: Files
    validation: Files | None = None
    test: Files | None = None
    predict: Files | None = None


class LabelledSequenceDataModule(LabelledDataModule):
    """Sequences of any length with a class, several names or a number each.

    A batch holds ``tokens`` (B, L) uint8 without BOS, PAD to the right, ``lengths`` (B,) int64,
    ``index`` (B,) int64 and, but for ``predict``, ``label``: (B,) int64 for classes, (B, C)
    float32 for several names, (B,) float32 for numbers (see ``LabelledDataset``). A row with a
    negative index is empty and means nothing.

    Names get their numbers from the training examples. Where files say nothing of validation and
    test, they are cut from the training examples by ``split``. A warning counts the sequences
    that stand in two splits, on either strand.

    Args:
        files: what to read.
        fields: the columns of tables, or the pattern of FASTA headers.
        labels: what labels mean.
        split: how training examples are divided where no file says so.
        length: the most bases in a sequence, and what becomes of longer ones.
        tokenizer: byte -> id.
        global_batch_size: sequences in one optimiser step, over all devices and all batches whose
            gradients are accumulated.
        reverse_complement: read half of the training samples as their reverse complement.
        seed: of order, strands and random pieces; 0 to 2**63 - 1. The split has its own.
        num_workers: processes that read ahead. All sequences are in memory: more than 0 is
            slower.

    Raises:
        ValueError: settings out of range; and, once the files are read (``setup``), bad files,
            records or labels.
    """

    def __init__(
        self,
        files: LabelledFiles,
        fields: Fields = Fields(),  # noqa: B008 (frozen)
        labels: Labels = Labels(),  # noqa: B008 (frozen)
        split: Split = Split(),  # noqa: B008 (frozen)
        length: Length = Length(),  # noqa: B008 (frozen)
        tokenizer: Tokenizer = Tokenizer(),  # noqa: B008 (frozen)
        global_batch_size: int = 32,
        reverse_complement: bool = False,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__(global_batch_size, seed, num_workers)
        # A checkpoint's hyper-parameters give dictionaries.
        self.files = LabelledFiles(**files) if isinstance(files, dict) else files
        self.fields = Fields(**fields) if isinstance(fields, dict) else fields
        self.labels = Labels(**labels) if isinstance(labels, dict) else labels
        self.split = Split(**split) if isinstance(split, dict) else split
        self.length = Length(**length) if isinstance(length, dict) else length
        self.tokenizer = Tokenizer(**tokenizer) if isinstance(tokenizer, dict) else tokenizer
        self.reverse_complement = reverse_complement
        if not isinstance(self.fields.label, str) and self.labels.kind != "multilabel":
            raise ValueError(
                f"fields.label names {len(self.fields.label)} columns, which is for "
                f"labels.kind=multilabel, not {self.labels.kind}"
            )
        self.save_hyperparameters(
            {  # plain JSON types, or a weights-only load refuses the checkpoint
                "files": asdict(self.files),
                "fields": asdict(self.fields),
                "labels": asdict(self.labels),
                "split": asdict(self.split),
                "length": asdict(self.length),
                "tokenizer": asdict(self.tokenizer),
                "global_batch_size": global_batch_size,
                "reverse_complement": reverse_complement,
                "seed": seed,
                "num_workers": num_workers,
            }
        )
        self._records: dict[str, Records] = {}
        self._codec: Codec | None = None

    def load(self, stage: str | None) -> None:
        """Read the files: for ``predict`` no labels are needed."""
        if self._codec is None and stage != "predict":
            self._read()
        if "predict" not in self._records and self.files.predict:
            examples, _ = read_examples(self.files.predict, self.fields, None)
            self._records["predict"] = encode_examples(examples, self.tokenizer, self.length)

    @property
    def codec(self) -> Codec:
        """Names and numbers of the labels, as training has them; reads the files if need be."""
        if self._codec is None:
            self._read()
        assert self._codec is not None
        return self._codec

    def train_targets(self) -> NDArray[Any]:
        """Targets of the training records."""
        targets = self.dataset("train").records.targets
        assert targets is not None
        return targets

    def dataset(self, part: DataPart) -> LabelledDataset:
        """The sequences of a part."""
        if part != "predict" and self._codec is None:
            self._read()
        records = self._records.get(part) or Records.none()
        order = SampleOrder(len(records.ids))  # held-out pieces do not depend on the run's seed
        if part == "train":
            order = SampleOrder(len(records.ids), self.seed, True, self.reverse_complement)
        return LabelledDataset(records, self.tokenizer, self.length, order)

    def describe(self, index: Tensor | Iterable[int], part: DataPart = "train") -> list[str]:
        """Ids of the records: from the id column or FASTA header, else ``file:line``.

        Args:
            index: numbers of samples (B,), as in a batch.
            part: what the batch is of.
        """
        dataset = self.dataset(part)
        numbers = sample_numbers(index)
        which = dataset.order.numbers(np.maximum(numbers, 0))
        return [
            dataset.records.ids[k] if i >= 0 else "an empty row"
            for i, k in zip(numbers, which, strict=True)
        ]

    def stream(self) -> dict[str, Any]:
        """All that decides which batch is the i-th, in plain types."""
        codec, records = self.codec, self._records["train"]
        digest = hashlib.blake2b(digest_size=8)
        for array in (records.tokens, records.ends, records.targets):
            digest.update(np.ascontiguousarray(array).tobytes())
        return {
            "training records": digest.hexdigest(),
            "classes": list(codec.classes),
            "length": asdict(self.length),
            "global_batch_size": self.global_batch_size,
            "seed": self.seed,
            "reverse_complement": self.reverse_complement,
            "tokenizer": asdict(self.tokenizer),
        }

    def _read(self) -> None:
        files = {name: getattr(self.files, name) for name in ("train", "validation", "test")}
        parts, left_out = read_splits(files, self.fields, self.labels, self.split)
        if left_out:
            rank_zero_warn(f"labels.mapping leaves out {left_out:,} records")
        if shared := leaks(parts):
            rank_zero_warn(
                f"the splits are not independent: {'; '.join(shared)}. Figures on them will be "
                "too good; remove the copies, or divide by a group column (fields.group)"
            )
        train = parts["train"]
        columns = self.fields.labels
        codec = Codec.of_training(self.labels, [example.label for example in train], columns)
        for name, examples in parts.items():
            if examples:
                labels, wheres = zip(*((e.label, e.where) for e in examples), strict=True)
                targets = codec.encode(labels, wheres)
                records = encode_examples(examples, self.tokenizer, self.length, targets)
                self._records[name] = records
                rank_zero_info(_described(name, examples, self.labels))
        self._codec = codec


def _described(name: str, examples: list[Example], labels: Labels) -> str:
    """One line: how many sequences, how long, of which classes."""
    sizes = [len(example.sequence) for example in examples]
    line = f"{name}: {len(sizes):,} sequences of {min(sizes):,} to {max(sizes):,} bases"
    if labels.kind == "number":
        return line
    names: Counter[str] = Counter()
    for example in examples:
        names.update([example.label] if isinstance(example.label, str) else example.label)
    return f"{line}; " + ", ".join(f"{name} {count:,}" for name, count in names.most_common())
