"""Peak memory of ``dnamamba evaluate`` on a 100-kb and on a 10-Mb contig.

    python benchmarks/evaluate_memory.py

Each contig (random bases, seeded) is evaluated in a fresh process, whole, in chunks with carried
state, by an untrained model; the FASTA is opened for the first time, so that indexing counts
too. Peak memory is the process's largest resident set, the interpreter and PyTorch included; the
goal is a ratio of at most 1.2. What the process takes before any bases is shown beside it. Runs
on Linux.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from harness import machine, print_table, write_results

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.model import LanguageModel

CHILD = """
import os, sys
import torch
torch.set_num_threads({threads})
from dnamamba.commands.evaluate import evaluate_fasta
from dnamamba.api import load

def peak():
    # Not getrusage: its peak is inherited from the process that started this one.
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

load({model!r})
peaks = [peak()]
sys.stdout = open(os.devnull, "w")
evaluate_fasta({model!r}, [{fasta!r}], output={output!r})
peaks.append(peak())
print(*peaks, file=sys.__stdout__)
"""


def make_fasta(path: Path, size: int) -> Path:
    """One contig of random bases."""
    letters = np.frombuffer(b"ACGT", np.uint8)[np.random.default_rng(0).integers(0, 4, size)]
    path.write_bytes(b">contig\n" + letters.tobytes() + b"\n")
    return path


def measure(model: Path, fasta: Path, threads: int) -> dict[str, float]:
    """Seconds, and peak MiB before and after."""
    code = CHILD.format(
        model=str(model), fasta=str(fasta), output=str(fasta.with_suffix(".json")), threads=threads
    )
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    before, after = (int(kib) / 1024 for kib in done.stdout.split())
    return {"loaded_mib": before, "peak_mib": after, "seconds": time.perf_counter() - began}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs=2, default=[100_000, 10_000_000])
    parser.add_argument("--d-model", type=int, default=32)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.manual_seed(0)
    config = MambaConfig(d_model=arguments.d_model, n_layers=arguments.layers)
    with tempfile.TemporaryDirectory() as folder:
        model = checkpoint.save(Path(folder) / "model", LanguageModel(config), Tokenizer())
        figures = {
            size: measure(model, make_fasta(Path(folder) / f"{size}.fa", size), arguments.threads)
            for size in arguments.sizes
        }
    small, large = (figures[size]["peak_mib"] for size in arguments.sizes)
    print_table(
        f"evaluate, d_model {config.d_model}, {config.n_layers} layers",
        ["contig, bases", "loaded, MiB", "peak, MiB", "seconds"],
        [
            [f"{size:,}", *(f"{value:.1f}" for value in row.values())]
            for size, row in figures.items()
        ],
    )
    print(f"peak memory, large to small: {large / small:.3f} (goal: at most 1.2)")
    results = {
        "machine": machine(),
        "settings": vars(arguments),
        "figures": {str(size): row for size, row in figures.items()},
        "ratio": large / small,
        "goal": 1.2,
    }
    write_results("evaluate_memory", results)


if __name__ == "__main__":
    main()
