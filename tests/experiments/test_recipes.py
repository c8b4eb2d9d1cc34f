"""The recipes that are tried: what each says, a run of one at toy size, the tables and curves."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.benchmark.columns import check_recipe
from dnamamba.benchmark.jobs.recipe import Recipe
from dnamamba.benchmark.tasks.catalogue import tasks_for
from dnamamba.config import MambaConfig
from dnamamba.model import LanguageModel

Script = Callable[[str], ModuleType]

QUICK = {"epochs": 1, "steps.least": 2, "batch": {1: 8}, "validations": 2}


@pytest.fixture
def plan(script: Script) -> Any:
    return script("recipes_plan")


def test_each_recipe_is_one_whole_run_that_modules_take(plan: Any) -> None:
    content = plan.read_file()
    recipes = plan.read_recipes(content)
    assert len(recipes) == len(content["recipes"]) + len(content["own"]) == 34
    (task,) = tasks_for(["gue/tf/2"])
    for recipe in recipes.values():
        assert recipe.options() == [{}]
        assert recipe.trial == 1
        check_recipe(recipe, task)
    assert set(content["drawn"]) <= recipes.keys()
    assert len({recipe.digest for recipe in recipes.values()}) == len(recipes)


def test_a_recipe_changes_the_base_by_what_it_says(plan: Any) -> None:
    recipes = plan.read_recipes(plan.read_file())
    base = recipes["base"]
    assert base.settings["model.init_args.optimizer.lr"] == 2e-3
    assert base.settings["model.init_args.hide"] == 0
    assert base.plan(2560) == (32, 800, 80, 40), "ten epochs, whatever the steps"
    assert recipes["3 epochs"].plan(2560).steps == 240
    assert recipes["20 epochs"].plan(47_360).steps == 7400
    assert recipes["batch 256"].plan(2560)[:2] == (256, 100)
    decay = recipes["decay 0.5"].settings
    assert {key for key in decay if decay[key] != base.settings[key]} == {
        "model.init_args.optimizer.weight_decay"
    }
    own, package = recipes["package, one strand"], Recipe.read()
    assert own.settings["model.init_args.head.both_strands"] is False
    assert own.settings.items() >= package.settings.items()
    assert own.plan(2560) == package.plan(2560)
    assert plan.read_recipes(plan.read_file(), {"epochs": 1})["base"].epochs == 1


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    """A model, and a task of GUE in small: no file of its test part anywhere."""
    monkeypatch.setenv("DNAMAMBA_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "data" / "GUE" / "tf" / "2"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for part, n in (("train", 48), ("dev", 24)):
        rows = ["".join(random.choice(list("AT" if i % 2 else "GC"), 30)) for i in range(n)]
        text = "".join(f"{bases},{i % 2}\n" for i, bases in enumerate(rows))
        (folder / f"{part}.csv").write_text(f"sequence,label\n{text}")
    model = LanguageModel(MambaConfig(d_model=8, n_layers=1, d_state=2))
    checkpoint.save(tmp_path / "tiny", model, Tokenizer())
    return argparse.Namespace(
        data=tmp_path / "data", output=tmp_path / "out", models=[str(tmp_path / "tiny")],
        tasks=["gue/tf/2"], recipes=["base", "package, one strand"], seeds=[1], device="cpu",
        starts=["pretrained", "scratch"], set=[*QUICK.items()], workers=1, seconds=600.0, pack=None,
    )  # fmt: skip


def test_runs_are_done_once_and_read_no_test_part(
    script: Script, asked: argparse.Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes, rows = script("recipes"), script("rows")
    kept = script("recipes_plan").read_file()
    monkeypatch.setattr(recipes, "read_file", lambda: {**kept, "models": ["no such model"]})
    counts = []

    def here(arguments: argparse.Namespace, missing: Any, work: Any) -> int:
        counts.append(len(missing()))
        for run in list(missing()):
            work(run)
        return len(missing())

    monkeypatch.setattr(recipes, "do_missing", here)
    assert recipes.run(asked) == 0
    done = rows.read_rows(asked.output)
    assert {(row["recipe"], row["start"]) for row in done.values()} == {
        (recipe, start) for recipe in asked.recipes for start in ("pretrained", "scratch")
    }
    for row in done.values():
        assert row["samples"] == {"train": 48, "validation": 24}
        assert [step for step, _ in row["curve"]] == [3, 6]
        assert row["validation"] == max(value for _, value in row["curve"])
        assert (row["metric"], row["model"], row["seed"]) == ("mcc", "tiny", 1)
    assert recipes.run(asked) == 0
    asked.set = [*QUICK.items(), ("epochs", 2)]
    assert recipes.run(asked) == 0
    assert counts == [4, 0, 4]
    again = rows.read_rows(asked.output)
    assert again.keys() == done.keys(), "rows of another recipe take their place"
    assert {row["steps"] for row in again.values()} == {12}
    asked.recipes = ["bases"]
    with pytest.raises(ValueError, match="no recipe 'bases'"):
        recipes.run(asked)


def test_a_run_that_diverges_leaves_a_row(
    plan: Any, script: Script, asked: argparse.Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    module: Any = script("recipes_run")

    def diverge(*rest: Any) -> None:
        raise module.NonFiniteError("the loss is nan")

    monkeypatch.setattr(module, "trained", diverge)
    recipes = plan.read_recipes(plan.read_file(), QUICK)
    some = {"base": recipes["base"]}
    run, *_ = plan.runs_of(some, asked.tasks, asked.models, [1], asked.data)
    work = script("recipes").Work(run.recipe, "cpu", asked.output, asked.output)
    module.do_run(work, run)
    row = script("rows").read_row(asked.output, run.name)
    assert (row["validation"], row["failed"], row["curve"]) == (None, "the loss is nan", [])
    assert row["key"] == run.job.key


def test_an_error_is_a_sentence(
    script: Script, asked: argparse.Namespace, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(
        sys, "argv", ["recipes.py", "run", "--data", "nowhere", "--output", str(asked.output)]
    )
    with pytest.raises(SystemExit) as ended:
        script("recipes").main()
    assert ended.value.code == 2
    assert "nowhere is no folder" in capsys.readouterr().err


def row(recipe: str, task: str, start: str, seed: int, value: float | None) -> dict[str, Any]:
    curve = [] if value is None else [[100, value - 0.1], [200, value]]
    return {
        "recipe": recipe, "task": task, "title": "a task", "metric": "mcc", "model": "tiny",
        "start": start, "seed": seed, "validation": value, "best_step": 200, "steps": 200,
        "batch": 32, "samples": {"train": 320, "validation": 10}, "curve": curve,
        "machine": {"device": "a card", "torch": "1", "date": "today"},
    }  # fmt: skip


def test_tables_and_curves_are_of_the_rows(script: Script, tmp_path: Path) -> None:
    page: Any = script("recipes_page")
    assert page.section(tmp_path) == ""
    assert page.pictures(tmp_path) == {}
    rows = [
        *(row("base", "gue/tf/2", "pretrained", seed, 0.5 + seed / 10) for seed in (1, 2)),
        *(row("base", "gue/mouse/0", "pretrained", seed, 0.3) for seed in (1, 2)),
        row("20 epochs", "gue/tf/2", "pretrained", 1, 0.75),
        row("20 epochs", "gue/mouse/0", "pretrained", 1, None),
        row("base", "gue/tf/2", "scratch", 1, 0.25),
        row("forgotten", "gue/tf/2", "scratch", 1, 0.99),
    ]
    (tmp_path / "recipes.json").write_text(json.dumps(dict(enumerate(rows))))
    text = page.section(tmp_path)
    assert "| recipe | tf/2 | mouse/0 | mean of 2 | seeds |" in text
    assert "| base | 0.650 ± 0.071 (200) | 0.300 ± 0.000 (200) | 0.475 ± 0.035 | 2 |" in text
    assert "| 20 epochs | 0.750 (200) | failed | - | 1 |" in text
    assert "`tiny`, pretrained:" in text
    assert "the same from scratch:\n\n| recipe | tf/2 | mean of 1 | seeds |" in text
    assert "| base | 0.250 (200) | 0.250 | 1 |" in text
    assert "`weight_decay` 0.1" in text
    assert "`average` 0.0" in text
    assert "0.99" not in text
    assert "$" not in text
    figures = page.pictures(tmp_path)
    assert [*figures] == ["recipes.png"]
    assert "](recipes.png)" in text
    first, second, *_ = figures["recipes.png"].axes
    assert first.get_title() == "a task"
    assert first.get_xlabel() == "epochs"
    assert second.get_ylabel() == "MCC, validation part"
    drawn = first.get_lines()[0]
    assert drawn.get_xdata().tolist() == [10, 20]
    assert drawn.get_ydata().tolist() == pytest.approx([0.55, 0.65])
    figures["recipes.png"].canvas.draw()
