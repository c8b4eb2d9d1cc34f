"""What a user waits for on a CPU once a model is loaded: vectors, likelihoods, variants.

    python benchmarks/use_cpu.py [--repeats 3] [--before CHECKOUT] [--threads 2]

The packaged model reads ``--sequences`` random sequences of 20 to 400 bases, ``--variants`` SNVs of
a random contig (``context`` 1,024, ``flank`` 256, both strands), windows of a contig, and a region
for mutagenesis. Checked first: vectors and scores of single calls are those of one call. Then all
jobs are timed, in turns with those of another checkout if one is named, each turn in a process of
its own; medians count, in seconds of the clock and of the CPU.

The budget of the first job (84,000 bases; 4 layers, d_model 128, D 256, N 16; batches of 4,096
positions, so 22 of them; calls are those into PyTorch). Bytes are what an op reads and writes,
in the caches where a batch fits:

    one look-up for all strings   a byte in, a byte out                    10 us
    a layer's projections         4 calls a batch and layer                220 kFLOP a base
    a layer's scan                25 calls for 32 positions x rows         4,096 states a base and
                                  five passes over them: product, exp2, product, fused multiply-add,
                                  sum over N; 16 KB each, in the second-level cache
    convolution, norm, gate       some 60 calls a batch and layer          30 KB a base
    pooling                       10 calls a batch                         512 bytes a base
    vectors to the CPU            1 call                                   512 bytes a sequence

A variant of the second costs 2 strands x (1,025 + 2 x 257) positions of the same.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import machine, print_table, write_results

import dnamamba
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants import Variant
from dnamamba.inference.evaluation import evaluate
from dnamamba.inference.intervals import Interval
from dnamamba.inference.mutagenesis import mutate
from dnamamba.inference.variant_scores import score_variants

MODEL = "vertebrate-0.5m"
CONTIG = 60_000
LOOP = 50  # single calls that are timed; the figure is of as many as there are sequences


def letters(rng: random.Random, length: int) -> str:
    return "".join(rng.choices("ACGT", k=length))


class Work:
    """The inputs, and the jobs by name."""

    def __init__(self, folder: Path, sequences: int, variants: int) -> None:
        rng = random.Random(1)
        self.model = dnamamba.load(MODEL)
        self.sequences = [letters(rng, rng.randint(20, 400)) for _ in range(sequences)]
        contig = letters(rng, CONTIG)
        path = folder / "genome.fa"
        path.write_text(f">contig\n{contig}\n")
        self.genome = Genome(path, folder)
        places = sorted(rng.sample(range(2_000, CONTIG - 2_000), variants))
        self.variants = [
            Variant("contig", at, contig[at], rng.choice("ACGT".replace(contig[at], "")))
            for at in places
        ]

    def embed(self) -> Any:
        return self.model.embed(self.sequences)

    def single_calls(self, n: int = LOOP) -> list[Any]:
        return [self.model.embed([sequence])[0] for sequence in self.sequences[:n]]

    def score_sequences(self) -> Any:
        return self.model.score(self.sequences).log_likelihood

    def score_variants(self) -> list[float]:
        how = self.model.model, self.model.tokenizer, self.genome
        return [score.llr for score in score_variants(*how, self.variants, context=1024)]

    def evaluate(self) -> Any:
        piece = Interval(self.genome, self.model.tokenizer, "contig", "contig", 0, CONTIG)
        return evaluate(self.model.model, self.model.tokenizer, [piece], window=512)

    def mutagenesis(self) -> Any:
        how = self.model.model, self.model.tokenizer, self.genome
        return mutate(*how, "contig", 9_000, 9_024, context=8192)

    @property
    def jobs(self) -> dict[str, Callable[[], Any]]:
        sequences, variants = len(self.sequences), len(self.variants)
        return {
            f"embed {sequences} sequences of 20 to 400": self.embed,
            f"the same in single calls ({LOOP}, scaled)": self.single_calls,
            f"score {sequences} sequences": self.score_sequences,
            f"score {variants} SNVs, context 1,024": self.score_variants,
            f"evaluate {CONTIG:,} bases, windows of 512": self.evaluate,
            "mutagenesis of 24 bases, context 8,192": self.mutagenesis,
        }

    def check(self) -> None:
        """One call gives what single calls give."""
        np.testing.assert_allclose(self.embed()[:LOOP], self.single_calls(), rtol=1e-4, atol=2e-5)
        how = self.model.model, self.model.tokenizer, self.genome
        alone = [next(score_variants(*how, [v], context=1024)).llr for v in self.variants[:5]]
        np.testing.assert_allclose(self.score_variants()[:5], alone, rtol=1e-3, atol=1e-4)
        scores = [self.model.score([s]).log_likelihood[0] for s in self.sequences[:LOOP]]
        np.testing.assert_allclose(self.score_sequences()[:LOOP], scores, rtol=1e-5)


def timed(work: Work) -> dict[str, tuple[float, float]]:
    """Seconds of the clock and of the CPU of each job."""
    work.single_calls(2)
    results = {}
    for name, job in work.jobs.items():
        clock, cpu = time.perf_counter(), time.process_time()
        job()
        scale = len(work.sequences) / LOOP if "single" in name else 1.0
        results[name] = (
            scale * (time.perf_counter() - clock),
            scale * (time.process_time() - cpu),
        )
    return results


def turn(root: Path | None, arguments: list[str]) -> dict[str, tuple[float, float]]:
    """``timed`` in a process of its own, with the packages of a checkout."""
    env = dict(os.environ)
    if root is not None:
        env["PYTHONPATH"] = f"{root}:{root / 'kernels'}"
    command = [sys.executable, __file__, "--turn", *arguments]
    output = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
    return json.loads(output.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sequences", type=int, default=400)
    parser.add_argument("--variants", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--before", type=Path, help="a checkout to take turns with")
    parser.add_argument("--turn", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        work = Work(Path(folder), arguments.sequences, arguments.variants)
        if arguments.turn:
            print(json.dumps(timed(work)))
            return
        work.check()
    passed = [f"--{name}={getattr(arguments, name)}" for name in ("sequences", "variants")]
    passed.append(f"--threads={arguments.threads}")
    contestants = {"now": None, **({"before": arguments.before} if arguments.before else {})}
    turns: dict[str, list[dict[str, tuple[float, float]]]] = {name: [] for name in contestants}
    for _ in range(arguments.repeats):
        for name, root in contestants.items():
            turns[name].append(turn(root, passed))
    rows = []
    for job in turns["now"][0]:
        row: list[Any] = [job]
        medians = {
            name: [statistics.median(t[job][k] for t in times) for k in (0, 1)]
            for name, times in turns.items()
        }
        for name in contestants:
            row += medians[name]
        if "before" in medians:
            row += [b / n for b, n in zip(medians["before"], medians["now"], strict=True)]
        rows.append(row)
    columns = ["job"] + [f"{name}, {of}" for name in contestants for of in ("s", "CPU s")]
    columns += ["times, clock", "times, CPU"] if arguments.before else []
    shown = [[row[0], *(f"{value:.2f}" for value in row[1:])] for row in rows]
    print_table(f"{MODEL}, {arguments.threads} threads", columns, shown)
    settings = {k: v for k, v in vars(arguments).items() if k not in ("turn", "before")}
    results = {"machine": machine(), "settings": settings, "columns": columns, "rows": rows}
    write_results("use_cpu", {**results, "turns": turns})


if __name__ == "__main__":
    main()
