"""What is said of a benchmark while it runs, and at its end."""

import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from dnamamba.benchmark.jobs.job import Job, Row
from dnamamba.benchmark.jobs.names import short_names
from dnamamba.benchmark.runs.outcomes import Outcome
from dnamamba.benchmark.runs.plan import Plan
from dnamamba.benchmark.runs.store import Store, hash_of
from dnamamba.benchmark.table.markdown import markdown, text_of
from dnamamba.benchmark.table.table import METRICS, Table
from dnamamba.log_lines import LONG, lasting

__all__ = ["Progress", "made_on", "print_table", "quiet"]

_TALKERS = ("pytorch_lightning", "dnamamba.checkpoint")


@contextmanager
def quiet() -> Iterator[None]:
    """Within this block nothing is told of each file, model and trainer: there are hundreds."""
    loggers = [logging.getLogger(name) for name in _TALKERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class Progress:
    """A line on standard error for every run that has ended.

    Args:
        planned: the runs.
        store: the rows, looked for; looks for that of every run that has ended well.
        logs: folder of the texts of errors.

    Attributes:
        failed: name of a run -> the last line of its error.
    """

    def __init__(self, planned: Plan, store: Store, logs: Path) -> None:
        self._jobs = {job.name: job for job in planned.order}
        models = {job.model: None for job in planned.order if job.model is not None}
        self._models = short_names([*models])
        self._store, self._logs = store, logs
        self._total = len(planned.order)
        self._done = self._total - len(planned.missing(store))
        self.failed: dict[str, str] = {}
        self._begun = self._said = time.monotonic()

    def begin(self, tasks: int, workers: tuple[int, int]) -> None:
        """Say what is to be done, and by how many."""
        counts = " + ".join(str(n) for n in workers if n)
        side = f"; {counts} side by side" if sum(workers) > 1 else ""
        before = f"; {self._done} done before" if self._done else ""
        runs = f"{_number(self._total, 'run')} on {_number(tasks, 'task')}"
        print(f"{runs}{before}{side}", file=sys.stderr, flush=True)

    @contextmanager
    def told_while_waiting(self) -> Iterator[None]:
        """Say in a log every half minute in which no run ends that work goes on."""
        ended = Event()

        def beat() -> None:
            while not ended.wait(LONG / 4):
                if time.monotonic() - self._said >= LONG:
                    since = lasting(time.monotonic() - self._begun)
                    self._say(f"{self._done} of {self._total} runs are done after {since}")

        if not sys.stderr.isatty():
            Thread(target=beat, daemon=True).start()
        try:
            yield
        finally:
            ended.set()

    @contextmanager
    def told_if_stopped(self) -> Iterator[None]:
        """Say, where Ctrl-C ends the block, that nothing is lost."""
        try:
            yield
        except KeyboardInterrupt:
            print(
                f"stopped: {self._done} of {self._total} runs are done; the same command goes on",
                file=sys.stderr, flush=True,
            )  # fmt: skip
            raise

    def show(self, outcome: Outcome) -> None:
        """Say how a run ended; the whole text of an error goes to a file."""
        job = self._jobs[outcome.name]
        log = self._logs / _log_name(job)
        if outcome.error is None:
            log.unlink(missing_ok=True)
            self._done += 1
            said = _figure(self._store.look(job))
        else:
            self._logs.mkdir(parents=True, exist_ok=True)
            log.write_text(outcome.error)
            self.failed[job.name] = last = outcome.error.rstrip().rpartition("\n")[2]
            said = f"FAILED: {last} (whole text in {log})"
        counted = f"{self._done:>{len(str(self._total))}} of {self._total}"
        called = job.called(job.model and self._models[job.model])
        self._say(f"{counted}  {outcome.seconds:6.1f} s  {called}: {said}")

    def _say(self, line: str) -> None:
        self._said = time.monotonic()
        print(line, file=sys.stderr, flush=True)


def _log_name(job: Job) -> str:
    """What it is, as far as a file's name can say it."""
    words = re.sub("[^A-Za-z0-9.]+", "-", job.name)
    return f"{words[:120]}-{hash_of(job.key)[:8]}.txt"


def _number(count: int, of: str) -> str:
    return f"{count} {of}" if count == 1 else f"{count} {of}s"


def _figure(row: Row | None) -> str:
    if row is None or "metric" not in row:
        return "counted"
    name = METRICS.get(row["metric"], row["metric"])
    value = row["figures"].get(row["metric"]) if "figures" in row else row["validation"]
    where = "" if "figures" in row else " on validation"
    return f"{name} {'undefined' if value is None else f'{value:.3f}'}{where}"


def print_table(table: Table) -> None:
    """On standard output: as Markdown, or folded where a terminal is too narrow for that."""
    text = markdown(table)
    console = Console()
    if not console.is_terminal or console.width >= text.index("\n"):
        print(text)
        return
    head, lines = text_of(table)
    folded = RichTable(*head)
    for line in lines:
        folded.add_row(*line)
    console.print(folded)


def made_on(rows: Sequence[Row]) -> str:
    """On which devices and by which versions, in a sentence each."""
    machines = Counter(_machine(row["machine"]) for row in rows)
    return "\n".join(f"{n} runs: {machine}." for machine, n in machines.most_common())


def _machine(machine: Mapping[str, Any]) -> str:
    versions = [f"{key} {value}" for key, value in machine.items() if key not in ("date", "device")]
    return f"{machine['device']}, {', '.join(versions)}, {machine['date']}"
