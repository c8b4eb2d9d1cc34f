"""Jobs that train: ``dnamamba fit`` with a configuration as a user writes it."""

import csv
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dnamamba.cli import main
from jobs.inputs import MODEL, Inputs
from jobs.job import Job
from jobs.processes import JobError, seconds_of
from jobs.runs import step_clock, write_config

__all__ = ["FITS", "FirstStepFit", "Fit", "FitBeside", "small_model"]

WARM_UP = 20  # steps that do not count, of a run of many
_FEW = 0.2  # the share of the steps that a larger model takes
_RANDOM_BITS = 2.0  # a base, before anything is learnt


@dataclass(frozen=True)
class Fit(Job):
    """Steps of a run, from the end of the warm-up to the end of the last, the device idle at both.

    Attributes:
        data: the section of the configuration, and the module's, made of the inputs.
        share: of ``Sizes.steps``, how many are counted.
        bare: rows, length, d_model and layers of the bare model's run in the same process, of
            which the figure is a share; None for milliseconds a step.
    """

    data: Callable[[Inputs], dict[str, Any]]
    share: float = 1.0
    bare: tuple[int, int, int, int] | None = None

    def measure(self, inputs: Inputs) -> dict[str, Any]:
        run = inputs.output("run")
        config, times = self._configure(inputs, run)
        if self.bare is None:
            seconds_of("dnamamba", ["fit", "--config", str(config)])
            beside = None
        else:
            path = run.with_name("bare.json")
            _, steps = self._steps(inputs)
            rows, length, *sizes = self.bare
            words = [_rows(inputs, rows), _bases(inputs, length), *sizes, steps, inputs.device]
            seconds_of("jobs.beside", [str(config), str(path), *map(str, words)])
            beside = json.loads(path.read_text())["tokens_per_s"]
        clock = json.loads(times.read_text())
        checked = _check(run)
        figure = clock["mean_ms"]
        if self.bare is not None and beside is not None:
            tokens = int(words[0]) * int(words[1])
            clock |= {"tokens_per_s": 1e3 * tokens / figure, "bare_tokens_per_s": beside}
            figure = clock["tokens_per_s"] / beside
        return {"figure": figure, "first": None, "checked": checked, **clock}

    def in_process(self, inputs: Inputs) -> Callable[[], object]:
        def fit() -> None:
            config, _ = self._configure(inputs, inputs.output("run"))
            main(["fit", "--config", str(config)])

        return fit

    def _steps(self, inputs: Inputs) -> tuple[int, int]:
        """Steps that do not count, and those that do."""
        return max(3, round(WARM_UP * self.share)), max(4, round(inputs.sizes.steps * self.share))

    def _configure(self, inputs: Inputs, run: Path) -> tuple[Path, Path]:
        """The configuration, and where the run leaves its times."""
        times = run.with_name("times.json")
        warm_up, steps = self._steps(inputs)
        clock = step_clock(times, warm_up)
        return write_config(inputs, run, self.data(inputs), warm_up + steps, clock), times


@dataclass(frozen=True)
class FirstStepFit(Job):
    """From the command to the end of the optimiser's first step; the second of two runs counts."""

    data: Callable[[Inputs], dict[str, Any]]

    def measure(self, inputs: Inputs) -> dict[str, Any]:
        first, second = (self._once(inputs) for _ in range(2))
        return {"figure": second, "first": first, "checked": "-"}

    def in_process(self, inputs: Inputs) -> Callable[[], object]:
        raise SystemExit(f"{self.name} ends its process: see benchmarks/start.py for its imports")

    def _once(self, inputs: Inputs) -> float:
        callback = {"class_path": "step_callbacks.FirstStep"}
        config = write_config(inputs, inputs.output("run"), self.data(inputs), 1_000, callback)
        return seconds_of("dnamamba", ["fit", "--config", str(config)])


@dataclass(frozen=True)
class FitBeside(Job):
    """Bases a second of one run as a share of those of another, whose steps read as many."""

    data: Callable[[Inputs], dict[str, Any]]
    other: Callable[[Inputs], dict[str, Any]]

    def measure(self, inputs: Inputs) -> dict[str, Any]:
        other, this = (run.measure(inputs) for run in self._runs())
        figure = other["mean_ms"] / this["mean_ms"]
        return {**this, "figure": figure, "other_mean_ms": other["mean_ms"]}

    def in_process(self, inputs: Inputs) -> Callable[[], object]:
        return self._runs()[1].in_process(inputs)

    def _runs(self) -> tuple[Fit, Fit]:
        other, this = (
            Fit(self.name, self.title, "ms", None, self.today, data, _FEW)
            for data in (self.other, self.data)
        )
        return other, this


