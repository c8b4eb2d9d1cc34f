"""``VariantDataModule``: labelled variants of a VCF and their reference, under Lightning."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn

from dnamamba.alphabet import Tokenizer
from dnamamba.arguments import each_once, path_text, path_texts
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.labelled.codec import Codec
from dnamamba.data.labelled.labels import Labels
from dnamamba.data.labelled.splits import shared_sequences
from dnamamba.data.modules.labelled import LabelledDataModule
from dnamamba.data.modules.resumable import DataPart
from dnamamba.data.modules.sources import SourceFile, of_genomes, of_parts
from dnamamba.data.samples.order import SampleOrder
from dnamamba.data.variants.checks import VariantChecks
from dnamamba.data.variants.dataset import VariantDataset
from dnamamba.data.variants.labels import LabelledVariant, VariantFields
from dnamamba.data.variants.record import Variant, read_variants
from dnamamba.data.variants.splits import VariantSplit, read_variant_splits
from dnamamba.settings import plain, typed

__all__ = ["VariantDataModule", "VariantFiles"]

Vcfs = str | list[str]

_LABELLED = ("train", "validation", "test")


@dataclass(frozen=True)
class VariantFiles:
    """What to read. A VCF may be plain, bgzip or gzip.

    Attributes:
        genome: the reference, a FASTA.
        train: VCFs to train on, and to cut held-out parts from where none is given.
        validation: to watch the run.
        test: for the end.
        predict: variants without labels.

    Raises:
        ValueError: a genome that is no path, or VCFs that are none.
    """

    genome: str
    train: Vcfs | None = None
    validation: Vcfs | None = None
    test: Vcfs | None = None
    predict: Vcfs | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "genome", path_text("data.files.genome", self.genome))
        for name in ("train", "validation", "test", "predict"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, path_texts(f"data.files.{name}", value))


class VariantDataModule(LabelledDataModule):
    """Pairs of windows, with the reference and with the alternative allele, and their labels.

    A batch holds ``tokens`` (B, 2, L) uint8: REF, ALT, without BOS, PAD to the right; ``lengths``
    (B, 2), ``position``, ``right`` and ``index`` (B,) int64 and, but for ``predict``, ``label``
    (see ``VariantDataset``). The variant stands in the middle; windows are clipped at the contig's
    ends. A row with a negative index is empty and means nothing.

    Every allele of every record is one variant, checked against the reference. Positions of a
    VCF count from 1; everything here from 0.

    Args:
        files: what to read.
        fields: where the labels stand.
        labels: what they mean.
        split: how training variants are divided where no file says so.
        checks: what to do with records that cannot be used.
        length: most bases in a window.
        tokenizer: byte -> id.
        global_batch_size: variants in one optimiser step, over all devices and all batches whose
            gradients are accumulated.
        reverse_complement: read half of the training samples from the opposite strand.
        seed: of order and strands; 0 to 2**63 - 1. The split has its own.
        num_workers: processes that read ahead.

    Raises:
        ValueError: settings out of range; and, once the files are read (``setup``), bad files,
            records or labels.
    """

    def __init__(
        self,
        files: VariantFiles,
        fields: VariantFields = VariantFields(),  # noqa: B008 (frozen)
        labels: Labels = Labels(),  # noqa: B008 (frozen)
        split: VariantSplit = VariantSplit(),  # noqa: B008 (frozen)
        checks: VariantChecks = VariantChecks(),  # noqa: B008 (frozen)
        length: int = 1024,
        tokenizer: Tokenizer = Tokenizer(),  # noqa: B008 (frozen)
        global_batch_size: int = 32,
        reverse_complement: bool = False,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__(tokenizer, global_batch_size, seed, num_workers)
        self.files = typed(VariantFiles, files)
        self.fields = typed(VariantFields, fields)
        self.labels = typed(Labels, labels)
        self.split = typed(VariantSplit, split)
        self.checks = typed(VariantChecks, checks)
        self.length, self.reverse_complement = length, reverse_complement
        if length < 2:
            raise ValueError(f"data.length must be at least 2 bases, got {length}")
        settings = {
            "files": self.files,
            "fields": self.fields,
            "labels": self.labels,
            "split": self.split,
            "checks": self.checks,
            "length": length,
            "tokenizer": self.tokenizer,
            "global_batch_size": global_batch_size,
            "reverse_complement": reverse_complement,
            "seed": seed,
            "num_workers": num_workers,
        }
        self.save_hyperparameters(plain(settings))
        self._genome: Genome | None = None
        self._variants: dict[str, list[Variant]] = {}
        self._targets: dict[str, NDArray[Any]] = {}

    def prepare_data(self) -> None:
        """Index the genome, on one process of each machine."""
        Genome(self.files.genome)

    def read_labelled(self) -> Codec:
        """Read the labelled VCFs."""
        vcfs = {part: getattr(self.files, part) for part in _LABELLED}
        reading = self.genome, self.fields, self.labels, self.checks, self.length
        parts, guard = read_variant_splits(vcfs, self.split, *reading)
        if guard:
            rank_zero_info(f"guard: {guard:,} training variants close to held-out ones, left out")
        names = {name: [row.variant.name for row in part] for name, part in parts.items()}
        if shared := shared_sequences(names):
            rank_zero_warn(f"variants stand in two splits: {'; '.join(shared)}; remove the copies")
        codec = Codec.of_training(self.labels, [row.label for row in parts["train"]])
        for name, part in parts.items():
            self._variants[name] = [row.variant for row in part]
            self._targets[name] = codec.encode(
                [row.label for row in part], [row.where for row in part]
            )
            self.say(_described(name, part, self.labels))
        return codec

    def read_unlabelled(self) -> None:
        """Read the VCFs to be predicted, if there are any, once."""
        if self.files.predict and "predict" not in self._variants:
            vcfs, longest = self.files.predict, self.length - self.length // 2
            vcfs = [vcfs] if isinstance(vcfs, str) else vcfs
            each_once("data.files.predict", vcfs)
            self._variants["predict"] = [
                variant
                for vcf in vcfs
                for variant in read_variants(vcf, self.genome, self.checks, longest=longest)
            ]

    @property
    def genome(self) -> Genome:
        """The reference."""
        if self._genome is None:
            self._genome = Genome(self.files.genome)
            self._genome.check(self.tokenizer)
        return self._genome

    def variants(self, part: DataPart) -> list[Variant]:
        """The variants of a part, in the order of its batches (training: before shuffling)."""
        if part != "predict":
            self.read()
        return self._variants.get(part, [])

    def dataset(self, part: DataPart) -> VariantDataset:
        """The variants of a part as windows."""
        variants = self.variants(part)
        order = SampleOrder(len(variants))
        if part == "train":
            order = SampleOrder(len(variants), self.seed, True, self.reverse_complement)
        targets = self._targets.get(part)
        return VariantDataset(self.genome, variants, self.length, self.tokenizer, targets, order)

    def sources(self) -> list[SourceFile]:
        """The reference, and the labelled VCFs."""
        reference = of_genomes([("reference", self.files.genome, self.genome)])
        return [*reference, *of_parts({part: getattr(self.files, part) for part in _LABELLED})]

    def stream(self) -> dict[str, Any]:
        """All that decides which batch is the i-th, in plain types."""
        codec = self.codec
        digest = hashlib.blake2b(digest_size=8)
        for variant in self._variants["train"]:
            digest.update(variant.name.encode())
        digest.update(np.ascontiguousarray(self._targets["train"]).tobytes())
        return {
            "training variants": digest.hexdigest(),
            "genome": self.genome.digest,
            "classes": list(codec.classes),
            "length": self.length,
            "seed": self.seed,
            "reverse_complement": self.reverse_complement,
            **super().stream(),
        }


def _described(name: str, part: list[LabelledVariant], labels: Labels) -> str:
    """One line: how many variants, of which classes."""
    line = f"{name}: {len(part):,} variants"
    if labels.kind != "class":
        return line
    counts = Counter(str(row.label) for row in part)
    return f"{line}; " + ", ".join(f"{label} {count:,}" for label, count in counts.most_common())
