"""Pretrain the models of the package, and write docs/results.md; started again, it goes on.

    python experiments/results.py pretrain --data DATA --output OUT   models of models.yaml
    python experiments/results.py collect  OUT                        rows into experiments/results/
    python experiments/results.py package  OUT                        the models into the package
    python experiments/results.py keep     OUT --name NAME            what a benchmark left
    python experiments/results.py resume   OUT --name NAME            its rows, to go on from
    python experiments/results.py render                              docs/results.md, pictures

``README.md`` beside this file says what lies in the data folder. Rows, models and logs go to the
output folder; a row is written when its run is finished, so that whatever ends the script costs no
more than the runs in flight.
"""

import argparse
import sys
import time
from functools import partial
from pathlib import Path

from command_line import add_run_options, do_missing
from model_table import PretrainJob, Work, jobs_of, read_models
from places import DOCS
from rows import merge, read_rows

from dnamamba.pictures import save_png, styled

Arguments = argparse.Namespace


def pretrain(arguments: Arguments) -> int:
    # Late, so that the script itself starts at once.
    from pretraining import do_job

    work = Work(
        read_models(), arguments.data.resolve(), arguments.output.resolve(), dict(arguments.set),
        time.time() + arguments.seconds,
    )  # fmt: skip
    jobs = jobs_of(work.models, arguments.models or work.models)

    def missing() -> list[PretrainJob]:
        rows = read_rows(work.output)
        return [job for job in jobs if job.name not in rows]

    return do_missing(arguments, missing, partial(do_job, work))


def collect(arguments: Arguments) -> int:
    print(f"{len(merge(arguments.folders, 'models'))} rows")
    return 0


def package(arguments: Arguments) -> int:
    from model_card import package as put

    output = arguments.output.resolve()
    work = Work(read_models(), Path(), output, {}, 0.0)
    for name in arguments.models or work.models:
        print(put(work, PretrainJob(name, arguments.seed)))
    return 0


def keep(arguments: Arguments) -> int:
    import kept

    kept.keep(arguments.output, arguments.name)
    return 0


def resume(arguments: Arguments) -> int:
    import kept

    print(f"{kept.resume(arguments.name, arguments.output)} rows")
    return 0


def render(arguments: Arguments) -> int:
    from context_render import drawings
    from recipes_page import pictures
    from render import drawing, page

    (DOCS / "results.md").write_text(page())
    for name, figure in {"results.png": drawing(), **drawings(), **pictures()}.items():
        with styled(), (DOCS / name).open("wb") as file:
            save_png(figure, file)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    models = argparse.ArgumentParser(add_help=False)
    models.add_argument("--models", nargs="+", metavar="NAME", help="these alone")
    command = commands.add_parser("pretrain", parents=[models])
    command.set_defaults(function=pretrain)
    command.add_argument("--data", type=Path, required=True)
    add_run_options(command, workers=1)
    command = commands.add_parser("collect")
    command.set_defaults(function=collect)
    command.add_argument("folders", type=Path, nargs="+", metavar="OUT")
    command = commands.add_parser("package", parents=[models])
    command.set_defaults(function=package)
    command.add_argument("output", type=Path, metavar="OUT")
    command.add_argument("--seed", type=int, default=1)
    for name, function in {"keep": keep, "resume": resume}.items():
        command = commands.add_parser(name)
        command.set_defaults(function=function)
        command.add_argument("output", type=Path, metavar="OUT")
        command.add_argument("--name", required=True, help="of the benchmark, as gue")
    command = commands.add_parser("render")
    command.set_defaults(function=render)
    arguments = parser.parse_args()
    status: int = arguments.function(arguments)
    return status


if __name__ == "__main__":
    sys.exit(main())
