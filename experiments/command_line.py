"""What the scripts that do many runs have in common: their options, and the doing itself."""

import argparse
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import yaml
from pool import Job, run_jobs
from rows import pack

__all__ = ["add_run_options", "do_missing"]


def add_run_options(command: argparse.ArgumentParser, workers: int) -> None:
    """``output``, ``seconds``, ``workers``, ``pack`` and ``set``.

    Args:
        command: the parser.
        workers: runs side by side, unless the user says otherwise.
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
    missing: Callable[[], Collection[Any]],
    work: Callable[[Job], None],
) -> int:
    """Do what has no row yet, side by side, as the options say.

    Args:
        arguments: with those of ``add_run_options``.
        missing: the jobs that are left.
        work: does one.

    Returns:
        0 where none is left, else 1.
    """
    began, output = time.monotonic(), arguments.output.resolve()
    try:
        failed = run_jobs(missing, work, arguments.workers, arguments.seconds, output / "logs")
    finally:
        if arguments.pack:
            packed = pack(output, arguments.pack)
            print("packed:", *(f"{path.name} {path.stat().st_size:,}" for path in packed))
    left = len(missing())
    print(f"{time.monotonic() - began:.0f} s; {left} runs left, {len(failed)} failed")
    return 1 if left else 0


def _setting(text: str) -> tuple[str, Any]:
    key, _, value = text.partition("=")
    return key, yaml.safe_load(value)
