"""``GenomeDataModule``: windows of genomes for pretraining, under Lightning."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities import rank_zero_info
from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.data.fasta import Genome
from dnamamba.data.genomes import open_genomes
from dnamamba.data.modules.position import Position, rank_and_world
from dnamamba.data.plans import Plans, make_plans
from dnamamba.data.settings import GenomeSplit, WindowConfig
from dnamamba.data.stream import WindowDataset, WindowLoader, held_out_batches, training_batches
from dnamamba.data.targets import next_base_batch
from dnamamba.data.windows import WindowPlan

__all__ = ["GenomeDataModule"]

Batch = dict[str, Tensor]


class GenomeDataModule(pl.LightningDataModule):
    """Streams windows of one or many FASTA files, and resumes in the middle of an epoch, exactly.

    The i-th training sample is a function of ``seed`` and i. What a checkpoint holds is the
    number of samples that all devices have consumed together; with it the same global batches
    follow, whatever the number of devices or workers, as long as ``global_batch_size`` stays.
    One Lightning epoch is ``windows // global_batch_size`` steps; the rest of the windows comes
    first in the next one.

    A batch on the device is what ``next_base_batch`` makes: ``tokens``, ``targets`` (B, L) uint8,
    ``loss_weight`` (B, L) fp32, ``index`` (B,) int64 and, where rows are padded, ``lengths`` (B,).
    Held-out parts are read in order and every base once, whatever the number of devices: rows
    that fill up a batch are empty, with ``index`` -1 and weight 0.

    Args:
        genomes: FASTA files (plain, bgzip or gzip). A list takes every window once an epoch; a
            dictionary path -> weight mixes the genomes: of an epoch's samples each genome has a
            share in proportion to its weight, and runs through its own windows at its own pace.
        tokenizer: byte -> id.
        length: L, bases in a window: 64 to 4,194,304.
        global_batch_size: windows in one optimiser step, over all devices and all batches whose
            gradients are accumulated; must divide by devices x ``accumulate_grad_batches``.
        windows: which windows there are.
        split: what is held out for validation and test.
        soft_mask_weight: weight of a lower-case (repeat-masked) base in the training loss, 0 to
            1. Validation and test weigh every base alike.
        seed: of order, strands and random blocks; 0 to 2**63 - 1.
        num_workers: processes that read ahead. A window costs less to read here than to send
            between processes: more than 0 is slower, unless the disk is.
        cache_dir: where the genomes' caches lie (see ``Genome``).

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
    ) -> None:
        super().__init__()
        # A checkpoint's hyper-parameters give dictionaries.
        self.tokenizer = Tokenizer(**tokenizer) if isinstance(tokenizer, dict) else tokenizer
        self.window_config = WindowConfig(**windows) if isinstance(windows, dict) else windows
        self.split = GenomeSplit(**split) if isinstance(split, dict) else split
        self.genome_paths = [genomes] if isinstance(genomes, str) else list(genomes)
        self.weights = list(genomes.values()) if isinstance(genomes, dict) else None
        self.length, self.global_batch_size, self.seed = length, global_batch_size, seed
        self.soft_mask_weight, self.num_workers = soft_mask_weight, num_workers
        self.cache_dir = cache_dir
        if global_batch_size < 1:
            raise ValueError(f"data.global_batch_size must be at least 1, got {global_batch_size}")
        if not 0 <= soft_mask_weight <= 1:
            raise ValueError(f"data.soft_mask_weight must be 0 to 1, got {soft_mask_weight}")
        if not 0 <= seed < 2**63:
            raise ValueError(f"data.seed must be 0 to 2**63 - 1, got {seed}")
        if num_workers < 0:
            raise ValueError(f"data.num_workers must be 0 or more, got {num_workers}")
        self.save_hyperparameters(
            {  # plain JSON types, or a weights-only load refuses the checkpoint
                "genomes": genomes if isinstance(genomes, dict) else self.genome_paths,
                "tokenizer": asdict(self.tokenizer),
                "length": length,
                "global_batch_size": global_batch_size,
                "windows": asdict(self.window_config),
                "split": json.loads(json.dumps(asdict(self.split))),
                "soft_mask_weight": soft_mask_weight,
                "seed": seed,
                "num_workers": num_workers,
                "cache_dir": cache_dir,
            }
        )
        self._plans: Plans | None = None
        self._position = Position(global_batch_size)

    def prepare_data(self) -> None:
        """Index the genomes, on one process of each machine."""
        open_genomes(self.genome_paths, self.cache_dir)

    def setup(self, stage: str | None = None) -> None:
        """Open the genomes and decide the windows. A checkpoint's position comes after this."""
        self._position.reset()
        if self._plans is None:
            self._plans = make_plans(
                open_genomes(self.genome_paths, self.cache_dir),
                self.length,
                self.window_config,
                self.split,
                weights=self.weights,
                seed=self.seed,
            )
            self._plans.check(self.tokenizer)
            rank_zero_info("\n".join(self._plans.report))

    @property
    def plans(self) -> Plans:
        """The windows of all parts; opens the genomes if that has not happened."""
        if self._plans is None:
            self.setup()
        assert self._plans is not None
        return self._plans

    @property
    def genomes(self) -> Mapping[str, Genome]:
        """Name -> genome."""
        return self.plans.genomes

    def windows(self, split: str) -> WindowPlan:
        """The windows of ``train``, ``validation``, ``test`` or ``predict`` (all usable ones)."""
        return self.plans.of(split)

    def bases(self, split: str) -> Iterator[bytes]:
        """The bases of each window of a part once, in the genome's order, from the plus strand.

        Case and IUPAC codes are kept; windows that overlap repeat what they share.
        """
        return self.plans.bases(split)

    def describe(self, index: Tensor | Sequence[int], split: str = "train") -> list[str]:
        """Where samples lie: ``genome contig:start-end(strand)``, 0-based and half-open.

        Args:
            index: numbers of samples (B,), as in a batch.
            split: the part that the batch is of.
        """
        return self.plans.describe(torch.as_tensor(index).cpu().numpy(), split)

    def train_dataloader(self) -> WindowLoader:
        """Batches of the training stream, from the run's position on.

        Raises:
            ValueError: the global batch does not divide by devices and accumulated batches.
        """
        self._position.align(self.trainer)
        batch, (rank, world) = self._position.batch(self.trainer), rank_and_world(self.trainer)
        dataset = self._dataset("train", soft_mask=self.soft_mask_weight != 1)
        return WindowLoader(
            dataset,
            lambda: training_batches(self._position.consumed(self.trainer), batch, rank, world),
            # Whole steps: Lightning ends an epoch with a step, however few its batches.
            max(len(dataset) // self.global_batch_size, 1)
            * (self.global_batch_size // (batch * world)),
            self.num_workers,
            self._pinned,
        )

    def val_dataloader(self) -> WindowLoader | list[Any]:
        """Batches of the validation part; empty without one."""
        return self._in_order("validation") if len(self.windows("validation")) else []

    def test_dataloader(self) -> WindowLoader:
        """Batches of the test part.

        Raises:
            ValueError: nothing is held out for test.
        """
        if not len(self.windows("test")):
            raise ValueError("nothing is held out for test; set data.split.test")
        return self._in_order("test")

    def predict_dataloader(self) -> WindowLoader:
        """Batches of every usable window, held out or not, in the genome's order."""
        return self._in_order("predict")

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Derive inputs, targets and weights on the device."""
        return next_base_batch(batch, self.tokenizer, self.soft_mask_weight)

    def state_dict(self) -> dict[str, Any]:
        """The run's position, and what it is a position in."""
        return {**self._position.state(self.trainer), "stream": self._stream()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint's position; without effect unless fitting.

        Raises:
            ValueError: the checkpoint is of another stream; names what differs.
        """
        if self.trainer is not None and self.trainer.state.fn != TrainerFn.FITTING:
            return  # a trained model may be evaluated on anything
        here, there = self._stream(), state_dict["stream"]
        differ = [
            f"{name} ({there.get(name)} in the checkpoint, {here.get(name)} now)"
            for name in here | there
            if here.get(name) != there.get(name)
        ]
        if differ:
            raise ValueError(
                f"cannot resume, for the training windows are others: {'; '.join(differ)}. Resume "
                "with the checkpoint's data and settings, or start a new run from its weights"
            )
        self._position.restore(state_dict)

    def _stream(self) -> dict[str, Any]:
        """All that decides which batch is the i-th."""
        return {
            **self.plans.identity(),
            "global_batch_size": self.global_batch_size,
            "tokenizer": asdict(self.tokenizer),
        }

    def _dataset(
        self, split: str, *, soft_mask: bool = False, padded: bool = False
    ) -> WindowDataset:
        return WindowDataset(
            list(self.genomes.values()),
            self.plans.contigs,
            self.windows(split),
            self.tokenizer,
            soft_mask=soft_mask,
            padded=padded,
        )

    def _in_order(self, split: str) -> WindowLoader:
        batch, (rank, world) = self._position.batch(self.trainer), rank_and_world(self.trainer)
        dataset = self._dataset(split, padded=True)
        return WindowLoader(
            dataset,
            lambda: held_out_batches(len(dataset), batch, rank, world),
            -(-len(dataset) // (batch * world)),
            self.num_workers,
            self._pinned,
        )

    @property
    def _pinned(self) -> bool:
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
