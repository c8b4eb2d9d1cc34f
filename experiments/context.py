"""What context is worth, in bits per base and for a label; started again, it goes on.

    python experiments/context.py prepare --source SOURCE --data DATA   the data folder, 55 MB
    python experiments/context.py join    --data DATA                   contigs laid end to end
    python experiments/context.py lanes   --data DATA --output OUT      bits against the distance
    python experiments/context.py labels  --data DATA --output OUT      species of a window
    python experiments/context.py kmers   --data DATA --output OUT      the same by k-mers
    python experiments/context.py collect OUT                           rows into results/
    python experiments/results.py render                                docs/results.md, pictures

``labels`` and ``kmers`` want what ``join`` writes. README.md beside this file says what SOURCE
holds.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from context_plan import BATCHES, ROWS, Context, KmersJob, LabelsJob, LanesJob
from pool import run_jobs
from results import setting
from rows import merge, pack, read_rows

Arguments = argparse.Namespace
GROUPS = ("vertebrates", "bacteria")


def prepare(arguments: Arguments) -> int:
    from context_data import prepare as write

    write(arguments.source, arguments.data, round(arguments.train))
    return 0


def join(arguments: Arguments) -> int:
    from context_data import index
    from context_data import join as write

    write(arguments.data)
    index(arguments.data)
    return 0


def lanes(arguments: Arguments) -> int:
    jobs = [
        LanesJob(group, rows, seed)
        for seed in arguments.seeds
        for group in arguments.groups
        for rows in ROWS
    ]
    return _run(arguments, jobs)


def labels(arguments: Arguments) -> int:
    # The longest first: the memory that a process has had stays its own.
    lengths = sorted(arguments.lengths, reverse=True)
    return _run(arguments, [LabelsJob(n, seed) for seed in arguments.seeds for n in lengths])


def kmers(arguments: Arguments) -> int:
    return _run(arguments, [KmersJob(n) for n in sorted(arguments.lengths, reverse=True)])


def _run(arguments: Arguments, jobs: Sequence[Any]) -> int:
    from context_data import index
    from context_runs import do_job

    index(arguments.data)
    output = arguments.output.resolve()
    context = Context(
        arguments.data.resolve(), output, arguments.bases,
        getattr(arguments, "reach", 0), dict(arguments.set),
    )  # fmt: skip

    def missing() -> list[Any]:
        rows = read_rows(output)
        return [job for job in jobs if job.name not in rows]

    began = time.monotonic()
    count, seconds = arguments.workers, arguments.seconds
    try:
        run_jobs(missing, partial(do_job, context), count, seconds, output / "logs")
    finally:
        if arguments.pack:
            pack(output, arguments.pack)
    print(f"{time.monotonic() - began:.0f} s; {len(missing())} runs left")
    return 1 if missing() else 0


def collect(arguments: Arguments) -> int:
    print(f"{len(merge(arguments.folders, 'context'))} rows")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument("--data", type=Path, required=True)
    command = commands.add_parser("prepare", parents=[data])
    command.set_defaults(function=prepare)
    command.add_argument("--source", type=Path, required=True)
    command.add_argument("--train", type=float, default=7.5e6, help="bases of a species, about")
    command = commands.add_parser("join", parents=[data])
    command.set_defaults(function=join)
    for function, workers in ((lanes, 4), (labels, 1), (kmers, 4)):
        _runs(commands.add_parser(function.__name__, parents=[data]), function, workers)
    command = commands.add_parser("collect")
    command.set_defaults(function=collect)
    command.add_argument("folders", type=Path, nargs="+", metavar="OUT")
    arguments = parser.parse_args()
    status: int = arguments.function(arguments)
    return status


def _runs(command: argparse.ArgumentParser, function: Any, workers: int) -> None:
    command.set_defaults(function=function)
    command.add_argument("--output", type=Path, required=True)
    command.add_argument("--bases", type=float, default=2e8, help="that a training reads")
    command.add_argument("--workers", type=int, default=workers, help="runs side by side")
    command.add_argument("--seconds", type=float, default=1e9, help="then stop, whatever runs")
    command.add_argument("--pack", type=Path, help="folder for rows and logs as a tar file")
    command.add_argument(
        "--set", type=setting, nargs="+", default=[], metavar="KEY=VALUE",
        help="set dotted keys of every run's configuration, as trainer.precision=32-true",
    )  # fmt: skip
    if function is lanes:
        command.add_argument("--groups", nargs="+", choices=GROUPS, default=GROUPS)
        command.add_argument("--reach", type=int, default=1 << 20, help="the last bin's beginning")
    else:
        command.add_argument("--lengths", type=int, nargs="+", default=[*BATCHES])
    if function is not kmers:
        command.add_argument("--seeds", type=int, nargs="+", default=[1])


if __name__ == "__main__":
    sys.exit(main())
