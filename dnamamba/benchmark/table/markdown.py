"""The table as Markdown, its columns aligned, so that a terminal shows it too."""

from dnamamba.benchmark.table.probes import probe_lines
from dnamamba.benchmark.table.table import METRICS, Cell, Line, Mean, Table
from dnamamba.tables import aligned

__all__ = ["markdown", "notes", "page", "text_of"]

_ABOUT = """\
`a ± b`: mean over runs (seeds, folds) and their sample deviation; a figure alone is one run, `*`
marks a cell that lacks some. `test`: items in the test part; `groups`: groups of relatives among
them; `copies`: items that training or validation hold too, on either strand; `relatives`: items
that share a quarter of their 21-mers with a sequence there, copies among them. Nothing is set off
as the best: hold a MODEL against k-mers, its like with random weights and its like from scratch."""
_MEAN = "The mean is over the tasks that have a figure in every column."


def page(table: Table, title: str, machine: str) -> str:
    """The whole file.

    Args:
        table: what there is.
        title: its heading.
        machine: what it was made on, by what versions.
    """
    parts = [f"# {title}", markdown(table)]
    if missing := notes(table):
        parts += ["\n".join(f"- {note}" for note in missing)]
    parts += [f"{_ABOUT}\n{_MEAN}" if table.means() else _ABOUT]
    head, lines = probe_lines(table)
    if lines:
        parts += ["## Frozen vectors, by both probes", aligned(head, lines, left=3)]
    if table.sources:
        parts += ["## Published, by other protocols", _published(table)]
    if said := dict.fromkeys(line.note for line in table.lines if line.note):
        parts += ["## Notes on the data", "\n".join(f"- {note}" for note in said)]
    parts += [machine]
    return "\n\n".join(parts) + "\n"


def markdown(table: Table) -> str:
    """A line a task, then one a mean."""
    head, lines = text_of(table)
    return aligned(head, lines, left=head.index("test"))


def text_of(table: Table) -> tuple[list[str], list[list[str]]]:
    """The head and the lines, cell by cell."""
    metrics = list(dict.fromkeys(line.metric for line in table.lines))
    several = len(metrics) > 1
    head = ["task", "figure"] if several else [f"task ({METRICS.get(*metrics, *metrics)})"]
    head += ["test", "groups", "copies", "relatives"]
    head += [heading.title for heading in table.headings]
    lines = [_line(table, line, several) for line in table.lines]
    return head, lines + [_mean_line(table, mean, several) for mean in table.means()]


def notes(table: Table) -> list[str]:
    """What is wrong with cells: runs that failed, and runs that there are not yet."""
    notes = []
    for line in table.lines:
        for heading in table.headings:
            cell = line.cells.get(heading.key)
            if cell is None or len(cell.values) == cell.wanted:
                continue
            failed = f", {cell.failed} failed" if cell.failed else ""
            runs = f"{len(cell.values)} of {cell.wanted} runs{failed}"
            notes.append(f"{line.title}, {heading.title}: {runs}")
    return notes


def _line(table: Table, line: Line, several: bool) -> list[str]:
    figure = [METRICS.get(line.metric, line.metric)] if several else []
    counts = [_count(n) for n in (line.test, line.groups, line.copies, line.relatives)]
    cells = [_cell(line.cells.get(heading.key)) for heading in table.headings]
    return [line.title, *figure, *counts, *cells]


def _mean_line(table: Table, mean: Mean, several: bool) -> list[str]:
    figure = [METRICS.get(mean.metric, mean.metric)] if several else []
    title = f"mean of {len(mean.tasks)}"
    cells = [_cell(mean.cells.get(heading.key)) for heading in table.headings]
    return [title, *figure, "", "", "", "", *cells]


def _published(table: Table) -> str:
    """What others have reported of the same tasks, and its mean over those of the table's mean."""
    shown: list[tuple[str, Line | Mean]] = [
        *((line.title, line) for line in table.lines if line.published),
        *((f"mean of {len(mean.tasks)}", mean) for mean in table.means() if mean.published),
    ]
    return aligned(
        ["task", "figure", *table.sources],
        [
            [
                title,
                METRICS.get(entry.metric, entry.metric),
                *(_number(entry.published.get(who)) for who in table.sources),
            ]
            for title, entry in shown
        ],
        left=2,
    )


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    if cell.mean is None:
        return "failed" if cell.failed else "–"
    spread = "" if cell.deviation is None else f" ± {cell.deviation:.3f}"
    missing = "*" if len(cell.values) < cell.wanted else ""
    return f"{cell.mean:.3f}{spread}{missing}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"
