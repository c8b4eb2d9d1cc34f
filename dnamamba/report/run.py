"""What ``dnamamba fit`` left behind, opened again: the data, the model, the course of the run."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from dnamamba.api import Pretrained, load
from dnamamba.checkpoint.archive import read_archive
from dnamamba.data.samples.order import held_out_order
from dnamamba.yaml_text import read_yaml

if TYPE_CHECKING:
    from dnamamba.data.modules.genome import GenomeDataModule
    from dnamamba.data.modules.resumable import DataPart

__all__ = ["Run", "RunWindows", "open_run"]


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: where it is.
        data: its data module, set up from the settings that the run saved.
        pretrained: its model and tokenizer.
        weights: the file or folder that the model was read from.
        objective: what it was trained for, as its checkpoint says; None: checkpoints of before
            there were objectives do not.
        steps: optimiser steps of its last checkpoint.
        seconds: of training, resumes included; None where the checkpoint does not say.
        validated: the windows that each validation read.
    """

    folder: Path
    data: "GenomeDataModule"
    pretrained: Pretrained
    weights: Path
    objective: dict[str, Any] | None
    steps: int
    seconds: float | None
    validated: "RunWindows"

    @property
    def lengths(self) -> list[tuple[int, int]]:
        """First step and bases in a training window of each stage; empty where there is but one."""
        lengths = self.data.lengths
        return [(stage.step, stage.length) for stage in lengths.stages if lengths.varies]

    @property
    def bases_per_step(self) -> int:
        """Positions that an optimiser step sees."""
        return int(self.data.global_batch_size * self.data.length)


@dataclass(frozen=True)
class RunWindows:
    """The windows of one part of a run, each once, in the genome's order, from the plus strand.

    Attributes:
        data: where they come from.
        part: ``train``, ``validation`` or ``test``.
        most: at most so many, spread evenly; None for all.
        chosen: or these, by their numbers.
    """

    data: "GenomeDataModule"
    part: "DataPart"
    most: int | None = None
    chosen: tuple[int, ...] | None = None

    @property
    def numbers(self) -> list[int]:
        """Which windows of the part these are."""
        if self.chosen is not None:
            return sorted(self.chosen)
        n = len(self.data.windows(self.part).tiling)
        if self.most is None or n <= self.most:
            return list(range(n))
        middles: list[int] = ((np.arange(self.most) + 0.5) * n / self.most).astype(int).tolist()
        return middles

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[bytes]:
        genomes = list(self.data.genomes.values())
        for genome, contig, start, end in self.places():
            yield genomes[genome].fetch(contig, start, end)

    def places(self) -> Iterator[tuple[int, str, int, int]]:
        """Genome number, contig, start and end (0-based, half-open) of each."""
        wanted = set(self.numbers)
        for number, place in enumerate(self.data.plans.places(self.part)):
            if number in wanted:
                yield place


def open_run(folder: str | Path, device: str = "cpu") -> Run:
    """Open the folder of a run of ``dnamamba fit`` for pretraining.

    Args:
        folder: the run's ``run_dir``.
        device: where the model goes.

    Raises:
        ValueError: no run, or none of this kind; names what is missing.
    """
    # Lightning comes with the data module and takes seconds: not for --help.
    from dnamamba.data.modules.genome import GenomeDataModule

    folder = Path(folder)
    settings, trainer = _settings(folder / "config.yaml")
    last = folder / "checkpoints" / "last.ckpt"
    if not last.is_file():
        raise ValueError(f"{folder} has no {last.relative_to(folder)}; has the run saved one yet?")
    checkpoint = read_archive(last)
    try:
        steps, callbacks = int(checkpoint["global_step"]), checkpoint["callbacks"].items()
        seconds = [v["seconds"] for k, v in callbacks if k.startswith("RunSummary")]
        objective = checkpoint["hyper_parameters"].get("objective")
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{last} is no checkpoint of dnamamba fit: it lacks {error}") from error
    weights = folder / "model" if (folder / "model").is_dir() else last
    data = GenomeDataModule(**settings)
    data.setup()
    return Run(
        folder=folder,
        data=data,
        pretrained=load(weights, device),
        weights=weights,
        objective=objective,
        steps=steps,
        seconds=seconds[0] if seconds else None,
        validated=RunWindows(data, "validation", chosen=_validated(data, trainer)),
    )


def _validated(data: "GenomeDataModule", trainer: dict[str, Any]) -> tuple[int, ...]:
    """The windows that ``limit_val_batches`` leaves, of one device's batches or of several.

    Of lanes, which are cut elsewhere, all windows of the part.
    """
    n = len(data.windows("validation"))
    if data.carries_state:
        return tuple(range(n))
    batch = data.global_batch_size // (trainer.get("accumulate_grad_batches") or 1)
    limit, batches = trainer.get("limit_val_batches"), -(-n // batch)
    if isinstance(limit, float):
        batches = int(batches * limit)
    elif limit is not None:
        batches = min(batches, limit)
    return tuple(held_out_order(n, np.arange(min(n, batches * batch))).tolist())


def _settings(config: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments of the data module and of the trainer, as ``dnamamba fit`` saved them."""
    try:
        content = read_yaml(config)
    except FileNotFoundError as error:
        raise ValueError(
            f"there is no {config}; expected the run_dir of a run of dnamamba fit"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{config} is damaged, it is not YAML: {error}") from error
    data = content.get("data") if isinstance(content, dict) else None
    if not isinstance(data, dict) or "genomes" not in data:
        raise ValueError(
            f"{config} has no data.genomes: the report is for runs that pretrain on genomes"
        )
    return data, content.get("trainer") or {}
