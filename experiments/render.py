"""docs/results.md and its chart, from the rows in ``results/`` and the text of ``remarks.md``."""

import json
import statistics
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from chart import Column, chart
from context_render import section
from matplotlib.figure import Figure
from plan import STARTS, Table, chosen_rate
from rows import RESULTS, matching
from tabular import markdown

__all__ = ["drawing", "page", "species"]

Row = dict[str, Any]

NAMES = {
    "mcc": "MCC", "accuracy": "accuracy", "macro_f1": "macro F1", "auroc": "AUROC", "auprc": "AUPRC"
}  # fmt: skip
SECOND = {"mcc": "accuracy", "accuracy": "macro_f1", "auroc": "auprc"}


def page(table: Table, folder: Path = RESULTS) -> str:
    """The whole page."""
    rows = _read(folder)
    remarks = Path(__file__).with_name("remarks.md").read_text()
    parts = {
        "PERPLEXITY": _perplexity(table, rows),
        "TASKS": _tasks(table, rows),
        "ZERO_SHOT": _zero_shot(table, rows),
        "BASELINES": _baselines(table, rows),
        "CHOICES": _choices(table, rows),
        "MACHINES": _machines(rows),
    }
    for name, text in parts.items():
        remarks = remarks.replace(f"<!-- {name} -->", text)
    context = section(folder)
    return remarks.replace("<!-- CONTEXT -->\n\n", f"{context}\n\n" if context else "")


def drawing(table: Table, folder: Path = RESULTS) -> Figure:
    """The chart of the tasks."""
    columns = _columns(table, _read(folder))
    titled = {
        name: {
            f"{task.title} ({NAMES[task.metric]})": column[key] for key, task in table.tasks.items()
        }
        for name, column in columns.items()
    }
    return chart(titled)


def _read(folder: Path) -> dict[str, Row]:
    rows: dict[str, Row] = json.loads((folder / "rows.json").read_text())
    return rows


def _perplexity(table: Table, rows: dict[str, Row]) -> str:
    lines = []
    genomes: list[str] = []
    for size in table.sizes:
        runs = matching(rows.values(), kind="pretrain", size=size)
        if not runs:
            continue
        genomes = [name for name in runs[0]["figures"] if name != "perplexity"]
        cells = [_mean(row["figures"][name] for row in runs) for name in ("perplexity", *genomes)]
        read = _mean((row["tokens"] / 1e6 for row in runs), 0)
        speed = _mean(((row["bases_per_second"] or 0) / 1e6 for row in runs), 1)
        about = [f"{runs[0]['parameters']:,}", str(len(runs)), f"{read} Mb", speed]
        lines.append([*about, *cells])
    head = ["parameters", "seeds", "read", "Mb/s", "all", *(species(name) for name in genomes)]
    return markdown(head, lines)


def species(name: str) -> str:
    return name.removeprefix("perplexity ").partition(".")[0]


def _tasks(table: Table, rows: dict[str, Row]) -> str:
    columns = _columns(table, rows)
    lines = [
        [task.title, NAMES[task.metric], *(_mean(column[name]) for column in columns.values())]
        for name, task in table.tasks.items()
    ]
    return markdown(["task", "figure", *columns], lines)


def _columns(table: Table, rows: dict[str, Row]) -> dict[str, Column]:
    """Heading of a column -> the metric of each task, run by run."""

    def values(name: str, **wanted: Any) -> list[float]:
        metric = table.tasks[name].metric
        return [row["figures"][metric] for row in matching(rows.values(), task=name, **wanted)]

    columns = {"k-mers": {name: values(name, kind="kmers") for name in table.tasks}}
    for size in table.sizes:
        for start in STARTS:
            columns[f"{_millions(rows, size)} {start}"] = {
                name: values(
                    name, kind="finetune", size=size, start=start,
                    rate=chosen_rate(table, rows, name, start),
                )
                for name in table.tasks
            }  # fmt: skip
    return columns


def _zero_shot(table: Table, rows: dict[str, Row]) -> str:
    lines = []
    for size in table.sizes:
        runs = matching(rows.values(), kind="zero_shot", size=size)
        if runs:
            cells = [_mean(row["figures"][part] for row in runs) for part in ("test", "all")]
            counts = runs[0]["samples"]
            n = f"{counts['test']:,}", f"{sum(counts.values()):,}"
            lines.append([_millions(rows, size), *cells])
            head = ["model", f"test part ({n[0]} variants)", f"all ({n[1]})"]
    return markdown(head, lines) if lines else "Not measured yet."


def _baselines(table: Table, rows: dict[str, Row]) -> str:
    lines = []
    for name, task in table.tasks.items():
        runs = matching(rows.values(), kind="kmers", task=name)
        if runs:
            samples = runs[0]["samples"]
            chosen = Counter(f"{row['k']}, {row['C']:g}" for row in runs)
            lines.append(
                [
                    task.title,
                    " / ".join(f"{samples[part]:,}" for part in ("train", "validation", "test")),
                    "; ".join(chosen),
                    _mean(row["validation"] for row in runs),
                    *(
                        f"{NAMES[metric]} {_mean(row['figures'][metric] for row in runs)}"
                        for metric in (task.metric, SECOND[task.metric])
                    ),
                ]
            )
    head = ["task", "train / validation / test", "k, C", "validation", "test", "another figure"]
    return markdown(head, lines)


def _choices(table: Table, rows: dict[str, Row]) -> str:
    lines = []
    for name, task in table.tasks.items():
        rates = [chosen_rate(table, rows, name, start) for start in STARTS]
        steps = {row["steps"] for row in matching(rows.values(), kind="finetune", task=name)}
        batch = task.settings()["data"]["init_args"]["global_batch_size"]
        cells = [f"{rate:g}" if rate else "-" for rate in rates]
        lines.append([task.title, ", ".join(map(str, sorted(steps))) or "-", str(batch), *cells])
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


def _mean(values: Iterable[float | None], digits: int = 3) -> str:
    """Mean ± sample deviation; the value alone where there is one."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    mean = f"{statistics.fmean(known):.{digits}f}"
    return f"{mean} ± {statistics.stdev(known):.{digits}f}" if len(known) > 1 else mean
