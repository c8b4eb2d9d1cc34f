"""What a command costs before it works: its imports, its help, and ``fit`` to its first step.

    python benchmarks/start.py
    python benchmarks/start.py --source ../before --name start_before

Every line is a process of its own: CPU seconds, user and system, from its start to its end, and
the seconds on the clock beside them. All lines are run in turn, once to warm the disk's cache and
then several times; the least counts, which other work on the machine hardly touches. ``fit`` trains
the quickstart's model and ends behind its first step, two batches of validation before it included.
What the imports of ``fit`` are made of is a list by package, of one run under ``-X importtime``,
which itself costs some.

The budget of ``fit``: PyTorch 1.5 s; Lightning 0.7 s more, where ``import pytorch_lightning`` by
itself takes 5: torch._dynamo with sympy, and all of torchmetrics, which imports transformers and
scipy where they are installed, are left out (``dnamamba/lean.py``); dnamamba with jsonargparse
0.5 s; parser, data and model 0.3 s; three batches of 8 x 1,024 on one core 0.5 s.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from harness import machine, print_table, write_results

from dnamamba.cli.commands import COMMANDS

ROOT = Path(__file__).parents[1]
COUNTED = 12  # packages in the list


def lines(run_dir: str) -> dict[str, list[str]]:
    """What is measured: its name, and the interpreter's arguments."""
    command = ["-m", "dnamamba"]
    helps = {
        f"{name} --help": [*command, name, *(["model"] if name == "predict" else []), "--help"]
        for name in COMMANDS
    }
    fit = ["fit", "--config", "configs/quickstart.yaml", "--run_dir", run_dir]
    return {
        "import torch": ["-c", "import torch"],
        "import torch, pytorch_lightning": ["-c", "import torch, pytorch_lightning"],
        "--help": [*command, "--help"],
        **helps,
        "fit --help": [*command, "fit", "--help"],
        "fit to its first step": [*command, *fit, "--trainer.callbacks+=step_callbacks.FirstStep"],
    }


def run(arguments: list[str], source: Path) -> tuple[float, float, str]:
    """CPU seconds, seconds, and what a process writes to standard error."""
    paths = (source, source / "kernels", ROOT / "benchmarks")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=source,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read().decode(errors="replace")
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}:\n{text}")
    return usage.ru_utime + usage.ru_stime, wall, text


def by_package(importtime: str) -> dict[str, float]:
    """Seconds that the modules of each package take themselves, the most first."""
    seconds: Counter[str] = Counter()
    for line in importtime.splitlines():
        own, *_, name = line.removeprefix("import time:").split("|")
        if line.startswith("import time:") and own.strip().isdigit():
            package = name.strip().split(".")
            top = ".".join(package[: 2 if package[:2] == ["torch", "_dynamo"] else 1])
            seconds[top] += int(own) / 1e6
    return {name: round(value, 3) for name, value in seconds.most_common(COUNTED)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--source", type=Path, default=ROOT, help="checkout to measure")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--name", default="start")
    arguments = parser.parse_args()
    source = arguments.source.resolve()
    figures: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        measured = lines(f"{folder}/run")
        for turn in range(arguments.repeats + 1):
            for name, words in measured.items():
                cpu, wall, _ = run(words, source)
                if turn:
                    figure = figures.setdefault(name, {"cpu_s": [], "wall_s": []})
                    figure["cpu_s"].append(round(cpu, 3))
                    figure["wall_s"].append(round(wall, 3))
        _, _, importtime = run(["-X", "importtime", *measured["fit --help"]], source)
    imports = by_package(importtime)
    rows = [[n, f"{min(f['cpu_s']):.2f}", f"{min(f['wall_s']):.2f}"] for n, f in figures.items()]
    print_table(f"least of {arguments.repeats}", ["", "CPU s", "s"], rows)
    print_table("imports of fit", ["package", "s"], [[*item] for item in imports.items()])
    about = machine("pytorch-lightning", "torchmetrics", "jsonargparse")
    threads = os.environ.get("OMP_NUM_THREADS")
    results = {"threads": threads, "figures": figures, "imports_of_fit_s": imports}
    write_results(arguments.name, {"machine": about, **results})


if __name__ == "__main__":
    main()
