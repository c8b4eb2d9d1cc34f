"""How far the reading of a large FASTA is, said on standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress as ProgressBar

from dnamamba.data.genome.source import Progress
from dnamamba.log_lines import SparseLines, megabytes

__all__ = ["Stage", "stages"]

Stage = Callable[[str, int], Progress]
"""Begins a stage of so many bytes; what it gives is told of those done."""

_SLOW = 1 << 26  # bytes from which a build takes seconds


@contextmanager
def stages(path: Path, size: int) -> Iterator[Stage]:
    """Show the stages of the work on a FASTA of so many bytes, one at a time.

    A bar on a terminal, else lines now and then; of a small file nothing.
    """
    console, slow = Console(file=sys.stderr), size >= _SLOW
    if not (slow and console.is_terminal):
        yield lambda name, total: _lines(f"{name} {path.name}", total) if slow else _silent
        return
    with ProgressBar(console=console, transient=True) as bar:

        def stage(name: str, total: int) -> Progress:
            for old in bar.task_ids:
                bar.remove_task(old)
            task = bar.add_task(f"{name} {path.name}", total=total)
            return _seldom(lambda done: bar.advance(task, done), total)

        yield stage


def _lines(title: str, total: int) -> Progress:
    return _seldom(SparseLines(title, total, megabytes).advance, total)


def _seldom(advance: Progress, total: int) -> Progress:
    """Two hundred steps of what may come in a million: so small are a genome's pieces."""
    waiting = 0

    def gather(done: int) -> None:
        nonlocal waiting
        waiting += done
        if waiting >= total // 200:
            advance(waiting)
            waiting = 0

    return gather


def _silent(done: int) -> None:
    """Told of what nobody asks."""
