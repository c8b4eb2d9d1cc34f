"""What has to be run for the table, and in which order: a function of the rows that exist.

A row is what one job leaves behind, by the job's name. Whatever has a row is never run again, so
that a stopped script goes on where it was.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

__all__ = [
    "FROM_SCRATCH",
    "PRETRAINED",
    "ROOT",
    "TABLE",
    "Job",
    "Size",
    "Table",
    "Task",
    "chosen_rate",
]

Rows = Mapping[str, Mapping[str, Any]]

PRETRAINED, FROM_SCRATCH = STARTS = "pretrained", "scratch"
ROOT = Path(__file__).parents[1]
ZERO_SHOT = "brca1"  # the task whose variants are scored without training, too
TABLE = Path(__file__).with_name("table.yaml")


@dataclass(frozen=True)
class Size:
    """A size of the model; see ``table.yaml``."""

    model: dict[str, int]
    pretrain_lr: float
    lr_scale: float
    seeds: list[int]
    bases_per_second: float


@dataclass(frozen=True)
class Task:
    """A task to fine-tune for; see ``table.yaml``."""

    title: str
    config: str
    metric: str
    bases: int
    folds: int = 1
    sizes: list[str] | None = None
    set: dict[str, Any] = field(default_factory=dict)
    test: dict[str, Any] = field(default_factory=dict)

    def settings(self, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The configuration, with what the table sets otherwise and then ``changes``."""
        return changed(configuration(self.config), {**self.set, **(changes or {})})

    def fold(self, number: int) -> dict[str, Any]:
        """What a fold of a cross-validation sets."""
        return {"data.init_args.split.fold": number} if self.folds > 1 else {}


@dataclass(frozen=True)
class Job:
    """One run. ``rate`` is the small model's learning rate; ``task`` is empty in pretraining."""

    kind: str
    size: str
    seed: int
    task: str = ""
    start: str = ""
    rate: float = 0.0
    fold: int = 0

    @property
    def name(self) -> str:
        """Names the job and its row."""
        parts = [self.kind, self.task, self.size, self.start, f"seed{self.seed}"]
        if self.kind == "finetune":
            parts += [f"fold{self.fold}", f"lr{self.rate:g}"]
        return ".".join(filter(None, parts))


@dataclass(frozen=True)
class Table:
    """All of ``table.yaml``."""

    sizes: dict[str, Size]
    tasks: dict[str, Task]
    learning_rates: list[float]

    @classmethod
    def read(cls, path: Path = TABLE) -> "Table":
        """Read the file."""
        content = yaml.safe_load(path.read_text())
        return cls(
            {name: Size(**size) for name, size in content["sizes"].items()},
            {name: Task(**task) for name, task in content["tasks"].items()},
            content["learning_rates"],
        )

    def of(self, names: Collection[str]) -> "Table":
        """With these tasks alone.

        Raises:
            ValueError: there is no such task.
        """
        if unknown := set(names) - self.tasks.keys():
            raise ValueError(f"there is no task {', '.join(unknown)}; there are {[*self.tasks]}")
        return replace(self, tasks={name: self.tasks[name] for name in names})

    def pretraining(self) -> list[Job]:
        """A run a size and seed, the longest first."""
        return [
            Job("pretrain", name, seed)
            for name, size in reversed(self.sizes.items())
            for seed in size.seeds
        ]

    def missing(self, rows: Rows) -> list[Job]:
        """Fine-tuning and zero-shot scores that can be run now and have no row."""
        zero_shot = [
            Job("zero_shot", job.size, job.seed, ZERO_SHOT)
            for job in self.pretraining()
            if ZERO_SHOT in self.tasks
        ]
        jobs = [*self._choosing(), *zero_shot, *self._chosen(rows)]
        return [job for job in dict.fromkeys(jobs) if job.name not in rows]

    def _choosing(self) -> Iterator[Job]:
        """The runs by which the learning rates are chosen."""
        size = next(iter(self.sizes))
        seed = self.sizes[size].seeds[0]
        for task in self._longest_first():
            for start in STARTS:
                for rate in self.learning_rates:
                    yield Job("finetune", size, seed, task, start, rate)

    def _chosen(self, rows: Rows, otherwise: float | None = None) -> Iterator[Job]:
        """All runs, of the tasks whose learning rate is known; folds take the seeds in turn."""
        for task in self._longest_first():
            for start in STARTS:
                rate = chosen_rate(self, rows, task, start) or otherwise
                if rate is None:
                    continue
                for name, size in reversed(self.sizes.items()):
                    if name not in (self.tasks[task].sizes or self.sizes):
                        continue
                    folds = self.tasks[task].folds
                    for number in range(max(folds, len(size.seeds))):
                        seed = size.seeds[number % len(size.seeds)]
                        yield Job("finetune", name, seed, task, start, rate, number % folds)

    def _longest_first(self) -> list[str]:
        return sorted(self.tasks, key=lambda name: -bases(self.tasks[name]))

    def estimate(self, rows: Rows) -> tuple[int, float]:
        """Fine-tuning runs still to do, and seconds that they take one after the other.

        Validation and test count half of the training; whichever learning rate is chosen, one of
        the runs that tried it is in the table.
        """
        runs, seconds = 0, 0.0
        rate = self.learning_rates[0]
        for job in dict.fromkeys([*self._choosing(), *self._chosen(rows, rate)]):
            if job.name not in rows:
                runs += 1
                seconds += 1.5 * bases(self.tasks[job.task]) / self.sizes[job.size].bases_per_second
        return runs, seconds


def chosen_rate(table: Table, rows: Rows, task: str, start: str) -> float | None:
    """The learning rate with the best metric on the validation part; None: not all are tried."""
    size = next(iter(table.sizes))
    seed = table.sizes[size].seeds[0]
    tried = {
        rate: rows.get(Job("finetune", size, seed, task, start, rate).name)
        for rate in table.learning_rates
    }
    metrics = {rate: row["validation"] for rate, row in tried.items() if row}
    return max(metrics, key=lambda r: metrics[r]) if len(metrics) == len(tried) else None


def bases(task: Task) -> int:
    """Bases read in training."""
    settings = task.settings()
    batch: int = settings["data"]["init_args"]["global_batch_size"]
    return batch * task.bases * int(settings["trainer"]["max_steps"])


def configuration(name: str) -> dict[str, Any]:
    """A file of ``configs/results``."""
    content: dict[str, Any] = yaml.safe_load((ROOT / "configs" / "results" / name).read_text())
    return content


def changed(settings: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Set dotted keys, in place."""
    for key, value in changes.items():
        *sections, last = key.split(".")
        section = settings
        for name in sections:
            section = section.setdefault(name, {})
        section[last] = value
    return settings
