"""Fill the table of docs/results.md, run by run; started again, it goes on where it stopped.

    python experiments/results.py prepare  --data DATA           files with groups of relatives
    python experiments/results.py kmers    --data DATA           the baselines, on a CPU
    python experiments/results.py pretrain --data DATA --output OUT
    python experiments/results.py finetune --data DATA --output OUT
    python experiments/results.py collect  OUT                   rows into experiments/results/
    python experiments/results.py render                         docs/results.md and .png
    python experiments/results.py package  OUT                   the 0.5 M model into the package

``README.md`` beside this file says what lies in the data folder. Rows, models and logs go to the
output folder; a row is written when its run is finished, so that whatever ends the script costs no
more than the runs in flight.
"""

import argparse
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from command_line import add_run_options, do_missing
from plan import ROOT, TABLE, Table
from rows import merge, read_rows, write_row
from work import Work, machine

Arguments = argparse.Namespace


def pretrain(arguments: Arguments) -> int:
    work = _work(arguments)

    def missing() -> list[Any]:
        rows = read_rows(work.output)
        return [job for job in work.table.pretraining() if job.name not in rows]

    return _run(arguments, work, missing)


def finetune(arguments: Arguments) -> int:
    work = _work(arguments)

    def missing() -> list[Any]:
        return work.table.missing(read_rows(work.output))

    runs, seconds = work.table.estimate(read_rows(work.output))
    print(f"{runs} runs, about {seconds * work.steps:.0f} s of one device", flush=True)
    return _run(arguments, work, missing)


def _work(arguments: Arguments) -> Work:
    table = Table.read(arguments.table)
    return Work(
        table.of(arguments.tasks) if getattr(arguments, "tasks", None) else table,
        arguments.data.resolve(),
        arguments.output.resolve(),
        dict(arguments.set),
        getattr(arguments, "steps", 1.0),
        dict(getattr(arguments, "tokens", ())),
        dict(getattr(arguments, "budget", ())),
        time.time() + arguments.seconds,
    )


def _run(arguments: Arguments, work: Work, missing: Any) -> int:
    # Late, so that the script itself starts at once.
    from dispatch import do_job

    return do_missing(arguments, missing, partial(do_job, work))


def prepare(arguments: Arguments) -> int:
    from prepare import prepare as write

    write(arguments.data, arguments.output or arguments.data)
    return 0


def kmers(arguments: Arguments) -> int:
    from kmers import baseline

    table = Table.read(arguments.table)
    for name, task in table.tasks.items():
        for fold in range(task.folds):
            key = f"kmers.{name}.fold{fold}"
            if key in read_rows(arguments.output):
                continue
            row = baseline(task, fold, arguments.data.resolve())
            about = {"kind": "kmers", "task": name, "fold": fold}
            row = {**about, **row, "machine": machine("sklearn")}
            write_row(arguments.output, key, row)
            print(key, row["k"], row["C"], row["figures"][task.metric], flush=True)
    return 0


def collect(arguments: Arguments) -> int:
    rows = merge(arguments.folders, "rows")
    print(f"{len(rows)} rows")
    return 0


def render(arguments: Arguments) -> int:
    from context_render import drawings
    from render import drawing, page

    table, docs = Table.read(arguments.table), ROOT / "docs"
    (docs / "results.md").write_text(page(table))
    for name, figure in {"results.png": drawing(table), **drawings()}.items():
        figure.savefig(docs / name, dpi=110)
    return 0


def package(arguments: Arguments) -> int:
    from model_card import package as put

    print(put(arguments.output, arguments.seed))
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    table = argparse.ArgumentParser(add_help=False)
    table.add_argument("--table", type=Path, default=TABLE)
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument("--data", type=Path, required=True)

    for function in (pretrain, finetune):
        command = commands.add_parser(function.__name__, parents=[table, data])
        command.set_defaults(function=function)
        add_run_options(command, workers=8)
        if function is pretrain:
            command.add_argument(
                "--tokens", type=_number, nargs="+", default=[], metavar="SIZE=BASES",
                help="bases to read, as small=6e8",
            )  # fmt: skip
            command.add_argument(
                "--budget", type=_number, nargs="+", default=[], metavar="SIZE=SECONDS",
                help="or how long to train; a short run measures how many steps that is",
            )  # fmt: skip
        else:
            command.add_argument("--tasks", nargs="+", metavar="TASK", help="these alone")
            command.add_argument(
                "--steps", type=float, default=1.0, metavar="FACTOR",
                help="of the configurations' steps, to fit the time there is",
            )  # fmt: skip
    command = commands.add_parser("prepare", parents=[data])
    command.set_defaults(function=prepare)
    command.add_argument("--output", type=Path)
    command = commands.add_parser("kmers", parents=[table, data])
    command.set_defaults(function=kmers)
    command.add_argument("--output", type=Path, required=True)
    command = commands.add_parser("collect")
    command.set_defaults(function=collect)
    command.add_argument("folders", type=Path, nargs="+", metavar="OUT")
    command = commands.add_parser("render", parents=[table])
    command.set_defaults(function=render)
    command = commands.add_parser("package")
    command.set_defaults(function=package)
    command.add_argument("output", type=Path, metavar="OUT")
    command.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    status: int = arguments.function(arguments)
    return status


def _number(text: str) -> tuple[str, float]:
    key, _, value = text.partition("=")
    return key, float(value)


if __name__ == "__main__":
    sys.exit(main())
