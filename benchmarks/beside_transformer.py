"""The causal model beside a Transformer of its width, depth and parameters, on one GPU.

    python benchmarks/beside_transformer.py [--no-compile]
    python benchmarks/beside_transformer_plot.py      # the picture, of the figures

d_model 256, 8 layers, 3.5 M parameters, vocabulary 16. The Transformer (``transformer.py``) is as
fast as PyTorch makes it: of attention's kernels the fastest at each shape; plain and, in figures of
its own, with all but the attention compiled. First (``transformer_checks.py``) each way of
attention is held against attention written out, decoding with a cache against the whole forward,
and the Mamba's steps against its own.

Decoding: 64 tokens after a context, bf16, a step as one CUDA graph on both sides, the most likely
token read next. The Mamba's state is that after a context of random bases; the Transformer's cache
(``transformer_decoding.py``) is filled with random numbers. What it must read for a token, 8 KiB
for each position before it, bounds it: 64 rows after 8,192 positions are 4 GiB, 1 ms at the card's
4.3 TB/s; 1,024 rows after 65,536 are 512 GiB, which no card holds. Training: 262,144 tokens a step,
random bases, bf16 autocast, an fp32 stream, fused AdamW, a bare loop. The goals: five times in
decoding after 8k at 64 rows or more; ahead in training from 4k on.

``--small`` runs all of it at sizes for a test, and writes nothing.
"""

import argparse
import copy
import itertools
import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from harness import machine, print_table, write_results
from model_gpu import TOKENS
from torch.nn.attention import sdpa_kernel
from transformer import Transformer, beside, parameters
from transformer_checks import BACKENDS, check, first_line
from transformer_decoding import ATTENTIONS, cache_bytes
from transformer_rates import (
    ahead_from,
    context_state,
    decode_mamba,
    decode_transformers,
    fastest_backend,
    training_rate,
)

from dnamamba.config import MambaConfig
from dnamamba.model import LanguageModel

SPARE = 4 << 30  # bytes of a card beside the cache: weights, scores, graphs


@dataclass(frozen=True)
class Sizes:
    config: MambaConfig = MambaConfig()  # noqa: RUF009 (frozen)
    contexts: tuple[int, ...] = (8_192, 65_536)
    rows: tuple[int, ...] = (64, 1_024)
    decoded: int = 64
    lengths: tuple[int, ...] = (1_024, 2_048, 4_096, 8_192, 16_384, 65_536, 131_072)
    tokens: int = TOKENS  # a training step


SMALL = Sizes(MambaConfig(d_model=128, n_layers=2), (32, 64), (2, 4), 16, (64, 128, 256), 512)


@dataclass(frozen=True)
class Contestants:
    """The models, on their device in fp32; ``compiled`` has the weights of ``plain``."""

    mamba: LanguageModel
    plain: Transformer
    compiled: Transformer | None

    @property
    def transformers(self) -> dict[str, Transformer]:
        return {"plain": self.plain} | ({"compiled": self.compiled} if self.compiled else {})


def contestants(config: MambaConfig, device: str, compile: bool) -> tuple[Contestants, str]:
    """The models, and why nothing is compiled: "" where it is."""
    mamba, plain = LanguageModel(config).to(device), Transformer(beside(config)).to(device)
    if not compile:
        return Contestants(mamba, plain, None), "not asked for"
    compiled = compiled_copy(plain)
    try:
        with torch.autocast(device, torch.bfloat16):
            compiled(torch.zeros(2, 64, dtype=torch.long, device=device)).sum().backward()
    except Exception as error:  # a missing C compiler, a version: all sorts
        reason = f"{type(error).__name__}: {first_line(error)}"
        print("torch.compile does not run here, the Transformer is timed plain:", reason)
        return Contestants(mamba, plain, None), reason
    compiled.zero_grad()
    return Contestants(mamba, plain, compiled), ""


def compiled_copy(model: Transformer) -> Transformer:
    copied = copy.deepcopy(model)
    copied.compile_parts()
    return copied


def decoding(
    models: Contestants, ways: list[str], sizes: Sizes, device: str
) -> list[dict[str, Any]]:
    """A row for each context and batch."""
    mamba = copy.deepcopy(models.mamba).to(torch.bfloat16)
    transformers = {"plain": copy.deepcopy(models.plain).to(torch.bfloat16)}
    if models.compiled:
        transformers["compiled"] = compiled_copy(transformers["plain"])
    config, table = models.plain.config, []
    for context, rows in itertools.product(sizes.contexts, sizes.rows):
        state = context_state(models.mamba, context, device)
        row = {
            "context": context,
            "batch": rows,
            "mamba_state_bytes": sum(x.nbytes for x in state.tensors),
            "transformer_state_bytes": cache_bytes(config, context),
            "mamba": decode_mamba(mamba, state, rows, sizes.decoded, device),
        }
        needs = rows * cache_bytes(config, context + sizes.decoded)
        if needs + SPARE > free_bytes(device):
            row["needs_gib"] = needs / 2**30
        else:
            row |= decode_transformers(transformers, ways, context, rows, sizes.decoded, device)
            row["times"] = row["mamba"] / max(row[name] for name in transformers if name in row)
        table.append(row)
    return table


