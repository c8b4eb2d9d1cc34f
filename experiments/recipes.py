"""Which fine-tuning recipe: those of recipes.yaml, tried on the validation part alone.

    python experiments/recipes.py run     --data DATA --output OUT [--models FOLDER ...]
    python experiments/recipes.py collect OUT                 rows into experiments/results/
    python experiments/results.py render                      docs/results.md, pictures

DATA is the folder of the benchmark's files (see ``dnamamba benchmark --data``). Runs go side by
side; a row, with its learning curve, is written when its run is finished, and the same command
does what has none. A row of another recipe of that name, of other data or of another model is made
anew. The test parts are not read: the tasks are declared here without them.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

from command_line import add_run_options, do_missing
from recipes_plan import COLUMNS, Run, read_file, read_recipes, runs_of
from rows import merge, read_row

from dnamamba.benchmark.checks import check_models
from dnamamba.benchmark.jobs.recipe import Recipe
from dnamamba.benchmark.jobs.work import Work
from dnamamba.benchmark.runs.workers import workers_for
from dnamamba.data.genome.places import default_cache_dir
from dnamamba.device import best_device

Arguments = argparse.Namespace


def run(arguments: Arguments) -> int:
    # Late: the training room takes seconds to import.
    from recipes_run import do_run

    content = read_file()
    recipes = read_recipes(content, dict(arguments.set))
    if unknown := [name for name in arguments.recipes or () if name not in recipes]:
        raise ValueError(f"there is no recipe {unknown[0]!r}; there are {', '.join(recipes)}")
    chosen = {name: recipes[name] for name in arguments.recipes or recipes}
    models = check_models(arguments.models or content["models"])
    tasks, output = arguments.tasks or content["tasks"], arguments.output.resolve()
    seeds = dict.fromkeys(arguments.seeds)
    left = [*runs_of(chosen, tasks, models, seeds, arguments.data, arguments.starts)]
    if len({run.name for run in left}) < len(left):
        raise ValueError("models: two have one name in files; rename a folder")

    def missing() -> list[Run]:
        left[:] = [run for run in left if read_row(output, run.name).get("key") != run.job.key]
        return left

    device = best_device(arguments.device)
    arguments.workers = arguments.workers or sum(workers_for(device, None))
    work = Work(Recipe.read(), device, output, default_cache_dir())
    return do_missing(arguments, missing, partial(do_run, work))


def collect(arguments: Arguments) -> int:
    print(f"{len(merge(arguments.folders, 'recipes'))} rows")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("run")
    command.set_defaults(function=run)
    command.add_argument("--data", type=Path, help="folder of the tasks' files; else the cache")
    command.add_argument("--models", nargs="+", default=[], help="instead of those of recipes.yaml")
    command.add_argument("--starts", nargs="+", choices=[*COLUMNS], default=[*COLUMNS])
    command.add_argument("--tasks", nargs="+", help="instead of those of recipes.yaml")
    command.add_argument("--recipes", nargs="+", metavar="NAME", help="these alone")
    command.add_argument("--seeds", type=int, nargs="+", default=[1])
    command.add_argument("--device", default="auto")
    add_run_options(command, workers=None)
    command = commands.add_parser("collect")
    command.set_defaults(function=collect)
    command.add_argument("folders", type=Path, nargs="+", metavar="OUT")
    arguments = parser.parse_args()
    try:
        status: int = arguments.function(arguments)
    except (ValueError, FileNotFoundError) as error:
        parser.error(str(error))
    return status


if __name__ == "__main__":
    sys.exit(main())
