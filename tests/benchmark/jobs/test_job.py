"""Jobs: what decides a row is in its key, and nothing else."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from benchmark_cases import FOUR, SIZES, task_of, write_part

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.benchmark.columns import COLUMNS, job_of
from dnamamba.benchmark.jobs.job import FIRST_SEED, Job
from dnamamba.benchmark.jobs.recipe import RATE, Recipe
from dnamamba.config import MambaConfig
from dnamamba.model import LanguageModel

RECIPE = Recipe.read()
TASK = task_of({"files": {part: f"{part}.csv" for part in SIZES}})
OTHER = replace(TASK, title="Another title", note="Another note.")


def model(folder: Path, seed: int, **sizes: int) -> str:
    torch.manual_seed(seed)
    config = MambaConfig(**{"d_model": 8, "n_layers": 1, "d_state": 4, **sizes})
    return str(checkpoint.save(folder, LanguageModel(config), Tokenizer(), overwrite=True))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for seed, (part, n) in enumerate(SIZES.items()):
        write_part(tmp_path / f"{part}.csv", n, seed)
    return tmp_path


@pytest.fixture
def key(root: Path, tmp_path: Path) -> Callable[..., str]:
    first = model(tmp_path / "first", 1)

    def made(column: str, model: str = first, recipe: Recipe = RECIPE, **more: int) -> str:
        typed = model if COLUMNS[column].per_model else None
        return job_of(TASK, column, root, recipe, typed, **more).key

    return made


def differing(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {column for column in COLUMNS if before[column] != after[column]}


def test_what_decides_a_row(key: Callable[..., str], root: Path, tmp_path: Path) -> None:
    keys = {column: key(column) for column in COLUMNS}
    assert len(set(keys.values())) == len(COLUMNS)
    assert keys == {column: key(column) for column in COLUMNS}

    alike = model(tmp_path / "copy", 1)
    assert not differing(keys, {column: key(column, alike) for column in COLUMNS})
    weights = model(tmp_path / "other", 2)
    others = differing(keys, {column: key(column, weights) for column in COLUMNS})
    assert others == {"frozen", "model", "zero_shot"}
    sizes = model(tmp_path / "larger", 1, n_layers=2)
    others = differing(keys, {column: key(column, sizes) for column in COLUMNS})
    assert others == COLUMNS.keys() - {"kmers"}

    recipe = RECIPE.changed({RATE: 1e-3})
    others = differing(keys, {column: key(column, recipe=recipe) for column in COLUMNS})
    assert others == {"scratch", "model"}
    others = differing(keys, {column: key(column, fold=1) for column in COLUMNS})
    assert others == COLUMNS.keys()
    for column in ("random", "scratch", "model"):
        assert key(column, seed=2) != keys[column]

    write_part(root / "test.csv", SIZES["test"], 9)
    assert differing(keys, {column: key(column) for column in COLUMNS}) == COLUMNS.keys()


def test_a_model_that_is_trained_anew_is_another(key: Callable[..., str], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    before = key("frozen", model(folder, 1))
    assert key("frozen", model(folder, 2)) != before


def test_what_is_only_said_decides_nothing(root: Path) -> None:
    one, two = (job_of(task, "kmers", root, RECIPE) for task in (TASK, OTHER))
    assert one == two
    assert hash(one) == hash(two)


def test_other_seeds_wait_for_the_first(root: Path, tmp_path: Path) -> None:
    typed = model(tmp_path / "first", 1)

    def make(column: str, seed: int, fold: int = 0) -> Job:
        return job_of(TASK, column, root, RECIPE, typed, seed, fold)

    for fold in (0, 1):
        first = make("model", FIRST_SEED, fold)
        assert make("model", FIRST_SEED + 1, fold).after == (first.key,)
    assert make("random", FIRST_SEED + 1).after == ()


def test_the_first_seed_waits_for_the_trials(root: Path, tmp_path: Path) -> None:
    typed = model(tmp_path / "first", 1)

    def make(recipe: Recipe, choice: int | None = None, fold: int = 0) -> Job:
        return job_of(TASK, "model", root, recipe, typed, fold=fold, choice=choice)

    tried = RECIPE.changed({"choices": FOUR})
    trials = [make(tried, choice, 1) for choice in range(len(tried.options()))]
    assert len({job.key for job in trials}) == len(trials) > 1
    assert make(tried, fold=1).after == tuple(job.key for job in trials)
    assert trials[1].after == ()
    assert trials[1].name == f"own/small, model, {typed}, seed 1, choice 2"
    assert make(RECIPE.changed({RATE: 1e-3, "choices": {}})).after == ()

    more = RECIPE.changed({"choices": {**FOUR, RATE: [1e-3, 2e-3, 4e-3]}})
    assert {*make(RECIPE).after} < {*make(tried).after} < {*make(more).after}  # tried once
    others = tried.changed({"trial": 0.5}), tried.changed({"epochs": 3})
    for recipe in others:
        assert not {*make(tried).after} & {*make(recipe).after}


def test_jobs_travel(root: Path, tmp_path: Path) -> None:
    job = job_of(TASK, "model", root, RECIPE, model(tmp_path / "first", 1), 2)
    job = replace(job, rows=({"chosen": {RATE: 1e-3}},))
    copy = pickle.loads(pickle.dumps(job))
    assert copy == job
    assert (copy.task, copy.root, copy.rows) == (job.task, job.root, job.rows)
    assert job.name == f"own/small, model, {job.model}, seed 2"
    folds = replace(TASK, folds=5)
    assert job_of(folds, "kmers", root, RECIPE).name == "own/small, kmers, seed 1, fold 0"
