"""``SpeciesDataModule``: windows of one FASTA a species, labelled by it, under Lightning."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn

from dnamamba.alphabet import Tokenizer
from dnamamba.arguments import each_once, path_text, path_texts
from dnamamba.data.genome.assemblies import located
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.genome.several import open_genomes
from dnamamba.data.labelled.codec import Codec
from dnamamba.data.labelled.labels import Labels
from dnamamba.data.modules.labelled import LabelledDataModule
from dnamamba.data.modules.resumable import DataPart
from dnamamba.data.modules.sources import SourceFile, of_genomes, of_regions
from dnamamba.data.windows.build import make_plans
from dnamamba.data.windows.dataset import WindowDataset
from dnamamba.data.windows.plan import Plans, WindowPlan
from dnamamba.data.windows.settings import GenomeSplit, WindowConfig
from dnamamba.settings import plain, typed

__all__ = ["SpeciesDataModule"]

_MANY_RECORDS = 10  # from which on a FASTA may hold one genome a record


class SpeciesDataModule(LabelledDataModule):
    """Windows drawn from one FASTA a species; the label is the species.

    A batch holds ``tokens`` (B, L) uint8 without BOS, PAD to the right, ``lengths`` (B,),
    ``index`` (B,) and, but for ``predict``, ``label`` (B,) int64 (see ``WindowDataset``). A row
    with a negative index is empty and means nothing.

    What is held out is held out by position, with a guard around it, so that no base of a test
    window is trained on. To hold out whole contigs, name them, or set a fraction and a
    ``split.block`` larger than any contig. The blocks do not depend on ``seed``. Held-out windows
    lie side by side; they are as long as those of training, and as free of N.

    Args:
        species: name -> FASTA. The names' order is that of the labels.
        tokenizer: byte -> id.
        length: L, bases in a window: 64 to 268,435,456.
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
        super().__init__(tokenizer, global_batch_size, seed, num_workers)
        self.window_config = typed(WindowConfig, windows)
        self.split = typed(GenomeSplit, split)
        if not isinstance(species, Mapping):
            raise ValueError(f"data.species must be name -> FASTA, got {species!r:.60}")
        self.species = {
            name: path_text(f"data.species[{name!r}]", path) for name, path in species.items()
        }
        self.length, self.balanced = length, balanced
        unknown = path_texts("data.predict", [] if predict is None else predict)
        self.predict = [unknown] if isinstance(unknown, str) else unknown
        if len(self.species) < 2:
            raise ValueError(
                f"data.species must name at least 2 species, got {', '.join(species) or 'none'}"
            )
        settings = {
            "species": self.species,
            "tokenizer": self.tokenizer,
            "length": length,
            "global_batch_size": global_batch_size,
            "windows": self.window_config,
            "split": self.split,
            "balanced": balanced,
            "predict": self.predict if predict else predict,
            "seed": seed,
            "num_workers": num_workers,
        }
        self.save_hyperparameters(plain(settings))
        self._plans: Plans | None = None
        self._unknown: Plans | None = None

    def prepare_data(self) -> None:
        """Index the genomes, on one process of each machine."""
        for path in [*self.species.values(), *self.predict]:
            Genome(path)

    def read_labelled(self) -> Codec:
        """Open the genomes and decide all windows; gives the species' numbers."""
        each_once("data.species", [located(path) for path in self.species.values()])
        genomes = {name: Genome(path) for name, path in self.species.items()}
        weights = [1.0] * len(self.species) if self.balanced else None
        where = self.length, self.window_config, self.split
        made = make_plans(genomes, *where, weights=weights, whole=True)
        # The split has been made by seed 0, so that runs of several seeds share their test part.
        train = replace(made.of("train"), seed=self.seed)
        plans = replace(made, plans={**made.plans, "train": train})
        codec = Codec.of_training(Labels(classes=list(self.species)), self._present(plans, "train"))
        for part in ("validation", "test"):
            present = self._present(plans, part) if getattr(self.split, part) else self.species
            if absent := [name for name in self.species if name not in present]:
                rank_zero_warn(f"the {part} part has no window of {', '.join(absent)}")
        self._warn_of_pieces(plans)
        plans.check(self.tokenizer)
        self._plans = plans
        rank_zero_info("\n".join(plans.report))
        return codec

    def _present(self, plans: Plans, part: str) -> list[str]:
        """The species that have a window in a part."""
        genomes = plans.contigs.genome[np.unique(plans.of(part).tiling.contig)]
        return [name for i, name in enumerate(self.species) if i in genomes]

    def _warn_of_pieces(self, plans: Plans) -> None:
        """Records that are genomes of their own should stand on one side, whole."""
        parts = [part for part in ("validation", "test") if getattr(self.split, part)]
        held_out = [plans.of(part).tiling.contig for part in parts]
        both = np.intersect1d(
            plans.of("train").tiling.contig, np.concatenate([np.empty(0, np.int64), *held_out])
        )
        records = np.bincount(plans.contigs.genome, minlength=len(self.species))
        divided = np.bincount(plans.contigs.genome[both], minlength=len(self.species))
        many = np.flatnonzero((records >= _MANY_RECORDS) & (divided > 0))
        if many.size:
            names = list(self.species)
            counts = ", ".join(f"{names[i]}: {divided[i]:,} of {records[i]:,}" for i in many)
            rank_zero_warn(
                f"records of which a piece is trained on and another held out: {counts}. If each "
                "is a genome of its own, as of isolates or organelles, let it stand on one side: "
                f"set data.split.block to {int(plans.contigs.length.max()) + 1} (longer than the "
                "longest record), or name contigs"
            )

    def read_unlabelled(self) -> None:
        """Open the genomes of unknown species, if there are any, once."""
        if self._unknown is None and self.predict:
            where = self.length, self.window_config, GenomeSplit()
            self._unknown = make_plans(open_genomes(self.predict), *where, whole=True)
            self._unknown.check(self.tokenizer)

    @property
    def plans(self) -> Plans:
        """The windows of all parts; opens the genomes if that has not happened."""
        self.read()
        assert self._plans is not None
        return self._plans

    def windows(self, part: DataPart) -> WindowPlan:
        """The windows of ``train``, ``validation`` or ``test``."""
        return self.plans.of(part)

    def dataset(self, part: DataPart) -> WindowDataset:
        """The windows of a part, with their labels but for ``predict``.

        Raises:
            ValueError: there is nothing to predict.
        """
        plans = self._plans_of(part)
        return WindowDataset(
            list(plans.genomes.values()),
            plans.contigs,
            plans.of(part),
            self.tokenizer,
            padded=True,
            labels=None if part == "predict" else plans.contigs.genome,
        )

    def sources(self) -> list[SourceFile]:
        """The genomes of the species, and the BED files of windows and split."""
        opened = zip(self.species.items(), self.plans.genomes.values(), strict=True)
        genomes = of_genomes((f"species {name}", path, genome) for (name, path), genome in opened)
        return [*genomes, *of_regions(self.window_config, self.split)]

    def summary(self) -> list[str]:
        return list(self.plans.report)

    def stream(self) -> dict[str, Any]:
        """All that decides which batch is the i-th, in plain types."""
        return {**self.plans.identity(), "species": list(self.species), **super().stream()}

    def _plans_of(self, part: DataPart) -> Plans:
        if part != "predict":
            return self.plans
        if self._unknown is None:
            raise ValueError("there is nothing to predict; set data.predict")
        return self._unknown