def small_model(inputs: Inputs) -> Path:
    """The folder of a fine-tuned model, of a few steps, made where it is missing."""
    run = inputs.folder / "fine-tuned"
    if not (run / "model" / "config.json").exists():
        config = write_config(inputs, run, _classification(128, inputs), 10)
        seconds_of("dnamamba", ["fit", "--config", str(config)])
    return run / "model"


def _classification(rows: int, inputs: Inputs) -> dict[str, Any]:
    """Two classes of 101 bases, as ``configs/results/gue.yaml`` has it."""
    n = inputs.sizes.labelled
    data = {
        "files": {
            "train": str(inputs.labelled("train", n, 21)),
            "validation": str(inputs.labelled("validation", n // 10, 22)),
        },
        "labels": {"classes": ["0", "1"]},
        "global_batch_size": _rows(inputs, rows),
        "reverse_complement": True,
    }
    module = {
        "pretrained": MODEL,
        "head": {"pooling": "mean", "dropout": 0.1, "both_strands": True},
        "optimizer": {"lr": 1e-3, "warmup_steps": 5, "min_lr_ratio": 0.01},
        "monitor": "mcc",
    }
    sequences = "dnamamba.data.modules.sequences.LabelledSequenceDataModule"
    classification = "dnamamba.training.finetune.ClassificationModule"
    return {
        "data": {"class_path": sequences, "init_args": data},
        "model": {"class_path": classification, "init_args": module},
    }


def _pretraining(
    rows: int, length: int, d: int, layers: int, inputs: Inputs, kind: str = "windows"
) -> dict[str, Any]:
    """A genome, as ``configs/pretrain.yaml`` has it; of short contigs where rows are packed."""
    return {
        "data": {
            "genomes": [str(inputs.scaffolds if kind == "packed" else inputs.genome)],
            "rows": kind,
            "length": _bases(inputs, length),
            "global_batch_size": _rows(inputs, rows),
            "split": {"validation": {"fraction": 0.1}},
        },
        "model": {
            "model": {"d_model": d, "n_layers": layers},
            "optimizer": {"lr": 4e-3, "warmup_steps": 5},
        },
    }


def _rows(inputs: Inputs, rows: int) -> int:
    return max(1, rows // inputs.sizes.shorter)


def _bases(inputs: Inputs, length: int) -> int:
    """Bases in a window; in a small genome no longer than it has many of."""
    return length if inputs.sizes.shorter == 1 else min(length // inputs.sizes.shorter, 2_048)


def _check(run: Path) -> str:
    """The last figure of the run's validation: finite, and better than by chance."""
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name, chance in (
        ("validation/bits_per_base", _RANDOM_BITS),
        ("validation/loss", math.log(2)),
    ):
        values = [float(row[name]) for row in rows if row.get(name)]
        if values:
            if not values[-1] < 1.1 * chance:
                raise JobError(f"{run}: {name} is {values[-1]:.3f}: nothing was learnt")
            return f"{name} {values[-1]:.3f}, by chance {chance:.3f}"
    raise JobError(f"{run}: metrics.csv holds no validation")


def _rows_of(kind: str, title: str, goal: float) -> FitBeside:
    """A kind of rows beside windows of their length."""
    data = partial(_pretraining, 16, 16_384, 256, 8)
    name, unit = f"fit-{kind}", "of the windows' speed"
    return FitBeside(name, title, unit, goal, "-", partial(data, kind=kind), data)


def _beside(rows: int, length: int, share: float, today: str) -> Fit:
    name = "1m" if length > 1_000_000 else f"{length // 1024}k"
    title = f"`fit`, d 256 x 8, {rows} x {length:,}"
    shape = rows, length, 256, 8
    data = partial(_pretraining, *shape)
    return Fit(f"fit-{name}", title, "of the bare model", 0.97, today, data, share, shape)


_SMALL = partial(_pretraining, 128, 1_024, 128, 4)

# fmt: off
FITS = (
    FirstStepFit("first-step", "from `dnamamba fit` to the first step", "s", 6, "15 to 25 s",
                 _SMALL),
    Fit("fit-gue-128", "`fit`, classification, 128 x 101", "ms", 5, "> 12 ms",
        partial(_classification, 128), 1.5),
    Fit("fit-gue-32", "`fit`, classification, 32 x 101", "ms", 5, "> 12 ms",
        partial(_classification, 32), 1.5),
    Fit("fit-small", "`fit`, pretraining 0.5 M, 128 x 1,024", "ms", 12, "37 ms", _SMALL),
    _beside(256, 1_024, _FEW, "0.88"),
    _beside(2, 131_072, _FEW, "0.86"),
    _beside(1, 1_048_576, 0.05, "-"),
    _rows_of("lanes", "`fit`, lanes of 16,384, d 256 x 8", 0.95),
    _rows_of("packed", "`fit`, scaffolds of 200 to 5,000 packed into 16,384", 0.97),
)
# fmt: on
