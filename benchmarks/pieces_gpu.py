"""Time training on one long row that several GPUs share in pieces, beside one that reads it all.

    python benchmarks/pieces_gpu.py [--devices 2] [--steps 6] [--lengths 131072 1048576]
        [--families causal bidirectional] [--largest [LOW HIGH]]

d_model 256, 8 layers, bf16 autocast, AdamW, the next base at each position, one row a step, causal
and bidirectional, blocks recomputed or not. Tokens a second count from the end of the warm-up;
memory is the allocator's peak behind the first step, of the device that has most. Gradients of the
pieces are added up, as those of data parallelism are. First, at a small length that does not
divide, loss and gradients in fp32 are held against those of one GPU. With ``--largest`` also the
longest row that trains, blocks recomputed: doubled until memory is full, then bisected to a
sixteenth, or between LOW and HIGH bases a device; ``--lengths`` with nothing behind it leaves out
the rest.

Each figure is of fresh processes. The goals: of a row of a million on two GPUs 1.8 times one GPU's
tokens a second, 0.55 of its memory a device, and 1.8 times its longest row.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from harness import machine, print_table, write_results
from pieces_worker import FAMILIES, FULL, Run

from dnamamba.model.recompute import Recompute

WORKER = Path(__file__).with_name("pieces_worker.py")
MILLION = 2**20
CHECKED = 4_099
LIMIT = 1e-4
RECOMPUTE: tuple[Recompute, ...] = ("nothing", "everything")
FULL_OF = ("out of memory", "ALLOC_FAILED")


def run_on(run: Run, count: int, limit: float = 600.0) -> tuple[dict[str, Any], Any] | None:
    """What process 0 of ``count`` found, and its gradients if it left any; None: memory was full.

    Raises:
        RuntimeError: a process failed otherwise, or they were not done in ``limit`` seconds.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        words = [sys.executable, str(WORKER), place]
        logs = [(folder / f"{rank}.log").open("w+") for rank in range(count)]
        processes = [
            subprocess.Popen(
                [*words, str(rank), str(count), json.dumps(asdict(run))], stdout=log, stderr=log
            )
            for rank, log in enumerate(logs)
        ]
        try:
            statuses = wait_for(processes, limit)
        finally:
            for process in processes:
                process.kill()
                process.wait()
        said = [f"process {k}: {(folder / f'{k}.log').read_text()[-3000:]}" for k in range(count)]
        for log in logs:
            log.close()
        if FULL in statuses or any(word in text for word in FULL_OF for text in said):
            return None
        if any(statuses):
            raise RuntimeError("\n".join([f"{run} on {count}: ended with {statuses}", *said]))
        gradients = folder / "gradients.pt"
        left = torch.load(gradients, map_location="cpu") if gradients.is_file() else None
        return json.loads((folder / "result.json").read_text()), left


def wait_for(processes: list[subprocess.Popen[bytes]], limit: float) -> list[int | None]:
    """Their exit statuses, as soon as all have ended or one has failed; None of those that run."""
    end = time.monotonic() + limit
    while True:
        statuses = [process.poll() for process in processes]
        if any(statuses) or None not in statuses:
            return statuses
        if time.monotonic() > end:
            raise RuntimeError(f"nothing after {limit:.0f} s")
        time.sleep(0.05)


def check(run: Run, count: int) -> dict[str, float]:
    """The largest error of the loss and of a gradient by norm, on ``count`` against one.

    Raises:
        AssertionError: it is more than ``LIMIT``.
    """
    with ThreadPoolExecutor() as side_by_side:  # nothing is timed yet
        alone = side_by_side.submit(run_on, run, 1)
        shared = {
            what: side_by_side.submit(run_on, replace(run, recompute=what), count)
            for what in RECOMPUTE
        }
    expected, errors = alone.result(), {}
    assert expected is not None
    for what, pieces in shared.items():
        got = pieces.result()
        assert got is not None
        worst = abs(got[0]["loss"] / expected[0]["loss"] - 1)
        for name, gradient in expected[1].items():
            worst = max(worst, float((got[1][name] - gradient).norm() / gradient.norm()))
        errors[f"{run.family}, recomputed {what}"] = worst
        assert worst < LIMIT, errors
    return errors


