"""A progress bar on standard error, and only where somebody watches."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

__all__ = ["progress"]


class _Bases(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = f"{task.speed / 1e3:,.1f} kbp/s" if task.speed else ""
        return Text(f"{task.completed / 1e6:,.2f} of {(task.total or 0) / 1e6:,.2f} Mbp  {speed}")


class _Items(ProgressColumn):
    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def render(self, task: Task) -> Text:
        speed = f"{task.speed:,.1f}/s" if task.speed else ""
        return Text(f"{task.completed:,.0f} of {task.total or 0:,.0f} {self._name}  {speed}")


@contextmanager
def progress(
    title: str, total: int, of: str | None = None, shown: bool = True
) -> Iterator[Callable[[int], None]]:
    """Show a bar for the length of the block; call what it yields with what was just done.

    Args:
        title: stands before the bar.
        total: bases, or items.
        of: what the items are, as ``variants``; None for bases.
        shown: False for the quiet ones of several processes.
    """
    console = Console(stderr=True)
    done = _Bases() if of is None else _Items(of)
    columns = (TextColumn("{task.description}"), BarColumn(), done, TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not (shown and console.is_terminal)) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.advance(task, done)
