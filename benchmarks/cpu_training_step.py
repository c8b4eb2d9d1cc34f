"""A training step of a whole model on the CPU: dnamamba beside transformers and mambapy.

The three hold the same weights and must give the same logits before anything is timed. Each runs
in a process of its own, so that its peak memory is its own; they take their steps in turn, so that
what else the machine does falls on all alike.

    python benchmarks/cpu_training_step.py [--threads 2] [--repeats 5] [--limit 120]

Needs ``pip install transformers mambapy``, and Linux for the peak of a step cut short. A step of
transformers' PyTorch path takes minutes to hours and is given up after ``--limit`` seconds: its
time and memory are then lower bounds.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Timer

import torch
from harness import machine, print_table, write_results
from torch import Tensor, nn
from torch.nn import functional as F

CONTESTANTS = ("dnamamba", "transformers", "mambapy")
TOKENS = 8192  # a step
SIZES = {"n_layers": 4, "d_model": 128, "d_state": 16, "vocab_size": 16}

Forward = Callable[[Tensor], Tensor]


def build(name: str) -> tuple[nn.Module, Forward]:
    """The contestant and its logits of tokens (B, L); all have the same weights."""
    import transformers

    torch.manual_seed(0)
    config = transformers.MambaConfig(
        vocab_size=SIZES["vocab_size"],
        hidden_size=SIZES["d_model"],
        num_hidden_layers=SIZES["n_layers"],
        state_size=SIZES["d_state"],
    )
    theirs = transformers.MambaForCausalLM(config)
    if name == "transformers":
        return theirs, lambda tokens: theirs(tokens, use_cache=False).logits
    if name == "dnamamba":
        from dnamamba.model.weights import from_published

        ours = from_published(theirs.state_dict()).train()
        return ours, lambda tokens: ours(tokens)[0]
    model = mambapy_model(theirs)
    return model, model


def mambapy_model(theirs: nn.Module) -> nn.Module:
    """mambapy's Mamba between an embedding and a head: what its ``LM`` is without its Mamba-2."""
    from mambapy.mamba import Mamba, MambaConfig, RMSNorm

    width = SIZES["d_model"]
    model = nn.Sequential(
        nn.Embedding(SIZES["vocab_size"], width),
        Mamba(MambaConfig(d_model=width, n_layers=SIZES["n_layers"], d_state=SIZES["d_state"])),
        RMSNorm(width, 1e-5),
        nn.Linear(width, SIZES["vocab_size"], bias=False),
    )
    model[3].weight = model[0].weight
    weights = {
        name.replace("backbone.embeddings.", "0.")
        .replace("backbone.layers.", "1.layers.")
        .replace("backbone.norm_f.", "2.")
        .replace("lm_head.", "3."): tensor
        for name, tensor in theirs.state_dict().items()
    }
    model.load_state_dict(weights)
    return model


def check_parity() -> dict[str, float]:
    """Relative error of the others' logits against dnamamba's."""
    tokens = torch.randint(0, SIZES["vocab_size"], (2, 100))
    logits = {}
    for name in CONTESTANTS:
        _, forward = build(name)
        with torch.no_grad():
            logits[name] = forward(tokens)
    ours = logits["dnamamba"]
    errors = {name: float((logits[name] - ours).norm() / ours.norm()) for name in CONTESTANTS[1:]}
    for name, error in errors.items():
        if error > 1e-5:
            raise SystemExit(f"{name} does not compute the same: relative error {error:.1e}")
    return errors


def work(name: str, length: int, threads: int) -> None:
    """A contestant's process: writes its peak so far (KiB), then a step's seconds per line read."""
    torch.set_num_threads(threads)
    model, forward = build(name)
    optimizer = torch.optim.AdamW(model.parameters())

    def step(tokens: Tensor) -> None:
        optimizer.zero_grad()
        logits = forward(tokens)
        F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()).backward()
        optimizer.step()

    step(torch.randint(0, SIZES["vocab_size"], (1, 16)))
    tokens = torch.randint(0, SIZES["vocab_size"], (TOKENS // length, length))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        step(tokens)
        print(time.perf_counter() - start, flush=True)


class Worker:
    """A contestant's process as the referee sees it."""

    def __init__(self, name: str, length: int, threads: int, limit: float) -> None:
        command = [sys.executable, __file__, "--worker", name]
        command += ["--lengths", str(length), "--threads", str(threads)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.limit = limit
        self.seconds: list[float] = []
        self.out_of_time = False
        self.before = float(self.read())
        self.peak = 0.0

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def step(self) -> None:
        """One more step, unless one has already taken longer than the limit."""
        if self.out_of_time:
            return
        assert self.process.stdin is not None
        timer = Timer(self.limit, self.give_up)
        timer.start()
        self.process.stdin.write("step\n")
        self.process.stdin.flush()
        answer = self.read()
        timer.cancel()
        if not self.out_of_time:
            self.seconds.append(float(answer))
            self.measure()

    def give_up(self) -> None:
        self.out_of_time = True
        self.measure()
        self.process.kill()

    def measure(self) -> None:
        """The process's highest resident memory beyond what it had before its first step."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        highest = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        self.peak = (float(highest.split()[1]) - self.before) / 1024

    def finish(self) -> dict[str, float | bool | list[float]]:
        self.process.kill()
        self.process.wait()
        return {
            "seconds": self.seconds,
            "median_s": statistics.median(self.seconds) if self.seconds else self.limit,
            "peak_mib": self.peak,
            "out_of_time": self.out_of_time,
        }


def compare(length: int, threads: int, repeats: int, limit: float) -> dict[str, dict]:
    """Every contestant's steps at one length, taken in turn; one that takes long steps once."""
    workers = {name: Worker(name, length, threads, limit) for name in CONTESTANTS}
    for turn in range(repeats + 1):  # the first warms up, and is the only one of the slow
        for worker in workers.values():
            slow = turn > 0 and (worker.out_of_time or worker.seconds[0] > limit / repeats)
            if not slow:
                worker.step()
    for worker in workers.values():
        worker.seconds = worker.seconds[1:] or worker.seconds
    return {name: worker.finish() for name, worker in workers.items()}


def row(length: int, name: str, result: dict, ours: dict) -> list[str]:
    more = ">" if result["out_of_time"] else ""
    seconds = result["median_s"]
    return [
        f"{length:,}",
        name,
        f"{more}{seconds:.2f}",
        f"{'<' if more else ''}{TOKENS / seconds:,.0f}",
        f"{more}{seconds / ours['median_s']:.1f}",
        f"{more}{result['peak_mib']:,.0f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024, 8192])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--limit", type=float, default=120.0, help="seconds for one step")
    parser.add_argument("--worker", choices=CONTESTANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker, options.lengths[0], options.threads)
        return
    errors = check_parity()
    results = {
        str(length): compare(length, options.threads, options.repeats, options.limit)
        for length in options.lengths
    }
    print_table(
        f"CPU training step, {options.threads} threads, {TOKENS:,} tokens, {SIZES}",
        ["L", "model", "median s", "tokens/s", "times ours", "peak MiB"],
        [
            row(int(length), name, result, by_name["dnamamba"])
            for length, by_name in results.items()
            for name, result in by_name.items()
        ],
    )
    write_results(
        "cpu_training_step",
        {
            "machine": machine(*CONTESTANTS[1:]),
            "threads": options.threads,
            "tokens": TOKENS,
            "sizes": SIZES,
            "logits_relative_error": errors,
            "limit_s": options.limit,
            "results": results,
        },
    )


if __name__ == "__main__":
    main()