def free_bytes(device: str) -> float:
    """What the card has left."""
    if device == "cpu":
        return math.inf
    torch.cuda.empty_cache()
    return torch.cuda.mem_get_info()[0]


def training(
    models: Contestants, backends: list[str], sizes: Sizes, device: str
) -> list[dict[str, Any]]:
    """A row for each length."""
    table, mamba = [], models.mamba
    for length in sizes.lengths:
        rows = max(1, sizes.tokens // length)
        row: dict[str, Any] = {"length": length, "batch": rows}
        row["mamba"] = training_rate(mamba, lambda x: mamba(x)[0], rows, length, device)
        config = models.plain.config
        row["attention"] = fastest_backend(config, backends, rows, length, device)
        for name, model in models.transformers.items():
            with sdpa_kernel(BACKENDS[device][row["attention"]]):
                row[name] = training_rate(model, model, rows, length, device)
        table.append(row)
    return table


def decoding_table(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Columns and cells."""
    columns = ["context", "batch", "Mamba tok/s", "plain", "compiled", "attention", "times"]
    cells = []
    for row in rows:
        shown = [f"{row['context']:,}", f"{row['batch']:,}", f"{row['mamba']:,.0f}"]
        if "needs_gib" in row:
            shown += ["out of memory:", f"needs {row['needs_gib']:,.0f} GiB", "", ""]
        else:
            shown += [_thousands(row.get(name)) for name in ("plain", "compiled")]
            shown += [row["attention"], f"{row['times']:.1f}"]
        state = (row["mamba_state_bytes"], row["transformer_state_bytes"])
        cells.append([*shown, " / ".join(f"{x / 2**10:,.0f}" for x in state)])
    return [*columns, "KiB a sequence"], cells


def training_table(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Columns and cells."""
    columns = ["L", "B", "Mamba tok/s", "plain", "compiled", "attention"]
    cells = []
    for row in rows:
        rates = [_thousands(row.get(name)) for name in ("mamba", "plain", "compiled")]
        cells.append([f"{row['length']:,}", str(row["batch"]), *rates, row["attention"]])
    return columns, cells


def _thousands(rate: float | None) -> str:
    return "" if rate is None else f"{rate:,.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--small", action="store_true", help="sizes for a test; writes nothing")
    switch = argparse.BooleanOptionalAction
    text = "time the Transformer compiled, too"
    parser.add_argument("--compile", action=switch, default=True, help=text)
    arguments = parser.parse_args()
    small, device = arguments.small, arguments.device
    if device == "cuda" and not torch.cuda.is_available():
        parser.error("needs a CUDA device, or --small --device cpu")
    if device == "cpu" and not small:
        parser.error("--device cpu is for --small")

    sizes, began = SMALL if small else Sizes(), time.perf_counter()
    results: dict[str, Any] = {
        "gpu": torch.cuda.get_device_name() if device == "cuda" else None,
        "machine": machine("triton") if device == "cuda" else machine(),
    }

    def part(**figures: Any) -> None:
        """After each part: a run that is stopped keeps the others."""
        results.update(figures, seconds=time.perf_counter() - began)
        if not small:
            write_results("beside_transformer", results)

    errors, absent = check(device)
    print("largest errors:", {name: f"{x:.1e}" for name, x in errors.items()})
    print("what does not run here:", absent or "nothing")
    models, not_compiled = contestants(sizes.config, device, arguments.compile)
    counts = {"mamba": parameters(models.mamba), "transformer": parameters(models.plain)}
    hidden = models.plain.config.d_hidden
    print(f"parameters: {counts}, hidden channels of the MLP: {hidden}")
    part(
        parameters=counts,
        d_hidden=hidden,
        largest_errors=errors,
        absent=absent,
        not_compiled=not_compiled or None,
    )

    ways = [name for name in ATTENTIONS if f"{name} decoding" in errors]
    decoded = decoding(models, ways, sizes, device)
    print_table("decoding", *decoding_table(decoded))
    part(decoding=decoded)

    backends = [name for name in BACKENDS[device] if f"{name} attention" in errors]
    trained = training(models, backends, sizes, device)
    print_table("training", *training_table(trained))
    ahead = {name: ahead_from(trained, name) for name in models.transformers}
    for name, length in ahead.items():
        shown = f"from {length:,.0f} on" if length else "at no length to the last"
        print(f"ahead of the {name} Transformer in training: {shown}")
    part(training=trained, ahead_from=ahead)
    print(f"in all {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
