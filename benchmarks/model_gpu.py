"""Time the whole model on one GPU: training through the Lightning module, inference, decoding.

    python benchmarks/model_gpu.py [--steps 8] [--lengths 1024 16384 131072 1048576]

d_model 256, 8 layers, expand 2, vocabulary 16, bf16 autocast, AdamW; 262 144 tokens a step (one
row where a row is longer). Tokens a second count from the end of the warm-up to the end of the last
step, the device idle at both; memory is the allocator's peak behind the first step. A context of a
million is trained once more with the allocator held to 24 GiB, and four million where the card has
more than 100. mamba_ssm's Mamba-1 on an H200, measured: 1.65 / 1.83 / 1.70 / 1.40 Mtok/s at 47.5
KiB a token. The goals: 4 Mtok/s at 32 KiB, and 3 Mtok/s at 20 KiB with recomputation; 12 Mtok/s
forward.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from harness import machine, print_table, write_results
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from dnamamba.alphabet import PAD, Tokenizer
from dnamamba.config import BackboneConfig, MambaConfig
from dnamamba.inference.decoding import Decoder
from dnamamba.model import LanguageModel
from dnamamba.model.recompute import Recompute
from dnamamba.training.optim import OptimizerConfig
from dnamamba.training.pretrain import PretrainModule

TOKENS = 262_144
RECOMPUTE: tuple[Recompute, ...] = ("nothing", "everything")  # on a GPU "cheap" keeps no less
WARM_UP = 3


class RandomBatches(IterableDataset[dict[str, Tensor]]):
    """One batch of random bases, already on the device, again and again.

    ``padded``: of each row the last third is padding.
    """

    def __init__(self, rows: int, length: int, device: str, padded: bool = False) -> None:
        ids = torch.tensor(Tokenizer().base_ids, device=device)
        tokens = ids[torch.randint(4, (rows, length), device=device)]
        self.batch = {"tokens": tokens, "index": torch.arange(rows, device=device)}
        if padded:
            real = length - length // 3
            tokens[:, real:] = PAD
            self.batch["lengths"] = torch.full((rows,), real, device=device)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        while True:
            yield self.batch


class Clock(pl.Callback):
    """Seconds between the end of the warm-up and the end of the training, the device idle."""

    def __init__(self) -> None:
        self.steps = 0
        self.started = self.seconds = 0.0

    def on_train_batch_end(self, *_: Any) -> None:
        self.steps += 1
        if self.steps == 1 and torch.cuda.is_available():
            # Before the step that is captured as a graph: replays allocate nothing.
            torch.cuda.reset_peak_memory_stats()
        if self.steps == WARM_UP:
            synchronize()
            self.started = time.perf_counter()

    def on_train_end(self, *_: Any) -> None:
        synchronize()
        self.seconds = time.perf_counter() - self.started


def synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def train(
    config: BackboneConfig,
    rows: int,
    length: int,
    steps: int,
    device: str,
    recompute: Recompute = "nothing",
    padded: bool = False,
) -> dict[str, float]:
    """Tokens a second and peak bytes a token of ``steps`` steps after the warm-up."""
    clock = Clock()
    trainer = pl.Trainer(
        accelerator="gpu" if device == "cuda" else "cpu", devices=1, precision="bf16-mixed",
        max_steps=WARM_UP + steps, callbacks=[clock], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    module = PretrainModule(
        config, Tokenizer(), OptimizerConfig(warmup_steps=1), recompute=recompute
    )
    loader = DataLoader(RandomBatches(rows, length, device, padded), batch_size=None)
    with warnings.catch_warnings():  # of few workers, where none is wanted
        warnings.simplefilter("ignore")
        trainer.fit(module, loader)
    peak = torch.cuda.max_memory_allocated() if device == "cuda" else 0
    return {
        "tokens_per_s": rows * length * steps / clock.seconds,
        "bytes_per_token": peak / (rows * length),
    }


def fits_in(gib: int, config: MambaConfig, length: int) -> bool:
    """Whether one row of ``length`` trains while the allocator may hold ``gib`` GiB."""
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(gib * 2**30 / total)
    try:
        train(config, 1, length, 1, "cuda", "everything")
    except torch.OutOfMemoryError:
        return False
    finally:
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(1.0)
    return True


def seconds_of(work: Callable[[], object], repeats: int) -> float:
    """Median wall time of one call, the device idle before and after."""
    times = []
    for _ in range(repeats + WARM_UP):
        synchronize()
        start = time.perf_counter()
        work()
        synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[WARM_UP:])


@torch.inference_mode()
def infer(config: BackboneConfig, rows: int, length: int, repeats: int, device: str) -> float:
    """Tokens a second of the forward."""
    model = LanguageModel(config).to(device).eval()
    tokens = RandomBatches(rows, length, device).batch["tokens"]
    with torch.autocast(device, torch.bfloat16):
        return rows * length / seconds_of(lambda: model(tokens), repeats)


@torch.inference_mode()
def decode(config: MambaConfig, rows: int, tokens: int, repeats: int, device: str) -> float:
    """Tokens a second of recurrent steps, one after the other."""
    model = LanguageModel(config).to(device, torch.bfloat16).eval()
    start = torch.full((rows,), Tokenizer().base_ids[0], device=device)
    decoder = Decoder(model, model.backbone.initial_state(rows))

    def draw() -> None:
        token = start
        for _ in range(tokens):
            token = decoder.step(token).argmax(1)

    return rows * tokens / seconds_of(draw, repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=8, help="timed training steps per length")
    lengths = [1_024, 16_384, 131_072, 1_048_576]
    parser.add_argument("--lengths", type=int, nargs="+", default=lengths, help="bases a row")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("needs a CUDA device")

    config, steps = MambaConfig(), arguments.steps
    columns = ["L", "B", "recomputed", "train Mtok/s", "peak KiB/token"]
    rows: list[list[Any]] = []
    results: dict[str, Any] = {
        "gpu": torch.cuda.get_device_name(),
        "machine": machine("triton"),
        "columns": columns,
        "rows": rows,
    }
    for length in arguments.lengths:
        batch = max(1, TOKENS // length)
        for recompute in RECOMPUTE:
            torch.cuda.empty_cache()
            found = train(config, batch, length, steps, "cuda", recompute)
            rate, memory = found["tokens_per_s"] / 1e6, found["bytes_per_token"] / 2**10
            rows.append([length, batch, recompute, rate, memory])
    shown = [[*row[:3], *(f"{x:.2f}" for x in row[3:])] for row in rows]
    print_table("training", columns, shown)
    write_results("model_gpu", results)  # after each part: a run that is stopped keeps the others

    fits = fits_in(24, config, 1_048_576)
    results["1M_trains_within_24_GiB"] = fits
    print(f"a context of 1,048,576 trains within 24 GiB, blocks recomputed: {fits}")
    if torch.cuda.get_device_properties(0).total_memory > 100 * 2**30:
        results["4M"] = found = train(config, 1, 4_194_304, 1, "cuda", "everything")
        print("a context of 4,194,304, blocks recomputed:", found)
    ahead = {
        length: infer(config, max(1, TOKENS // length), length, steps, "cuda")
        for length in arguments.lengths
    }
    results["forward_tokens_per_s"] = ahead
    print("forward, tokens a second by L:", {n: round(rate) for n, rate in ahead.items()})
    write_results("model_gpu", results)

    decoded = {n: decode(config, n, 64, steps, "cuda") for n in (1, 64, 1024)}
    results["decoding_tokens_per_s"] = decoded
    print("decoding, tokens a second by batch:", {n: round(rate) for n, rate in decoded.items()})
    write_results("model_gpu", results)


if __name__ == "__main__":
    main()
