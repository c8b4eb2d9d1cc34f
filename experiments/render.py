"""docs/results.md and its chart, from the rows in ``results/`` and the text of ``remarks.md``."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import context_render
import kept
import models_page
import recipes_page
from chart import Column, chart
from matplotlib.figure import Figure
from rows import RESULTS, matching
from table import SIZES, STARTS, chosen_rate, read_tasks
from tabular import NAMES, markdown, mean

__all__ = ["drawing", "page", "species"]

Row = dict[str, Any]

TASKS = read_tasks()

SECOND = {"mcc": "accuracy", "accuracy": "macro_f1", "auroc": "auprc"}


def page(folder: Path = RESULTS) -> str:
    """The whole page."""
    rows = _read(folder)
    remarks = Path(__file__).with_name("remarks.md").read_text()
    parts = {
        "PERPLEXITY": _perplexity(rows),
        "TASKS": _tasks(rows),
        "BASELINES": _baselines(rows),
        "CHOICES": _choices(rows),
        "MACHINES": _machines(rows),
    }
    for name, text in parts.items():
        remarks = remarks.replace(f"<!-- {name} -->", text)
    sections = {
        "MODELS": models_page.section(folder),
        "RECIPES": recipes_page.section(folder),
        "CONTEXT": context_render.section(folder),
        "GUE": kept.section("gue", folder),
        "BRCA1": kept.section("brca1", folder),
    }
    for name, text in sections.items():
        remarks = remarks.replace(f"<!-- {name} -->\n\n", f"{text}\n\n" if text else "")
    return remarks


def drawing(folder: Path = RESULTS) -> Figure:
    """The chart of the tasks."""
    columns = _columns(_read(folder))
    titled = {
        name: {f"{task.title} ({NAMES[task.metric]})": column[key] for key, task in TASKS.items()}
        for name, column in columns.items()
    }
    return chart(titled)


def _read(folder: Path) -> dict[str, Row]:
    rows: dict[str, Row] = json.loads((folder / "rows.json").read_text())
    return rows


def _perplexity(rows: dict[str, Row]) -> str:
    lines = []
    genomes: list[str] = []
    for size in SIZES:
        runs = matching(rows.values(), kind="pretrain", size=size)
        if not runs:
            continue
        genomes = [name for name in runs[0]["figures"] if name != "perplexity"]
        cells = [mean(row["figures"][name] for row in runs) for name in ("perplexity", *genomes)]
        read = mean((row["tokens"] / 1e6 for row in runs), 0)
        speed = mean(((row["bases_per_second"] or 0) / 1e6 for row in runs), 1)
        about = [f"{runs[0]['parameters']:,}", str(len(runs)), f"{read} Mb", speed]
        lines.append([*about, *cells])
    head = ["parameters", "seeds", "read", "Mb/s", "all", *(species(name) for name in genomes)]
    return markdown(head, lines)


def species(name: str) -> str:
    return name.removeprefix("perplexity ").partition(".")[0]


def _tasks(rows: dict[str, Row]) -> str:
    columns = _columns(rows)
    lines = [
        [task.title, NAMES[task.metric], *(mean(column[name]) for column in columns.values())]
        for name, task in TASKS.items()
    ]
    return markdown(["task", "figure", *columns], lines)


def _columns(rows: dict[str, Row]) -> dict[str, Column]:
    """Heading of a column -> the metric of each task, run by run."""

    def values(name: str, **wanted: Any) -> list[float]:
        metric = TASKS[name].metric
        return [row["figures"][metric] for row in matching(rows.values(), task=name, **wanted)]

    columns = {"k-mers": {name: values(name, kind="kmers") for name in TASKS}}
    for size in SIZES:
        for start in STARTS:
            columns[f"{_millions(rows, size)} {start}"] = {
                name: values(
                    name, kind="finetune", size=size, start=start,
                    rate=chosen_rate(rows, name, start),
                )
                for name in TASKS
            }  # fmt: skip
    return columns


def _baselines(rows: dict[str, Row]) -> str:
    lines = []
    for name, task in TASKS.items():
        runs = matching(rows.values(), kind="kmers", task=name)
        if runs:
            samples = runs[0]["samples"]
            chosen = Counter(f"{row['k']}, {row['C']:g}" for row in runs)
            lines.append(
                [
                    task.title,
                    " / ".join(f"{samples[part]:,}" for part in ("train", "validation", "test")),
                    "; ".join(chosen),
                    mean(row["validation"] for row in runs),
                    *(
                        f"{NAMES[metric]} {mean(row['figures'][metric] for row in runs)}"
                        for metric in (task.metric, SECOND[task.metric])
                    ),
                ]
            )
    head = ["task", "train / validation / test", "k, C", "validation", "test", "another figure"]
    return markdown(head, lines)


def _choices(rows: dict[str, Row]) -> str:
    lines = []
    for name, task in TASKS.items():
        rates = [chosen_rate(rows, name, start) for start in STARTS]
        steps = {row["steps"] for row in matching(rows.values(), kind="finetune", task=name)}
        cells = [f"{rate:g}" if rate else "-" for rate in rates]
        lines.append(
            [task.title, ", ".join(map(str, sorted(steps))) or "-", str(task.batch), *cells]
        )
    head = ["task", "steps", "batch", "learning rate, pretrained", "from scratch"]
    return markdown(head, lines)


def _machines(rows: dict[str, Row]) -> str:
    counted = Counter(
        (row["kind"], json.dumps(row["machine"], sort_keys=True)) for row in rows.values()
    )
    lines = []
    for (kind, text), count in sorted(counted.items()):
        machine = json.loads(text)
        where = machine.pop("device")
        versions = ", ".join(f"{name} {value}" for name, value in machine.items())
        lines.append([kind.replace("_", " "), str(count), where, versions])
    return markdown(["runs of", "number", "on", "versions"], lines)


def _millions(rows: dict[str, Row], size: str) -> str:
    runs = matching(rows.values(), kind="pretrain", size=size)
    return f"{runs[0]['parameters'] / 1e6:.1f} M" if runs else size
