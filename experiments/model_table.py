"""The models to be pretrained, and the runs that make them."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from places import CONFIGS

from dnamamba.benchmark.tasks.task import changed

__all__ = ["Model", "PretrainJob", "Work", "jobs_of", "read_models"]


@dataclass(frozen=True)
class Model:
    """How a model is made; see ``models.yaml``."""

    config: str
    seeds: list[int]
    set: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Of the configuration."""
        return CONFIGS / self.config

    def settings(self, changes: dict[str, Any] | None = None) -> dict[str, Any]:
        """The configuration with what the model sets otherwise, and then ``changes``."""
        return changed(yaml.safe_load(self.path.read_text()), {**self.set, **(changes or {})})


def read_models() -> dict[str, Model]:
    """All of ``models.yaml``."""
    content = yaml.safe_load(Path(__file__).with_name("models.yaml").read_text())
    return {name: Model(**model) for name, model in content.items()}


@dataclass(frozen=True)
class PretrainJob:
    """One run."""

    model: str
    seed: int

    @property
    def name(self) -> str:
        """Names the job and its row."""
        return f"pretrain.{self.model}.seed{self.seed}"


def jobs_of(models: dict[str, Model], names: Collection[str]) -> list[PretrainJob]:
    """A run a model and seed.

    Raises:
        ValueError: there is no such model.
    """
    if unknown := [name for name in names if name not in models]:
        raise ValueError(f"there is no model {', '.join(unknown)}; there are {', '.join(models)}")
    return [PretrainJob(name, seed) for name in names for seed in models[name].seeds]


@dataclass(frozen=True)
class Work:
    """The settings of all jobs.

    Attributes:
        models: what the jobs are of.
        data: the data folder; configurations name files relative to it.
        output: rows, models and runs go there.
        set: settings of every run, by dotted keys.
        until: seconds since the epoch at which a pretraining must be over: it ends early, for half
            of one is better than none.
    """

    models: dict[str, Model]
    data: Path
    output: Path
    set: dict[str, Any]
    until: float

    def folder(self, job: PretrainJob) -> Path:
        """Of the pretrained model that a job makes."""
        return self.output / "pretrained" / f"{job.model}-seed{job.seed}"
