"""A training step of the quickstart's model, alone and beside processes that load every core.

    python benchmarks/shared_cores.py
    python benchmarks/shared_cores.py --source ../before --name shared_cores_before

``dnamamba fit`` as it is typed, with as many threads as PyTorch takes; beside it as many processes
as there are cores do nothing but count. With a fair share of the cores a step takes twice as long,
and somewhat more for the turns that the system gives. Runs alternate; the median of their steps
counts, the first ones left out. Figures mean little where the machine has other work already.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import machine, print_table, write_results
from start import ROOT, run

WARM = 3  # steps that do not count


@contextmanager
def loaded(processes: int) -> Iterator[None]:
    """So many processes that count, while the block runs."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def steps(source: Path, count: int) -> tuple[float, float]:
    """Median seconds of a step, and CPU seconds of the whole run."""
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--run_dir", f"{folder}/run", "--trainer.max_steps", str(WARM + count)]
        flags += ["--trainer.limit_val_batches", "0", "--trainer.accelerator", "cpu"]
        flags.append("--trainer.callbacks+=step_callbacks.StepTimes")
        fit = ["-m", "dnamamba", "fit", "--config", "configs/quickstart.yaml", *flags]
        cpu, _, text = run(fit, source)
    seconds = next(line for line in reversed(text.splitlines()) if line.startswith("["))
    return statistics.median(json.loads(seconds)[WARM:]), cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--source", type=Path, default=ROOT, help="checkout to measure")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--name", default="shared_cores")
    arguments = parser.parse_args()
    source = arguments.source.resolve()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    figures: dict[str, dict[str, list[float]]] = {}
    for _ in range(arguments.repeats):
        for name, processes in (("alone", 0), ("every core loaded", cores or 1)):
            with loaded(processes):
                step, cpu = steps(source, arguments.steps)
            figure = figures.setdefault(name, {"step_s": [], "cpu_of_run_s": []})
            figure["step_s"].append(round(step, 4))
            figure["cpu_of_run_s"].append(round(cpu, 2))
    rows = [
        [name, *(f"{1e3 * value:,.0f}" for value in figure["step_s"])]
        for name, figure in figures.items()
    ]
    columns = [f"step, ms, run {number}" for number in range(1, arguments.repeats + 1)]
    print_table("fit --config configs/quickstart.yaml", ["", *columns], rows)
    chosen = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY")}
    results = {"machine": machine("pytorch-lightning"), "environment": chosen, "figures": figures}
    write_results(arguments.name, results)


if __name__ == "__main__":
    main()
