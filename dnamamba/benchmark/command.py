"""``dnamamba benchmark``: models on labelled tasks, beside what any model must beat."""

import math
from collections.abc import Sequence

from dnamamba import arguments
from dnamamba.benchmark import checks
from dnamamba.benchmark.asked import Asked

__all__ = ["benchmark"]


def benchmark(
    tasks: Sequence[str] = (),
    *,
    models: Sequence[str] = (),
    output: str | None = None,
    data: str | None = None,
    seeds: int = 1,
    protocols: Sequence[str] = ("frozen", "fine-tuned", "zero-shot"),
    recipe: str | None = None,
    set: Sequence[str] = (),
    workers: int | None = None,
    device: str = "auto",
    seconds: float | None = None,
    folds: int | None = None,
    list: bool = False,
) -> None:
    """Measure models on labelled tasks, beside k-mers, random weights and training from scratch.

    Every task has the columns k-mers; random weights, frozen; from scratch; and of each MODEL
    frozen and fine-tuned; of variants zero-shot, too. Choices are made by the validation part
    alone. Started again with the same output, it does what is missing. Writes table.md, table.csv,
    table.json and chart.png into the output folder, and prints the table.

    Args:
        tasks: suites, tasks of one (gue/tf/0), or labelled tables of your own.
        models: one or more folders, .ckpt files or names of models, ours or published.
        output: a folder, new or of a benchmark that is to go on.
        data: folder of the suites' files; without it they are looked for in the cache, and
            fetched.
        seeds: runs of every column in which something is random.
        protocols: of frozen, fine-tuned and zero-shot those that are to be there.
        recipe: YAML file of what is to be otherwise in fine-tuning; see docs/benchmark.md.
        set: the same as KEY=VALUE, by dotted keys.
        workers: runs side by side; without it as many as a GPU's memory and the cores allow,
            on a CPU one.
        device: where models run: cpu, cuda, cuda:N or mps; auto takes a GPU if there is one.
        seconds: after so many begin no more runs, end those of other processes, and write the
            table of what there is.
        folds: of a cross-validation, for labelled tables of your own without a test part; each
            seed runs in every one of them.
        list: show the suites and their tasks, and whose files are at hand; run nothing.

    Raises:
        ValueError: an unknown task, a model that does not load, missing files or extras, an
            output folder of other things; or runs that failed, when all others are done.
    """
    folder = None if data is None else arguments.path("data", data)
    if folder is not None and not folder.is_dir():
        raise ValueError(f"data must be the folder of the suites' files, got {data}")
    if list:
        from dnamamba.benchmark.wanted import listing

        print(listing(folder))
        return
    asked = Asked(
        tuple(tasks), tuple(models), seeds, tuple(protocols), recipe, tuple(set), folder, workers,
        device, math.inf if seconds is None else seconds, folds,
    )  # fmt: skip
    if output is None:
        raise ValueError("output must be given, a folder: -o OUTPUT")
    checks.check_scikit_learn()
    with checks.only_writer(output) as place:
        from dnamamba.benchmark.session import run

        run(asked, place)
