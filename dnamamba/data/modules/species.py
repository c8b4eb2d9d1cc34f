"""``SpeciesDataModule``: windows of one FASTA a species, labelled by it, under Lightning."""

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.genome.several import open_genomes
from dnamamba.data.labelled.labels import Codec, Labels
from dnamamba.data.labelled.species import SpeciesDataset
from dnamamba.data.modules.labelled import LabelledDataModule
from dnamamba.data.modules.resumable import DataPart, sample_numbers
from dnamamba.data.windows.plan import WindowPlan
from dnamamba.data.windows.planning import make_plans
from dnamamba.data.windows.plans import Plans
from dnamamba.data.windows.settings import GenomeSplit, WindowConfig

__all__ = ["SpeciesDataModule"]


class SpeciesDataModule(LabelledDataModule):
    """Windows drawn from one FASTA a species; the label is the species.

    A batch holds ``tokens`` (B, L) uint8 without BOS, PAD to the right, ``lengths`` (B,),
    ``index`` (B,) and, but for ``predict``, ``label`` (B,) int64 (see ``SpeciesDataset``). A row
    with a negative index is empty and means nothing.

    What is held out is held out by position, with a guard around it, so that no base of a test
    window is trained on. To hold out whole contigs, name them, or set a fraction and a
    ``split.block`` larger than any contig. The blocks do not depend on ``seed``. Held-out windows
    lie side by side; they are as long as those of training, and as free of N.

    Args:
        species: name -> FASTA. The names' order is that of the labels.
        tokenizer: byte -> id.
        length: L, bases in a window: 64 to 4,194,304.
        global_batch_size: windows in one optimiser step, over all devices and all batches whose
            gradients are accumulated.
        windows: which windows there are; with ``short=pad`` a contig shorter than L is one.
        split: what is held out for validation and test.
        balanced: draw as many training windows from each species, whatever its size; an epoch
            has as many windows as without. Else each window once an epoch.
        predict: FASTA files of unknown species; all their windows.
        seed: of order and strands; 0 to 2**63 - 1.
        num_workers: processes that read ahead.

    Raises:
        ValueError: settings out of range; and, once the genomes are opened (``setup``), bad
            files, unknown contigs, overlapping parts, or a species without a training window.
    """

    def __init__(
        self,
        species: dict[str, str],
        tokenizer: Tokenizer = Tokenizer(),  # noqa: B008 (frozen)
        length: int = 1024,
        global_batch_size: int = 32,
        windows: WindowConfig = WindowConfig(),  # noqa: B008 (frozen)
        split: GenomeSplit = GenomeSplit(),  # noqa: B008 (frozen)
        balanced: bool = False,
        predict: list[str] | None = None,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__(global_batch_size, seed, num_workers)
        # A checkpoint's hyper-parameters give dictionaries.
        self.tokenizer = Tokenizer(**tokenizer) if isinstance(tokenizer, dict) else tokenizer
        self.window_config = WindowConfig(**windows) if isinstance(windows, dict) else windows
        self.split = GenomeSplit(**split) if isinstance(split, dict) else split
        self.species, self.length, self.balanced = dict(species), length, balanced
        self.predict = list(predict or ())
        if len(self.species) < 2:
            raise ValueError(
                f"data.species must name at least 2 species, got {', '.join(species) or 'none'}"
            )
        settings = {
            "species": self.species,
            "tokenizer": asdict(self.tokenizer),
            "length": length,
            "global_batch_size": global_batch_size,
            "windows": asdict(self.window_config),
            "split": asdict(self.split),
            "balanced": balanced,
            "predict": predict,
            "seed": seed,
            "num_workers": num_workers,
        }
        # Plain JSON types, or a weights-only load refuses the checkpoint.
        self.save_hyperparameters(json.loads(json.dumps(settings)))
        self._plans: Plans | None = None
        self._codec: Codec | None = None
        self._unknown: Plans | None = None

    def prepare_data(self) -> None:
        """Index the genomes, on one process of each machine."""
        for path in [*self.species.values(), *self.predict]:
            Genome(path)

    def load(self, stage: str | None) -> None:
        """Read the files: for ``predict`` no labels are needed."""
        if self._plans is None and stage != "predict":
            self._open()
        if self._unknown is None and self.predict:
            where = self.length, self.window_config, GenomeSplit()
            self._unknown = make_plans(open_genomes(self.predict), *where, whole=True)
            self._unknown.check(self.tokenizer)

    @property
    def plans(self) -> Plans:
        """The windows of all parts; opens the genomes if that has not happened."""
        if self._plans is None:
            self._open()
        assert self._plans is not None
        return self._plans

    @property
    def codec(self) -> Codec:
        """The species by number; opens the genomes if that has not happened."""
        if self._codec is None:
            self._open()
        assert self._codec is not None
        return self._codec

    def train_targets(self) -> NDArray[np.int64]:
        """Number of the species of each sample of an epoch."""
        plan = self.windows("train")
        contig = plan.samples(np.arange(len(plan))).contig
        return self.plans.contigs.genome[contig]

    def windows(self, part: DataPart) -> WindowPlan:
        """The windows of ``train``, ``validation`` or ``test``."""
        return self.plans.of(part)

    def dataset(self, part: DataPart) -> SpeciesDataset:
        """The windows of a part, with their labels but for ``predict``.

        Raises:
            ValueError: there is nothing to predict.
        """
        plans = self._plans_of(part)
        return SpeciesDataset(
            list(plans.genomes.values()),
            plans.contigs,
            plans.of(part),
            self.tokenizer,
            labelled=part != "predict",
        )

    def describe(self, index: Tensor | Iterable[int], part: DataPart = "train") -> list[str]:
        """Where samples lie: ``species contig:start-end(strand)``, 0-based and half-open.

        Args:
            index: numbers of samples (B,), as in a batch.
            part: what the batch is of.
        """
        return self._plans_of(part).describe(sample_numbers(index), part)

    def stream(self) -> dict[str, Any]:
        """All that decides which batch is the i-th, in plain types."""
        return {
            **self.plans.identity(),
            "species": list(self.species),
            "global_batch_size": self.global_batch_size,
            "tokenizer": asdict(self.tokenizer),
        }

    def _plans_of(self, part: DataPart) -> Plans:
        if part != "predict":
            return self.plans
        if self._unknown is None:
            raise ValueError("there is nothing to predict; set data.predict")
        return self._unknown

    def _open(self) -> None:
        genomes = {name: Genome(path) for name, path in self.species.items()}
        weights = [1.0] * len(self.species) if self.balanced else None
        where = self.length, self.window_config, self.split
        made = make_plans(genomes, *where, weights=weights, whole=True)
        # The split has been made by seed 0, so that runs of several seeds share their test part.
        train = replace(made.of("train"), seed=self.seed)
        plans = replace(made, plans={**made.plans, "train": train})
        for part, plan in plans.plans.items():
            found = plans.contigs.genome[np.unique(plan.tiling.contig)]
            names = [name for i, name in enumerate(self.species) if i in found]
            if part == "train":
                self._codec = Codec.of_training(Labels(classes=list(self.species)), names)
            elif getattr(self.split, part, None) and len(names) < len(self.species):
                absent = [name for name in self.species if name not in names]
                rank_zero_warn(f"the {part} part has no window of {', '.join(absent)}")
        plans.check(self.tokenizer)
        self._plans = plans
        rank_zero_info("\n".join(plans.report))
