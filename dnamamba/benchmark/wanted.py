"""From the words that a user types to tasks and the folders of their files."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from dnamamba.benchmark.runs.plan import Entry
from dnamamba.benchmark.table.table import METRICS
from dnamamba.benchmark.tasks.catalogue import suites, tasks_of
from dnamamba.benchmark.tasks.own import in_folds
from dnamamba.benchmark.tasks.sources import at_hand, root_of

__all__ = ["Wanted", "listing", "wanted"]


class Wanted(NamedTuple):
    """What is to be measured.

    Attributes:
        entries: the tasks whose files are at hand.
        skipped: key of a task of a suite -> why it is left out.
    """

    entries: list[Entry]
    skipped: dict[str, str]


def wanted(words: Sequence[str], data: Path | None, folds: int | None = None) -> Wanted:
    """Find the tasks and their files; files with an address are fetched.

    Args:
        words: names of suites and tasks, and paths of a user's own tables.
        data: folder in which the files of suites lie; None: the cache.
        folds: of a cross-validation of all of them; None: as they say.

    Raises:
        ValueError: an unknown word, two tasks of one name, or one that cannot be in folds.
        FileNotFoundError: a task named alone, whose files are not at hand.
    """
    if not words:
        raise ValueError(
            f"tasks must be given: a suite ({', '.join(suites())}), a task of one, or a table of "
            "your own; dnamamba benchmark --list shows them all"
        )
    entries: dict[str, Entry] = {}
    skipped: dict[str, str] = {}
    for word in words:
        tasks = [task if folds is None else in_folds(task, folds) for task in tasks_of(word)]
        for task in tasks:
            if at_hand(task, data).endswith("can be fetched"):
                print(f"fetching the files of {task.key}", file=sys.stderr)
            try:
                entry = Entry(task, root_of(task, data))
            except FileNotFoundError as error:
                if len(tasks) == 1:
                    raise
                skipped[task.key] = str(error)
                continue
            if entries.setdefault(task.key, entry) != entry:
                raise ValueError(f"{word}: another task is called {task.key}, too; rename the file")
    if not entries:
        raise FileNotFoundError(next(iter(skipped.values())))
    return Wanted([*entries.values()], skipped)


def listing(data: Path | None) -> str:
    """Every suite and its tasks, and whether their files are at hand, a line each."""
    tasks = [task for suite in suites() for task in tasks_of(suite)]
    width = max(len(task.key) for task in tasks)
    titled = max(len(task.title) for task in tasks)
    return "\n".join(
        f"{task.key:{width}}  {METRICS.get(task.metric, task.metric):8}  {task.title:{titled}}  "
        f"{at_hand(task, data)}"
        for task in tasks
    )
