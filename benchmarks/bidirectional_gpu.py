"""Time the bidirectional models on one GPU beside the causal one, through the Lightning module.

    python benchmarks/bidirectional_gpu.py [--steps 6] [--lengths 1024 16384 131072 1048576]

d_model 256, 8 layers, bf16 autocast, AdamW, masked bases, 262,144 bases a step (one row where a row
is longer); tokens a second and memory as in ``model_gpu.py``. First every family's logits and
gradients on the GPU, padded rows among them, are held against fp64 on the CPU.

The budget. A causal step is 68 ms, of it 40 the scans; the second direction repeats its scans,
its convolution and the two small projections, so that 1.85 causal steps is the goal; a symmetric
model reads both strands, 2.1 bidirectional steps. Memory a base and layer: the stream, 1 KiB, h,
0.5, and of each direction u, 1, the row of s, B and C, 0.1, and the scan's states.

Caduceus' own code on such a card, Mtok/s at 1k / 16k / 131k / 1M: plain 1.03 / 0.95 / 0.72 / 0.73
with 78 KiB a base, symmetric 0.47 / 0.44 / 0.34 / out of memory with 152.
"""

import argparse
from typing import Any

import torch
from harness import machine, print_table, write_results
from model_gpu import TOKENS, infer, train

from dnamamba.config import (
    BackboneConfig,
    BiMambaConfig,
    MambaConfig,
    SelectiveConfig,
    SymmetricBiMambaConfig,
)
from dnamamba.model import LanguageModel
from dnamamba.model.recompute import Recompute

FAMILIES: dict[str, type[SelectiveConfig]] = {
    "causal": MambaConfig,
    "bidirectional": BiMambaConfig,
    "symmetric": SymmetricBiMambaConfig,
}
# Families, what is recomputed, and whether a third of each batch is padding.
RUNS: list[tuple[str, Recompute, bool]] = [
    ("causal", "nothing", False),
    ("bidirectional", "nothing", False),
    ("bidirectional", "nothing", True),
    ("bidirectional", "everything", False),
    ("symmetric", "nothing", False),
    ("symmetric", "everything", False),
]


def check(config: BackboneConfig) -> float:
    """The largest error of logits and gradients on the GPU, of the largest of each, in fp32.

    Raises:
        AssertionError: it is more than 1e-3.
    """
    torch.manual_seed(0)
    exact = LanguageModel(config).double()
    tested = LanguageModel(config)
    tested.load_state_dict(exact.state_dict())
    tested.cuda()
    tokens, lengths = torch.randint(4, 9, (3, 333)), torch.tensor([333, 200, 1])
    real = (torch.arange(333) < lengths[:, None])[..., None]
    upstream = torch.randn(3, 333, 16, dtype=torch.float64) * real
    worst = 0.0
    outputs = [
        model(tokens.to(device), lengths=lengths.to(device))[0]
        for model, device in ((exact, "cpu"), (tested, "cuda"))
    ]
    (outputs[0] * upstream).sum().backward()
    (outputs[1] * upstream.cuda()).sum().backward()
    pairs = [(outputs[0] * real, outputs[1].cpu() * real)]
    for one, other in zip(exact.parameters(), tested.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        pairs.append((one.grad, other.grad.cpu()))
    for expected, got in pairs:
        worst = max(worst, float((expected - got).abs().max() / expected.abs().max()))
    assert worst < 1e-3, f"{config.family}: {worst:.1e}"
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=6, help="timed training steps per length")
    lengths = [1_024, 16_384, 131_072, 1_048_576]
    parser.add_argument("--lengths", type=int, nargs="+", default=lengths, help="bases a row")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("needs a CUDA device")

    columns = ["L", "B", "family", "recomputed", "padded", "Mtok/s", "causal steps", "KiB/token"]
    rows: list[list[Any]] = []
    results: dict[str, Any] = {
        "gpu": torch.cuda.get_device_name(),
        "machine": machine("triton"),
        "largest_error": {
            name: check(kind(d_model=36, n_layers=3)) for name, kind in FAMILIES.items()
        },
        "columns": columns,
        "rows": rows,
    }
    print("largest error of logits and gradients:", results["largest_error"])
    for length in arguments.lengths:
        causal = 0.0
        batch = max(1, TOKENS // length)
        for name, recompute, padded in RUNS:
            torch.cuda.empty_cache()
            config = FAMILIES[name]()
            found = train(config, batch, length, arguments.steps, "cuda", recompute, padded)
            rate, memory = found["tokens_per_s"] / 1e6, found["bytes_per_token"] / 2**10
            causal = causal or rate
            rows.append([length, batch, name, recompute, padded, rate, causal / rate, memory])
    shown = [[*row[:5], *(f"{x:.2f}" for x in row[5:])] for row in rows]
    print_table("training", columns, shown)
    write_results("bidirectional_gpu", results)

    published = BiMambaConfig(d_model=118, n_layers=4)
    rate = train(published, 1024, 1024, arguments.steps, "cuda")["tokens_per_s"]
    results["118_x_4_tokens_per_s"] = rate
    print(f"d_model 118, 4 layers, 1,024 rows of 1,024: {rate / 1e6:.2f} Mtok/s")
    ahead = {
        name: {
            length: infer(kind(), max(1, TOKENS // length), length, arguments.steps, "cuda")
            for length in arguments.lengths
        }
        for name, kind in FAMILIES.items()
    }
    results["forward_tokens_per_s"] = ahead
    print("forward, tokens a second by L:", ahead)
    write_results("bidirectional_gpu", results)


if __name__ == "__main__":
    main()
