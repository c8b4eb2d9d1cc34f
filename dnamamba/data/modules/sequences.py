"""``LabelledSequenceDataModule``: sequences with labels from tables or FASTA, under Lightning."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pytorch_lightning.utilities import rank_zero_warn

from dnamamba.alphabet import Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.labelled.cells import one_spelling
from dnamamba.data.labelled.codec import Codec
from dnamamba.data.labelled.dataset import LabelledDataset, Records, encode_examples
from dnamamba.data.labelled.examples import Example, Fields, ReadRegions, read_examples
from dnamamba.data.labelled.files import Files, as_files
from dnamamba.data.labelled.labels import Labels, names_of
from dnamamba.data.labelled.length import Length
from dnamamba.data.labelled.reading import leaks, read_splits
from dnamamba.data.labelled.signal import Signal, SignalRegions
from dnamamba.data.labelled.splits import Split
from dnamamba.data.modules.labelled import LabelledDataModule
from dnamamba.data.modules.resumable import DataPart
from dnamamba.data.modules.sources import SourceFile, of_genomes, of_parts
from dnamamba.data.samples.order import SampleOrder
from dnamamba.settings import plain, typed

__all__ = ["LabelledFiles", "LabelledSequenceDataModule"]

_LABELLED = ("train", "validation", "test")


@dataclass(frozen=True)
class LabelledFiles:
    """What to read; each a file, a list of files, or class -> FASTA.

    A file is a table by its name (``.csv``, ``.tsv``, ``.tab``, also with ``.gz``; ``.parquet``),
    regions of ``data.signal`` (``.bed``, ``.bed.gz``), and FASTA otherwise.

    Attributes:
        train: labelled sequences to train on, and to cut held-out parts from where none is given.
        validation: to watch the run.
        test: for the end.
        predict: sequences without labels.

    Raises:
        ValueError: what is none of the three.
    """

    train: Files
    validation: Files | None = None
    test: Files | None = None
    predict: Files | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None:
                object.__setattr__(self, name, as_files(f"data.files.{name}", value))


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
        split: how training examples are divided where no file says so; None (``null`` in YAML):
            they are not, and nothing is held out but what files hold.
        length: the most bases in a sequence, and what becomes of longer ones.
        tokenizer: byte -> id.
        global_batch_size: sequences in one optimiser step, over all devices and all batches whose
            gradients are accumulated.
        reverse_complement: read half of the training samples as their reverse complement.
        seed: of order, strands and random pieces; 0 to 2**63 - 1. The split has its own.
        num_workers: processes that read ahead. All sequences are in memory: more than 0 is
            slower.
        signal: the genome of regions, and the bigWig whose mean over a region is its label, for
            ``labels.kind=number``; needs the extra ``tracks``.

    Raises:
        ValueError: settings out of range; and, once the files are read (``setup``), bad files,
            records or labels.
    """

    length_setting = "data.length.longer: center with data.length.maximum"

    def __init__(
        self,
        files: LabelledFiles,
        fields: Fields = Fields(),  # noqa: B008 (frozen)
        labels: Labels = Labels(),  # noqa: B008 (frozen)
        split: Split | None = Split(),  # noqa: B008 (frozen)
        length: Length = Length(),  # noqa: B008 (frozen)
        tokenizer: Tokenizer = Tokenizer(),  # noqa: B008 (frozen)
        global_batch_size: int = 32,
        reverse_complement: bool = False,
        seed: int = 0,
        num_workers: int = 0,
        signal: Signal | None = None,
    ) -> None:
        super().__init__(tokenizer, global_batch_size, seed, num_workers)
        self.files = typed(LabelledFiles, files)
        self.fields = typed(Fields, fields)
        self.labels = typed(Labels, labels)
        self.split = Split.none() if split is None else typed(Split, split)
        self.length = typed(Length, length)
        self.reverse_complement = reverse_complement
        if not isinstance(self.fields.label, str) and self.labels.kind != "multilabel":
            raise ValueError(
                f"fields.label names {len(self.fields.label)} columns, which is for "
                f"labels.kind=multilabel, not {self.labels.kind}"
            )
        self.signal = None if signal is None else typed(Signal, signal)
        if self.signal is not None and self.labels.kind != "number":
            raise ValueError(
                f"signal labels regions with numbers, and labels.kind is {self.labels.kind}; set "
                "labels.kind=number"
            )
        settings = {
            "files": self.files,
            "fields": self.fields,
            "labels": self.labels,
            "split": self.split,
            "length": self.length,
            "tokenizer": self.tokenizer,
            "global_batch_size": global_batch_size,
            "reverse_complement": reverse_complement,
            "seed": seed,
            "num_workers": num_workers,
            "signal": self.signal,
        }
        self.save_hyperparameters(plain(settings))
        self._records: dict[str, Records] = {}
        self._genome: Genome | None = None

    def prepare_data(self) -> None:
        """Index the genome of regions, on one process of each machine."""
        if self.signal is not None:
            self._genome_of(self.signal)

    def read_labelled(self) -> Codec:
        """Read the labelled files."""
        files = {name: getattr(self.files, name) for name in _LABELLED}
        parts, left_out = read_splits(files, self.fields, self.labels, self.split, self._regions())
        if left_out:
            rank_zero_warn(f"{self.labels.leaves_out} leaves out {left_out:,} records")
        if shared := leaks(parts):
            rank_zero_warn(
                f"the splits are not independent: {'; '.join(shared)}. Figures on them will be "
                "too good; remove the copies, or divide by a group column (fields.group)"
            )
        written = [example.label for example in parts["train"]]
        codec = Codec.of_training(self.labels, written, self.fields.labels)
        for name, examples in parts.items():
            if examples:
                labels, places = zip(*((e.label, e.where) for e in examples), strict=True)
                targets = codec.encode(labels, places)
                records = encode_examples(examples, self.tokenizer, self.length, targets)
                self._records[name] = records
                self.say(_described(name, examples, self.labels))
        return codec

    def read_unlabelled(self) -> None:
        """Read the files to be predicted, if there are any, once."""
        if self.files.predict and "predict" not in self._records:
            skip = self.labels.missing == "skip"
            examples, left_out = read_examples(
                self.files.predict, self.fields, None, skip=skip, regions=self._regions()
            )
            if left_out:
                rank_zero_warn(f"labels.missing=skip leaves out {left_out:,} records")
            self._records["predict"] = encode_examples(examples, self.tokenizer, self.length)

    def _regions(self) -> ReadRegions | None:
        if self.signal is None:
            return None
        genome = self._genome_of(self.signal)
        return SignalRegions(self.signal, self.labels.missing == "skip", genome).examples

    def _genome_of(self, signal: Signal) -> Genome:
        """Opened once, for what there is to say of it is to be said once."""
        if self._genome is None:
            self._genome = Genome(signal.genome)
        return self._genome

    def dataset(self, part: DataPart) -> LabelledDataset:
        """The sequences of a part."""
        if part != "predict":
            self.read()
        records = self._records.get(part) or Records.none()
        order = SampleOrder(len(records.ids))  # held-out pieces do not depend on the run's seed
        if part == "train":
            order = SampleOrder(len(records.ids), self.seed, True, self.reverse_complement)
        return LabelledDataset(records, self.tokenizer, self.length, order)

    def sources(self) -> list[SourceFile]:
        """The labelled files, and of regions their genome and the track that labels them."""
        files = [*of_parts({name: getattr(self.files, name) for name in _LABELLED})]
        if self.signal is None:
            return files
        opened = self._genome_of(self.signal)
        genome = of_genomes([("genome", self.signal.genome, opened)])
        return [*genome, SourceFile("track", Path(self.signal.track)), *files]

    def stream(self) -> dict[str, Any]:
        """All that decides which batch is the i-th, in plain types."""
        codec, records = self.codec, self._records["train"]
        digest = hashlib.blake2b(digest_size=8)
        for array in (records.tokens, records.ends, records.targets):
            digest.update(np.ascontiguousarray(array).tobytes())
        return {
            "training records": digest.hexdigest(),
            "classes": list(codec.classes),
            "length": plain(self.length),
            "seed": self.seed,
            "reverse_complement": self.reverse_complement,
            **super().stream(),
        }


def _described(name: str, examples: list[Example], labels: Labels) -> str:
    """One line: how many sequences, how long, of which classes."""
    sizes = [len(example.sequence) for example in examples]
    line = f"{name}: {len(sizes):,} sequences of {min(sizes):,} to {max(sizes):,} bases"
    if labels.kind == "number":
        return line
    written = [name for example in examples for name in names_of(example.label)]
    called = one_spelling(written)
    names = Counter(called[name] for name in written)
    return f"{line}; " + ", ".join(f"{name} {count:,}" for name, count in names.most_common())