def longest(run: Run, count: int, between: list[int]) -> int:
    """The row of which two steps fit, to a sixteenth of it."""

    def trains(length: int) -> bool:
        done = run_on(replace(run, length=length), count) is not None
        print(f"  {length:,} on {count}: {'trains' if done else 'memory is full'}", flush=True)
        return done

    fits, length = (count * edge for edge in between or (0, 4 * MILLION))
    if fits and not trains(fits):
        raise SystemExit(f"{fits:,} do not train on {count}; give a lower LOW")
    while trains(length):
        fits, length = length, 2 * length
    step = max(fits, length // 2) // 16
    while length - fits > step:
        middle = (fits + length) // 2
        fits, length = (middle, length) if trains(middle) else (fits, middle)
    return fits


def measured(
    families: list[str], lengths: list[int], steps: int, counts: list[int], sizes: Run
) -> Iterator[list[Any]]:
    """A row of the table for each family, length and recomputation."""
    for family in families:
        for length in lengths:
            for recompute in RECOMPUTE:
                run = replace(sizes, family=family, length=length, recompute=recompute, steps=steps)
                results = [run_on(run, count) for count in counts]
                row: list[Any] = [family, length, recompute]
                for result in results:
                    row += [None, None] if result is None else [
                        result[0]["tokens_per_s"] / 1e6, result[0]["peak_bytes"] / 2**30
                    ]  # fmt: skip
                ratios = [after / before if before and after else None
                          for before, after in (row[3:6:2], row[4:7:2])]  # fmt: skip
                yield row + ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=2, help="GPUs that share a row")
    parser.add_argument("--steps", type=int, default=6, help="timed training steps per row")
    lengths = [131_072, MILLION]
    parser.add_argument("--lengths", type=int, nargs="*", default=lengths, help="bases a row")
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--largest", type=int, nargs="*", help="find the longest rows that train")
    arguments = parser.parse_args()
    if arguments.largest is not None and len(arguments.largest) not in (0, 2):
        parser.error("--largest takes nothing, or LOW and HIGH")
    count = arguments.devices
    if torch.cuda.device_count() < max(2, count):
        parser.error(f"needs {max(2, count)} CUDA devices")

    columns = ["family", "L", "recomputed", "Mtok/s on 1", "GiB on 1",
               f"Mtok/s on {count}", f"GiB each of {count}", "speed-up", "memory"]  # fmt: skip
    sizes = Run("causal", 256, 8, CHECKED, "nothing", 0, "cuda")
    small = replace(sizes, width=48, layers=3)
    errors: dict[str, float] = {}
    for family in arguments.families:
        errors |= check(replace(small, family=family), count)
    print("largest error of loss and gradients:", errors)
    results: dict[str, Any] = {
        "gpu": torch.cuda.get_device_name(),
        "machine": machine("triton"),
        "devices": count,
        "largest_error": errors,
        "columns": columns,
    }
    rows = results["rows"] = []
    counts = [1, count]
    for row in measured(arguments.families, arguments.lengths, arguments.steps, counts, sizes):
        rows.append(row)
        print(row, flush=True)
        write_results("pieces_gpu", results)  # what is cut off keeps its rows
    shown = [[*row[:3], *("full" if x is None else f"{x:.2f}" for x in row[3:])] for row in rows]
    print_table("one row", columns, shown)
    if arguments.largest is not None:
        run = replace(sizes, recompute="everything", steps=1, warm_up=1)
        results["largest"] = {
            family: {devices: longest(replace(run, family=family), devices, arguments.largest)
                     for devices in (1, count)}
            for family in arguments.families
        }  # fmt: skip
        print("the longest row that trains:", results["largest"])
        write_results("pieces_gpu", results)


if __name__ == "__main__":
    main()
