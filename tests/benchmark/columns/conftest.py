"""Small tasks and small models."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmark_cases import FOUR, SIZES, task_of, write_part

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.benchmark.columns import job_of
from dnamamba.benchmark.jobs.job import Job
from dnamamba.benchmark.jobs.recipe import Recipe
from dnamamba.benchmark.jobs.work import Work
from dnamamba.benchmark.tasks.task import Task
from dnamamba.config import BiMambaConfig
from dnamamba.model import LanguageModel


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the three parts of a task."""
    folder = tmp_path / "data"
    folder.mkdir()
    for seed, (part, n) in enumerate(SIZES.items()):
        write_part(folder / f"{part}.csv", n, seed)
    return folder


@pytest.fixture
def task() -> Task:
    files = {part: f"{part}.csv" for part in SIZES}
    return task_of({"files": files})


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models: ``one`` and ``two``, of one configuration."""
    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(["one", "two"]):
        torch.manual_seed(seed)
        model = LanguageModel(BiMambaConfig(d_model=16, n_layers=1, d_state=4))
        checkpoint.save(folder / name, model, Tokenizer())
    return folder


@pytest.fixture
def work(tmp_path: Path) -> Work:
    changes = {"steps.least": 8, "steps.most": 8, "validations": 4, "trial": 1, "choices": FOUR}
    return Work(Recipe.read(changes=changes), "cpu", tmp_path / "out", tmp_path / "cache")


@pytest.fixture
def job(task: Task, root: Path, models: Path, work: Work) -> Callable[..., Job]:
    """Makes a job of the task in a column; ``model`` is a name in ``models``."""

    def make(column: str, model: str | None = None, **more: Any) -> Job:
        typed = None if model is None else str(models / model)
        return job_of(more.pop("task", task), column, root, work.recipe, typed, **more)

    return make
