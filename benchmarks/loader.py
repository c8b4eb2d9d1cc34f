"""The whole loader, from windows to collated batches: how many bases a second reach the model.

    python benchmarks/loader.py

A FASTA of ten contigs is made (seeded) in a temporary folder. ``GenomeDataModule`` at its default
setting (shuffled, half of the windows read as reverse complement) delivers batches; ``masked``
also packs the soft mask. For each number of workers the median of the
rounds, by wall clock; without workers also by the process's own CPU time, which a busy machine
disturbs less. torch runs on one thread.
"""

import argparse
import logging
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from harness import machine, print_table, write_results
from read_windows import make_fasta

from dnamamba.data.modules import GenomeDataModule

LENGTHS = {1_000: 64, 16_000: 16, 131_000: 2, 1_000_000: 1}  # length -> windows in a batch
WORKERS = (0, 1, 2)


def rates(data: GenomeDataModule, megabases: int) -> tuple[float, float]:
    """Mbp/s by wall clock and by CPU time, over one pass of so many bases."""
    loader = data.train_dataloader()
    batch = data.length * data.global_batch_size
    batches = min(max(8, megabases * 1_000_000 // batch), len(loader) - 1)
    read = iter(loader)
    next(read)  # workers have started
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(batches):
        next(read)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return batches * batch / wall / 1e6, batches * batch / cpu / 1e6


def measure(fasta: Path, cache: Path, rounds: int, megabases: int) -> list[dict[str, Any]]:
    """One row a length: median rates of every setting; the settings take turns."""
    rows = []
    for length, batch in LENGTHS.items():
        settings = {
            **{f"{workers} workers": (workers, 1.0) for workers in WORKERS},
            "masked": (0, 0.5),
        }
        modules = {
            name: GenomeDataModule(
                str(fasta),
                length=length,
                global_batch_size=batch,
                soft_mask_weight=weight,
                num_workers=workers,
                cache_dir=str(cache),
            )
            for name, (workers, weight) in settings.items()
        }
        found: dict[str, list[float]] = {}
        for _ in range(rounds):
            for name, data in modules.items():
                wall, cpu = rates(data, megabases)
                found.setdefault(name, []).append(wall)
                if not data.num_workers:
                    found.setdefault(f"{name}, CPU", []).append(cpu)
        medians = {name: statistics.median(values) for name, values in found.items()}
        rows.append({"length": length, "batch": batch, **medians})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabases", type=int, default=100, help="size of the genome")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        fasta, _ = make_fasta(Path(name), options.megabases * 1_000_000)
        rows = measure(fasta, Path(name) / "cache", options.rounds, options.megabases // 3)
    columns = list(rows[0])
    print_table(
        "The whole loader, Mbp/s (default: 0 workers)",
        columns,
        [[f"{row[column]:,.0f}" for column in columns] for row in rows],
    )
    write_results("loader", {"machine": machine(), "mbp_per_second": rows})


if __name__ == "__main__":
    main()
