"""``GenomeDataModule``: windows of genomes for pretraining, under Lightning."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn

from dnamamba.alphabet import Tokenizer
from dnamamba.arguments import path_texts
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.genome.several import open_genomes
from dnamamba.data.modules.position import rank_and_world
from dnamamba.data.modules.resumable import DataPart, ResumableDataModule
from dnamamba.data.modules.sources import SourceFile, of_genomes, of_regions
from dnamamba.data.samples.stages import StagedDataset
from dnamamba.data.windows.build import make_plans
from dnamamba.data.windows.dataset import WindowDataset
from dnamamba.data.windows.lengths import LengthSchedule, LengthStage
from dnamamba.data.windows.plan import Plans, WindowPlan
from dnamamba.data.windows.settings import GenomeSplit, Rows, WindowConfig, check_rows
from dnamamba.data.windows.stretches import stretches
from dnamamba.data.windows.tape import Tape
from dnamamba.data.windows.taped import TapeDataset
from dnamamba.settings import plain, typed

__all__ = ["GenomeDataModule"]

_LEAST_WINDOWS = 16  # of a held-out lane, where the part is long enough for several
_UNMASKED = re.compile(b"[ACGTU]")


class GenomeDataModule(ResumableDataModule):
    """Streams windows of one or many FASTA files, and resumes in the middle of an epoch, exactly.

    The i-th training sample is a function of ``seed`` and i: see ``ResumableDataModule``.

    A batch holds ``tokens`` (B, L) uint8, without BOS, and ``index`` (B,) int64; where rows are
    padded ``lengths`` (B,); and for training, where lower case weighs less, ``soft_mask`` (see
    ``WindowDataset``). What is predicted from what, an ``Objective`` of the training room says.
    Held-out parts are read in order and every base once, whatever the number of devices: rows
    that fill up a batch are empty, with ``index`` -1. Where ``rows`` are packed or lanes, batches
    are as ``TapeDataset`` says.

    Args:
        genomes: FASTA files (plain, bgzip or gzip), or names of references that ``dnamamba
            genome`` has fetched, as hg38. A list takes every window once an epoch; a
            dictionary path -> weight mixes the genomes: of an epoch's samples each genome has a
            share in proportion to its weight, and runs through its own windows at its own pace.
        tokenizer: byte -> id.
        length: L, bases in a window: 64 to 268,435,456.
        global_batch_size: windows in one optimiser step, over all devices and all batches whose
            gradients are accumulated; must divide by devices x ``accumulate_grad_batches``.
        windows: which windows there are. Packed or in lanes, ``shuffle`` puts contigs, cut at
            breaks, into another order in each epoch, and ``reverse_complement`` reads half of
            them from the other strand; stride, tail, short and max_ambiguous are for
            ``rows: windows``.
        split: what is held out for validation and test.
        soft_mask_weight: weight of a lower-case (repeat-masked) base in the training loss, 0 to
            1. Validation and test weigh every base alike.
        seed: of order, strands and random blocks; 0 to 2**63 - 1.
        num_workers: processes that read ahead. A window costs less to read here than to send
            between processes: more than 0 is slower, unless the disk is.
        cache_dir: where the genomes' caches lie (see ``Genome``).
        rows: what the rows of a training batch are. ``windows``: one window each, laid out as
            ``windows`` says. ``packed``: short contigs, scaffolds and what is left at their ends
            are joined into full rows, without padding, and nothing passes from one into the
            next; every base is read once an epoch, but for runs of ten or more N, on which
            sequence breaks. ``lanes``: so packed, but in order: the training sequence is divided
            into ``global_batch_size`` lanes, each step reads every lane's next window, and a
            causal model's state is carried on from step to step, to be forgotten where a contig
            begins and at breaks; validation and test carry it, too.
        length_schedule: [[0, LENGTH], [STEP, LENGTH], ...]: from each of these optimiser steps on
            training windows have so many bases, and a step has as many more or fewer of them as
            keeps its bases the same. The last is ``length``, of which held-out windows are
            throughout. None: training windows have ``length`` bases from the first step on.

    Raises:
        ValueError: settings out of range; and, once the genomes are opened (``setup``), bad
            files, unknown contigs, overlapping parts, or a part without windows.
    """

    def __init__(
        self,
        genomes: list[str] | dict[str, float] | str,
        tokenizer: Tokenizer = Tokenizer(),  # noqa: B008 (frozen)
        length: int = 1024,
        global_batch_size: int = 64,
        windows: WindowConfig = WindowConfig(),  # noqa: B008 (frozen)
        split: GenomeSplit = GenomeSplit(),  # noqa: B008 (frozen)
        soft_mask_weight: float = 1.0,
        seed: int = 0,
        num_workers: int = 0,
        cache_dir: str | None = None,
        rows: Rows = "windows",
        length_schedule: list[tuple[int, int]] | None = None,
    ) -> None:
        super().__init__(tokenizer, global_batch_size, seed, num_workers)
        self.window_config = typed(WindowConfig, windows)
        self.split = typed(GenomeSplit, split)
        texts = path_texts("data.genomes", list(genomes) if isinstance(genomes, dict) else genomes)
        self.genome_paths = [texts] if isinstance(texts, str) else texts
        self.weights = list(genomes.values()) if isinstance(genomes, dict) else None
        by_weight = dict(zip(self.genome_paths, self.weights or (), strict=False))
        check_rows(rows, self.window_config, self.weights)
        self.length, self.soft_mask_weight, self.cache_dir = length, soft_mask_weight, cache_dir
        self.rows = rows
        self.lengths = LengthSchedule.of(length_schedule, length, global_batch_size)
        self.stages = self.lengths.numbering
        if length_schedule is not None:
            self.length_setting = "data.length and the last of data.length_schedule"
        if not 0 <= soft_mask_weight <= 1:
            raise ValueError(f"data.soft_mask_weight must be 0 to 1, got {soft_mask_weight}")
        settings = {
            "genomes": by_weight or self.genome_paths,
            "tokenizer": self.tokenizer,
            "length": length,
            "global_batch_size": global_batch_size,
            "windows": self.window_config,
            "split": self.split,
            "soft_mask_weight": soft_mask_weight,
            "seed": seed,
            "num_workers": num_workers,
            "cache_dir": cache_dir,
            "rows": rows,
            "length_schedule": length_schedule,
        }
        self.save_hyperparameters(plain(settings))
        self._plans: Plans | None = None

    def prepare_data(self) -> None:
        """Index the genomes, on one process of each machine."""
        open_genomes(self.genome_paths, self.cache_dir)

    def check_devices(self, trainer: pl.Trainer, stage: str | None) -> None:
        """And of a training the windows of every stage of lengths."""
        super().check_devices(trainer, stage)
        if stage == "fit":
            accumulated = trainer.accumulate_grad_batches
            self.lengths.check_devices(rank_and_world(trainer)[1], accumulated)

    def load(self, stage: str | None = None) -> None:
        """Open the genomes and decide all windows, once for all stages."""
        if self._plans is None:
            self._plans = make_plans(
                open_genomes(self.genome_paths, self.cache_dir),
                self.length,
                self.window_config,
                self.split,
                weights=self.weights,
                seed=self.seed,
                rows=self.rows,
                earlier=[stage.length for stage in self.lengths.stages[:-1]],
            )
            self._plans.check(self.tokenizer)
            if self.rows != "windows":
                for each, setting in self.lengths.named():
                    self._training_tape(each).check(setting)
            schedule = [str(self.lengths)] if self.lengths.varies else []
            rank_zero_info("\n".join([*schedule, *self._plans.report]))
        if stage == "fit" and self.soft_mask_weight == 0:
            self._check_that_something_counts()
        if stage == "fit" and self.trainer is not None:
            epochs = -1 if self.trainer.max_epochs is None else self.trainer.max_epochs
            ends = [n for n in (self.trainer.max_steps, epochs * self.steps_of_epoch) if n >= 0]
            if ends and (said := self.lengths.unreached(min(ends))):
                rank_zero_warn(said)

    def _check_that_something_counts(self) -> None:
        # The first window of any genome that is not masked throughout ends the search.
        if not any(_UNMASKED.search(bases) for bases in self.bases("train")):
            raise ValueError(
                f"{', '.join(self.genome_paths)}: every base of the training windows is lower "
                "case (soft-masked), and data.soft_mask_weight 0 counts none of them: raise it, "
                "or name a FASTA in upper case"
            )

    @property
    def plans(self) -> Plans:
        """The windows of all parts; opens the genomes if that has not happened."""
        self.load()
        assert self._plans is not None
        return self._plans

    @property
    def genomes(self) -> Mapping[str, Genome]:
        """Name -> genome."""
        return self.plans.genomes

    def windows(self, part: DataPart) -> WindowPlan:
        """The windows of ``train``, ``validation``, ``test`` or ``predict`` (all usable ones)."""
        return self.plans.of(part)

    def bases(self, part: DataPart) -> Iterator[bytes]:
        """The bases of each window of a part once, in the genome's order, from the plus strand.

        Case and IUPAC codes are kept; windows that overlap repeat what they share.
        """
        return self.plans.bases(part)

    @property
    def carries_state(self) -> bool:
        """Whether a row of a training batch goes on where that row of the batch before ended."""
        return self.rows == "lanes"

    def dataset(self, part: DataPart) -> WindowDataset | TapeDataset | StagedDataset:
        """The windows of a part as uint8 ids; ``predict`` are all usable ones, in order."""
        if part == "train":
            plans: list[WindowPlan | Tape] = [*self.plans.earlier, self.windows(part)]
            if self.rows != "windows":
                plans = [self._training_tape(stage) for stage in self.lengths.stages]
            stages = [self._read(part, plan) for plan in plans]
            return StagedDataset(stages, self.stages) if self.lengths.varies else stages[0]
        in_lanes = self.carries_state and part != "predict"
        return self._read(part, self._held_out_tape(part) if in_lanes else self.windows(part))

    def sources(self) -> list[SourceFile]:
        """The genomes, and the BED files of windows and split."""
        parts = [f"genome, weight {weight:g}" for weight in self.weights or ()]
        parts = parts or ["genome"] * len(self.genome_paths)
        opened = zip(parts, self.genome_paths, self.genomes.values(), strict=True)
        return [*of_genomes(opened), *of_regions(self.window_config, self.split)]

    def summary(self) -> list[str]:
        return list(self.plans.report)

    def largest_samples(self) -> list[tuple[int, tuple[int, ...]]]:
        return [(stage.windows, (stage.length,)) for stage in self.lengths.stages]

    def figures(self, step: int) -> dict[str, float]:
        """``train/length``, bases in a window of that step, where they follow a schedule."""
        return {"train/length": self.lengths.at(step).length} if self.lengths.varies else {}

    def _read(self, part: DataPart, windows: WindowPlan | Tape) -> WindowDataset | TapeDataset:
        sources = list(self.plans.genomes.values()), self.plans.contigs
        soft_mask = part == "train" and self.soft_mask_weight != 1
        if isinstance(windows, Tape):
            marks: dict[str, Any] = {"soft_mask": soft_mask, "carried": self.carries_state}
            return TapeDataset(*sources, windows, self.tokenizer, **marks)
        padded = part != "train"
        return WindowDataset(*sources, windows, self.tokenizer, soft_mask=soft_mask, padded=padded)

    def _training_tape(self, stage: LengthStage) -> Tape:
        regions, how = self.plans.regions["train"], self.window_config
        lanes, opening = (stage.windows, stage.step) if self.carries_state else (1, 0)
        order = self.seed, how.shuffle, how.reverse_complement
        return Tape(regions, stage.length, lanes, *order, opening=opening)

    def _held_out_tape(self, part: DataPart) -> Tape:
        regions = stretches(self.plans.regions[part], self.plans.genomes, self.plans.contigs)
        # Cut more often, a lane's windows would mostly be first ones, with nothing carried.
        most = regions.bases // (_LEAST_WINDOWS * self.length)
        return Tape(regions, self.length, max(1, min(self.global_batch_size, most)), once=True)

    def stream(self) -> dict[str, Any]:
        """All that decides which batch is the i-th, in plain types."""
        # Checkpoints of before there was a choice are of windows, and do not say so.
        more: dict[str, Any] = {} if self.rows == "windows" else {"rows": self.rows}
        if self.lengths.varies:
            more["length_schedule"] = [[each.step, each.length] for each in self.lengths.stages]
        return {**self.plans.identity(), **more, **super().stream()}
