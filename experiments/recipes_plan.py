"""The recipes of recipes.yaml, and the runs that try them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from dnamamba.benchmark.columns import check_recipe, job_of
from dnamamba.benchmark.jobs.job import Job
from dnamamba.benchmark.jobs.names import short_names
from dnamamba.benchmark.jobs.recipe import Recipe
from dnamamba.benchmark.tasks.catalogue import tasks_for
from dnamamba.benchmark.tasks.sources import root_of
from dnamamba.benchmark.tasks.task import Task

__all__ = [
    "COLUMNS",
    "PRETRAINED",
    "SCRATCH",
    "Run",
    "read_file",
    "read_recipes",
    "runs_of",
    "without_test",
]

FILE = Path(__file__).with_name("recipes.yaml")
PRETRAINED, SCRATCH = "pretrained", "scratch"
COLUMNS = {PRETRAINED: "model", SCRATCH: "scratch"}  # start -> column of the benchmark
UNCHANGED = {"choices": {}, "trial": 1.0}  # a recipe here is one run, and a whole one


@dataclass(frozen=True)
class Run:
    """One recipe, tried by one seed.

    Attributes:
        title: the recipe's name.
        recipe: itself.
        model: the model's short name.
        start: ``pretrained`` or ``scratch``.
        job: what the benchmark would call it; its key names all that decides the row.
    """

    title: str
    recipe: Recipe
    model: str
    start: str
    job: Job

    @property
    def name(self) -> str:
        """Names the run and the file of its row."""
        parts = self.title, self.job.task.key, self.model, self.start, f"seed{self.job.seed}"
        return "-".join(re.sub(r"[^\w.]+", "_", part) for part in parts)


def read_file(path: Path = FILE) -> dict[str, Any]:
    """All of recipes.yaml."""
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return content


def read_recipes(
    content: Mapping[str, Any], changes: Mapping[str, Any] | None = None
) -> dict[str, Recipe]:
    """Name -> recipe, in their order.

    Args:
        content: see ``read_file``.
        changes: of every recipe.

    Raises:
        ValueError: an unknown key, or a value out of range.
    """
    own = Recipe.read(None, UNCHANGED)
    base = own.changed(content["base"])
    begun = [(base, content["recipes"]), (own, content["own"])]
    return {
        name: begin.changed(said).changed({**(changes or {}), **UNCHANGED})
        for begin, section in begun
        for name, said in section.items()
    }


def without_test(task: Task) -> Task:
    """The task as if there were no test part: nothing that reads it can be run.

    Raises:
        ValueError: its test part is no file of its own.
    """
    data = deepcopy(task.data)
    files = data["init_args"]["files"]
    if not {"validation", "test"} <= files.keys():
        raise ValueError(f"{task.key}: recipes are tried on tasks whose parts are files")
    del files["test"]
    return replace(task, data=data)


def runs_of(
    recipes: Mapping[str, Recipe],
    words: Sequence[str],
    models: Sequence[str],
    seeds: Iterable[int],
    data: Path | None,
    starts: Sequence[str] = tuple(COLUMNS),
) -> Iterator[Run]:
    """Recipe times task times model times start, seed by seed.

    Args:
        recipes: name -> recipe.
        words: names of tasks.
        models: as the user typed them.
        seeds: numbers.
        data: folder of the tasks' files; None: the cache.
        starts: ``pretrained``, ``scratch``.

    Raises:
        ValueError: an unknown task, a model that cannot be read, or a setting that no module has.
        FileNotFoundError: files are not at hand.
    """
    tasks = [without_test(task) for task in tasks_for(words)]
    roots = [root_of(task, data) for task in tasks]
    names = short_names(models)
    for recipe in recipes.values():
        check_recipe(recipe, tasks[0])
    for seed in seeds:
        for title, recipe in recipes.items():
            for task, root in zip(tasks, roots, strict=True):
                for model in models:
                    for start in starts:
                        job = job_of(task, COLUMNS[start], root, recipe, model, seed)
                        yield Run(title, recipe, names[model], start, job)
