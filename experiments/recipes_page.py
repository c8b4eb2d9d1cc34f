"""Which recipe: the tables and the learning curves, made of the rows."""

import json
import re
import statistics
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template
from typing import Any

from matplotlib.figure import Figure
from recipes_chart import Line, Panel, curves_chart
from recipes_plan import FILE, PRETRAINED, SCRATCH, read_file
from rows import RESULTS, machine_of, matching
from tabular import NAMES, markdown, mean, number

from dnamamba.benchmark.jobs.recipe import Recipe

__all__ = ["pictures", "section"]

Row = dict[str, Any]

TEXT = Path(__file__).with_name("recipes.md")
STARTS = {PRETRAINED: "{model}, pretrained", SCRATCH: "the same from scratch"}


def section(folder: Path = RESULTS) -> str:
    """The section; empty without rows."""
    rows = _read(folder)
    if not rows:
        return ""
    models = _distinct(rows, "model")
    tables = [
        f"{title.format(model=f'`{model}`')}:\n\n{_table(some)}"
        for model in models
        for start, title in STARTS.items()
        if (some := matching(rows, model=model, start=start))
    ]
    return (
        Template(TEXT.read_text())
        .substitute(
            recipes=len(_distinct(rows, "recipe")),
            package=_package(),
            base=_base() if any(row["recipe"] == "base" for row in rows) else "",
            metric=NAMES.get(rows[0]["metric"], rows[0]["metric"]),
            seeds=number(len(_distinct(rows, "seed")), "seed"),
            tables="\n\n".join(tables),
            pictures="\n\n".join(
                f"![learning curves of {model}]({_picture(i, model)})"
                for i, model in enumerate(models)
            ),
            machine=machine_of(rows[0]),
        )
        .strip()
    )


def _package() -> str:
    """The benchmark's own recipe, but for what it tries."""
    own = Recipe.read()
    settings = textwrap.fill(", ".join(_said({"epochs": own.epochs, **own.settings})), 100)
    return f"{settings}; {own.steps['least']:,} to {own.steps['most']:,} steps"


def _base() -> str:
    """What those begin with whose names do not begin with the package's."""
    settings = textwrap.fill(", ".join(_said(read_file()["base"])), 100)
    return f"What the other recipes begin with, *base*:\n\n{settings}.\n\n"


def pictures(folder: Path = RESULTS) -> dict[str, Figure]:
    """Name of a picture in docs/ -> it."""
    rows = _read(folder)
    return {
        _picture(i, model): curves_chart(model, [*_panels(matching(rows, model=model))])
        for i, model in enumerate(_distinct(rows, "model"))
    }


def _read(folder: Path) -> list[Row]:
    """The rows of recipes that there are, in the order of recipes.yaml, and of its tasks."""
    path, content = folder / "recipes.json", read_file(FILE)
    if not path.is_file():
        return []
    recipes, tasks = [*content["recipes"], *content["own"]], content["tasks"]
    rows = [row for row in json.loads(path.read_text()).values() if row["recipe"] in recipes]

    def order(row: Row) -> tuple[int, int, str, str, int]:
        known = row["task"] in tasks
        task = tasks.index(row["task"]) if known else len(tasks)
        return recipes.index(row["recipe"]), task, row["task"], row["model"], row["seed"]

    return sorted(rows, key=order)


def _table(rows: list[Row]) -> str:
    tasks = _distinct(rows, "task")
    lines = []
    for recipe in _distinct(rows, "recipe"):
        own = matching(rows, recipe=recipe)
        cells = [_cell(matching(own, task=task)) for task in tasks]
        whole = _means(own, tasks)
        lines.append([recipe, *cells, mean(whole), str(len(_distinct(own, "seed")))])
    head = [task.partition("/")[2] for task in tasks]
    return markdown(["recipe", *head, f"mean of {len(tasks)}", "seeds"], lines)


def _cell(runs: list[Row]) -> str:
    """Figure and step; what ended without any failed."""
    known = [row for row in runs if row["validation"] is not None]
    if not known:
        return "failed" if runs else "-"
    step = statistics.fmean(row["best_step"] for row in known)
    return f"{mean(row['validation'] for row in known)} ({step:,.0f})"


def _means(rows: list[Row], tasks: list[str]) -> list[float]:
    """Over all tasks, of each seed that has them all."""
    means = []
    for seed in _distinct(rows, "seed"):
        values = [row["validation"] for row in matching(rows, seed=seed)]
        known = [value for value in values if value is not None]
        if len(known) == len(tasks):
            means.append(statistics.fmean(known))
    return means


def _panels(rows: list[Row]) -> Iterator[Panel]:
    """A panel a task, with the lines of the recipes that are drawn."""
    drawn = read_file()["drawn"]
    for task in _distinct(rows, "task"):
        own = matching(rows, task=task)
        lines = [
            Line(recipe, start, *_curve(runs))
            for recipe in drawn
            for start in STARTS
            if (runs := [r for r in matching(own, recipe=recipe, start=start) if r["curve"]])
        ]
        metric = own[0]["metric"]
        yield Panel(own[0]["title"], NAMES.get(metric, metric), lines)


def _curve(runs: list[Row]) -> tuple[list[float], list[float]]:
    """Epochs, and the mean over the seeds."""
    first = runs[0]
    epoch = first["samples"]["train"] / first["batch"]
    points = [*zip(*(run["curve"] for run in runs), strict=False)]
    values = [[value for _, value in point if value is not None] for point in points]
    epochs = [point[0][0] / epoch for point in points]
    known = [(x, statistics.fmean(y)) for x, y in zip(epochs, values, strict=True) if y]
    return [x for x, _ in known], [y for _, y in known]


def _said(changes: Mapping[str, Any]) -> Iterator[str]:
    """The settings of the base, but for what the text says itself."""
    for key, value in changes.items():
        if key not in ("steps", "batch", "width", "validations"):
            shown = str(value).lower() if isinstance(value, bool) else f"{value}"
            yield f"`{key.rpartition('.')[2]}` {shown}"


def _distinct(rows: list[Row], key: str) -> list[Any]:
    return list(dict.fromkeys(row[key] for row in rows))


def _picture(number: int, model: str) -> str:
    slug = re.sub(r"[^\w.]+", "_", model)
    return f"recipes-{slug}.png" if number else "recipes.png"
