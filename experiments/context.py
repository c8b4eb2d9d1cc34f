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
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from command_line import add_run_options, do_missing
from context_plan import BATCHES, LANE_GROUPS, TRAINED, Context, KmersJob, LabelsJob, LanesJob
from rows import merge, read_rows

Arguments = argparse.Namespace


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
        for rows in TRAINED
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

    return do_missing(arguments, missing, partial(do_job, context))


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
    add_run_options(command, workers)
    command.add_argument("--bases", type=float, default=2e8, help="that a training reads")
    if function is lanes:
        command.add_argument("--groups", nargs="+", choices=LANE_GROUPS, default=LANE_GROUPS)
        command.add_argument("--reach", type=int, default=1 << 20, help="the last bin's beginning")
    else:
        command.add_argument("--lengths", type=int, nargs="+", default=[*BATCHES])
    if function is not kmers:
        command.add_argument("--seeds", type=int, nargs="+", default=[1])


if __name__ == "__main__":
    sys.exit(main())
