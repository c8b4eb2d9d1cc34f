"""What the scripts that do many runs have in common: their options, and the doing itself."""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from rows import pack

from dnamamba.benchmark.runs.outcomes import Outcome, Runnable
from dnamamba.benchmark.runs.overlap import overlapping
from dnamamba.benchmark.runs.pool import run_in_processes
from dnamamba.benchmark.runs.workers import gpus_of
from dnamamba.device import best_device

__all__ = ["add_run_options", "do_missing"]


def add_run_options(command: argparse.ArgumentParser, workers: int | None) -> None:
    """``output``, ``seconds``, ``workers``, ``pack`` and ``set``.

    Args:
        command: the parser.
        workers: runs side by side, unless the user says otherwise; None: the script decides.
    """
    command.add_argument("--output", type=Path, required=True)
    command.add_argument("--seconds", type=float, default=1e9, help="then stop, whatever runs")
    command.add_argument("--workers", type=int, default=workers, help="runs side by side")
    command.add_argument("--pack", type=Path, help="folder for rows, logs and models as tar files")
    command.add_argument(
        "--set", type=_setting, nargs="+", default=[], metavar="KEY=VALUE",
        help="set dotted keys of every run's configuration, as trainer.precision=32-true",
    )  # fmt: skip


def do_missing(
    arguments: argparse.Namespace,
    missing: Callable[[], Sequence[Runnable]],
    work: Callable[[Any], None],
) -> int:
    """Do what has no row yet, side by side, as the options say; what fails is not tried again.

    Args:
        arguments: with those of ``add_run_options``.
        missing: the jobs that are left, in order.
        work: does one, in a worker; a module's function, or a ``partial`` of one.

    Returns:
        0 where none is left, else 1.
    """
    began, output = time.monotonic(), arguments.output.resolve()
    logs, failed = output / "logs", 0
    workers = (min(arguments.workers, len(missing())), 0)
    device = best_device("auto")
    try:
        with overlapping(device, workers[0]) as environment:
            how = workers, arguments.seconds, logs, gpus_of(device), environment
            for outcome in run_in_processes(missing, work, _any, *how):
                _show(outcome, logs)
                failed += outcome.error is not None
    finally:
        if arguments.pack:
            packed = pack(output, arguments.pack)
            print("packed:", *(f"{path.name} {path.stat().st_size:,}" for path in packed))
    left = len(missing())
    print(f"{time.monotonic() - began:.0f} s; {left} runs left, {failed} failed")
    return 1 if left else 0


def _any(job: Runnable) -> bool:
    """Every worker may do it."""
    return True


def _show(outcome: Outcome, logs: Path) -> None:
    """A line of what has ended; an error is written whole into the logs, too."""
    line = f"{outcome.seconds:7.1f} s  {outcome.name}"
    if outcome.error is not None:
        (logs / f"{outcome.name}.error").write_text(outcome.error)
        line += f" FAILED: {outcome.error.rstrip().splitlines()[-1]}"
    print(line, flush=True)


def _setting(text: str) -> tuple[str, Any]:
    key, _, value = text.partition("=")
    return key, yaml.safe_load(value)
