"""Embed on the CPU with a published shape, beside the same weights in plain PyTorch.

    python benchmarks/cpu_bidirectional.py [--sequences 16] [--length 1024] [--repeats 3]

The shape is that of Caduceus-Ph 1k, d_model 256, 4 layers. The contestant is what a user without
mamba_ssm's CUDA extension has: its modules in PyTorch, with the published ``selective_scan_ref``,
a loop over positions, and the reverse direction by flipping. Both read the same batches; vectors
are the mean over positions. Checked before timing; contestants take turns, the median counts.
"""

import argparse
import statistics
import time
from typing import Any, cast

import torch
from harness import machine, print_table, write_results
from torch import Tensor
from torch.nn import functional as F

from dnamamba import Tokenizer, embed
from dnamamba.config import BiMambaConfig
from dnamamba.model import LanguageModel
from dnamamba.model.block import Block
from dnamamba.model.mixers.bidirectional import BiMambaMixer
from dnamamba.model.mixers.selective import OneDirection


def selective_scan_ref(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, z: Tensor, bias: Tensor
) -> Tensor:
    """As in mamba_ssm's ops/selective_scan_interface.py: u, delta, z (B, D, L); B, C (B, N, L)."""
    delta = F.softplus(delta + bias[..., None])
    decay = torch.exp(torch.einsum("bdl,dn->bdln", delta, A))
    inputs = torch.einsum("bdl,bnl,bdl->bdln", delta, B, u)
    x = A.new_zeros((*u.shape[:2], A.shape[1]))
    ys = []
    for i in range(u.shape[2]):
        x = decay[:, :, i] * x + inputs[:, :, i]
        ys.append(torch.einsum("bdn,bn->bd", x, C[:, :, i]))
    y = torch.stack(ys, dim=2)
    return (y + u * D[:, None]) * F.silu(z)


def direction(part: OneDirection, xz: Tensor) -> Tensor:
    """(B, D, L) of the in-projection's (B, 2 D, L)."""
    x, z = xz.chunk(2, dim=1)
    taps = part.conv1d.kernel_size[0]
    u = F.silu(
        F.conv1d(F.pad(x, (taps - 1, 0)), part.conv1d.weight, part.conv1d.bias, groups=len(part.D))
    )
    N = part.A_log.shape[1]
    selected = part.x_proj(u.transpose(1, 2))
    rank, B, C = selected.split((selected.shape[-1] - 2 * N, N, N), -1)
    delta = (rank @ part.dt_proj.weight.t()).transpose(1, 2)
    A = -torch.exp(part.A_log)
    maps = B.transpose(1, 2), C.transpose(1, 2)
    return selective_scan_ref(u, delta, A, *maps, part.D, z, part.dt_proj.bias)


@torch.inference_mode()
def plain(model: LanguageModel, tokens: Tensor) -> Tensor:
    """Mean hidden states (B, d_model) of full rows (B, L), by PyTorch's own operations alone."""
    x: Tensor = model.backbone.embedding(tokens.int())
    stream = torch.zeros_like(x)
    for layer in model.backbone.layers:
        block = cast(Block, layer)
        mixer = cast(BiMambaMixer, block.mixer)
        stream = stream + x
        h = F.rms_norm(stream, stream.shape[-1:], block.norm.weight, block.norm.eps)
        xz = mixer.in_proj(h).transpose(1, 2)
        y = direction(mixer.mamba_fwd, xz) + direction(mixer.mamba_rev, xz.flip(-1)).flip(-1)
        x = mixer.out_proj(y.transpose(1, 2))
    norm = cast(Any, model.backbone.norm_f)
    return F.rms_norm(stream + x, x.shape[-1:], norm.weight, norm.eps).mean(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sequences", type=int, default=16)
    parser.add_argument("--length", type=int, default=1024, help="bases of each")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()

    torch.manual_seed(0)
    model, tokenizer = LanguageModel(BiMambaConfig(d_model=256, n_layers=4)).eval(), Tokenizer()
    ids = torch.tensor(tokenizer.base_ids)
    drawn = ids[torch.randint(4, (arguments.sequences, arguments.length))].to(torch.uint8)
    sequences = [tokenizer.decode(row.numpy()) for row in drawn]

    def ours() -> Tensor:
        return torch.from_numpy(embed(model, tokenizer, sequences))

    def theirs() -> Tensor:
        return plain(model, drawn)

    torch.testing.assert_close(ours(), theirs(), atol=1e-4, rtol=1e-3)
    seconds: dict[str, list[float]] = {"dnamamba": [], "plain PyTorch": []}
    for _ in range(arguments.repeats):
        for name, contestant in zip(seconds, (ours, theirs), strict=True):
            start = time.perf_counter()
            contestant()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    bases = arguments.sequences * arguments.length
    rows = [[name, s, bases / s, s / medians["dnamamba"]] for name, s in medians.items()]
    columns = ["embed", "seconds", "bases a second", "times dnamamba's"]
    print_table(
        f"{arguments.sequences} sequences of {arguments.length:,} bases",
        columns, [[name, f"{s:.2f}", f"{rate:,.0f}", f"{x:.1f}"] for name, s, rate, x in rows],
    )  # fmt: skip
    write_results(
        "cpu_bidirectional",
        {
            "machine": machine(),
            "threads": torch.get_num_threads(),
            "sequences": arguments.sequences,
            "length": arguments.length,
            "columns": columns,
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
