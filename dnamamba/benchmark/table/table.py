"""What the rows say, task by task and column by column."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dnamamba.benchmark.runs.heading import Heading

__all__ = ["METRICS", "Cell", "Line", "Mean", "Table"]

METRICS = {
    "mcc": "MCC", "accuracy": "accuracy", "macro_f1": "macro F1", "auroc": "AUROC",
    "auprc": "AUPRC", "pearson": "Pearson r", "spearman": "Spearman ρ", "f1": "F1",
}  # fmt: skip
"""What a metric is called in print."""

Run = tuple[int, int]  # seed, fold


@dataclass(frozen=True)
class Cell:
    """What is known of a column on a task.

    Attributes:
        values: (seed, fold) -> the task's figure.
        wanted: how many there are to be.
        failed: how many were tried in vain.
        figures: name -> (seed, fold) -> value, of all that was measured.
        chosen: what the validation part chose, in each different way that it did.
    """

    values: Mapping[Run, float]
    wanted: int
    failed: int = 0
    figures: Mapping[str, Mapping[Run, float]] = field(default_factory=dict)
    chosen: tuple[Mapping[str, Any], ...] = ()

    @property
    def mean(self) -> float | None:
        """Over seeds and folds; None of none."""
        return statistics.fmean(self.values.values()) if self.values else None

    @property
    def deviation(self) -> float | None:
        """The sample's, over seeds and folds; None of fewer than two."""
        return deviation(list(self.values.values()))


@dataclass(frozen=True)
class Line:
    """A task, and what its test part is.

    Attributes:
        task: its key.
        title: in print.
        metric: the figure of its cells.
        test: items in the test part, over all folds; None: not counted.
        groups: independent groups among them.
        copies: of the items those that training or validation hold too, on either strand.
        relatives: those with a relative there, copies among them.
        published: who -> figure, by another protocol.
        note: a sentence on the data, or nothing.
        cells: heading's key -> cell; a column that the task does not have is not there.
    """

    task: str
    title: str
    metric: str
    cells: Mapping[str, Cell]
    test: int | None = None
    groups: int | None = None
    copies: int | None = None
    relatives: int | None = None
    published: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Mean:
    """The mean over several tasks of one metric.

    Attributes:
        metric: theirs.
        tasks: which: all that have a figure in every column that any of them has.
        cells: heading's key -> seed by seed the mean over the tasks; where not all have all
            seeds, one value.
        published: who -> mean of their figures, where all the tasks have one.
    """

    metric: str
    tasks: tuple[str, ...]
    cells: Mapping[str, Cell]
    published: Mapping[str, float]


@dataclass(frozen=True)
class Table:
    """All of it.

    Attributes:
        headings: the columns, in order.
        lines: a task each.
    """

    headings: tuple[Heading, ...]
    lines: tuple[Line, ...]

    @property
    def sources(self) -> list[str]:
        """Who published figures of any of the tasks."""
        return list(dict.fromkeys(who for line in self.lines for who in line.published))

    def means(self) -> list[Mean]:
        """Of each metric that two or more whole lines have."""
        means = []
        for metric in dict.fromkeys(line.metric for line in self.lines):
            lines = [line for line in self.lines if line.metric == metric]
            keys = {key for line in lines for key in line.cells}
            whole = [
                line for line in lines
                if keys == {key for key, cell in line.cells.items() if cell.values}
            ]  # fmt: skip
            if len(whole) > 1:
                means.append(_mean(metric, whole, keys))
        return means


def deviation(values: Sequence[float]) -> float | None:
    """Of a sample; None of fewer than two."""
    return statistics.stdev(values) if len(values) > 1 else None


def _mean(metric: str, lines: Sequence[Line], keys: Iterable[str]) -> Mean:
    sources = set.intersection(*({*line.published} for line in lines))
    return Mean(
        metric,
        tuple(line.task for line in lines),
        {key: _over_tasks([line.cells[key] for line in lines]) for key in keys},
        {
            who: statistics.fmean(line.published[who] for line in lines)
            for who in lines[0].published
            if who in sources
        },
    )


def _over_tasks(cells: Sequence[Cell]) -> Cell:
    """Seed by seed, folds within a seed together, where all have the same seeds."""
    by_seed = [_by_seed(cell.values) for cell in cells]
    seeds = [*by_seed[0]]
    if len(seeds) > 1 and all({*one} == {*seeds} for one in by_seed):
        means = {(seed, 0): statistics.fmean(one[seed] for one in by_seed) for seed in seeds}
    else:
        means = {(0, 0): statistics.fmean(cell.mean for cell in cells if cell.mean is not None)}
    return Cell(means, len(means))


def _by_seed(values: Mapping[Run, float]) -> dict[int, float]:
    seeds: dict[int, list[float]] = {}
    for (seed, _), value in sorted(values.items()):
        seeds.setdefault(seed, []).append(value)
    return {seed: statistics.fmean(figures) for seed, figures in seeds.items()}
