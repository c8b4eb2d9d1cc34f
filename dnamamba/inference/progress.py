"""A progress bar in bases, on standard error, and only where somebody watches."""

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


@contextmanager
def progress(title: str, bases: int) -> Iterator[Callable[[int], None]]:
    """Show a bar for the length of the block; call what it yields with the bases just done."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), _Bases(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=bases)
        yield lambda done: bar.advance(task, done)
