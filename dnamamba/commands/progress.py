"""How far a command is: a bar on a terminal, lines in a log, an estimate in a dry run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from dnamamba.commands.dry_run import is_dry, tried
from dnamamba.log_lines import SparseLines

__all__ = ["progress"]

_UNITS = ((1e6, "Mbp", 2), (1e3, "kbp", 1), (1.0, "bp", 0))  # and figures behind the point


class _Done(ProgressColumn):
    def __init__(self, of: str | None) -> None:
        super().__init__()
        self._of = of

    def render(self, task: Task) -> Text:
        return Text(_done(self._of, task.completed, task.total, task.speed or 0.0))


@contextmanager
def progress(
    title: str, total: int, of: str | None = None, shown: bool = True
) -> Iterator[Callable[[int], None]]:
    """Say on standard error how far the block is; call what it yields with what was just done.

    Where that is no terminal, in a line now and then (see ``SparseLines``). In a dry run the block
    ends after a few seconds, or as it ends, by ``Tried``.

    Args:
        title: stands before the bar.
        total: bases, or items.
        of: what the items are, as ``variants``; None for bases.
        shown: False for the quiet ones of several processes.
    """
    console = Console(stderr=True)
    if is_dry():
        with tried(title, total, partial(_counted, of)) as advance:
            yield advance
    elif not shown:
        yield lambda done: None
    elif console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), _Done(of), TimeRemainingColumn())
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(title, total=total)
            yield lambda done: bar.advance(task, done)
    else:
        yield SparseLines(title, total, partial(_in_line, of)).advance


def _done(of: str | None, done: float, total: float | None, rate: float) -> str:
    """What is done of the total, and how much a second."""
    if of is None:
        size, unit, digits = _unit(total or 0)
        of_all = f"{done / size:,.{digits}f} of {(total or 0) / size:,.{digits}f} {unit}"
        speed = f"{rate / 1e3:,.1f} kbp/s" if rate >= 1e3 else f"{rate:.3g} bp/s"
        return f"{of_all}  {speed if rate else ''}"
    speed = f"{rate:,.1f}/s" if rate else ""
    return f"{done:,.0f} of {_counted(of, total or 0)}  {speed}"


def _in_line(of: str | None, done: float, total: float | None, rate: float) -> str:
    return ", ".join(_done(of, done, total, rate).split("  "))


def _counted(of: str | None, count: float) -> str:
    if of is not None:
        return f"{count:,.0f} {of}"
    size, unit, digits = _unit(count)
    return f"{count / size:,.{digits}f} {unit}"


def _unit(count: float) -> tuple[float, str, int]:
    return next((unit for unit in _UNITS if count >= unit[0]), _UNITS[-1])
