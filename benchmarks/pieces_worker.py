"""One process of ``pieces_gpu.py``: trains a few steps on its piece of one long row.

    python pieces_worker.py FOLDER RANK PROCESSES SETTINGS

SETTINGS are a ``Run`` as JSON. Process 0 leaves ``result.json`` in FOLDER and, of a run that only
checks, ``gradients.pt``. Exit status 3 says that the memory was full.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from dnamamba.alphabet import Tokenizer
from dnamamba.config import BiMambaConfig, MambaConfig, SelectiveConfig
from dnamamba.model import LanguageModel
from dnamamba.model.recompute import Recompute
from dnamamba_kernels.pieces import Pieces, cut, over

__all__ = ["FULL", "Run"]

FULL = 3
FAMILIES: dict[str, type[SelectiveConfig]] = {
    "causal": MambaConfig,
    "bidirectional": BiMambaConfig,
}


@dataclass(frozen=True)
class Run:
    """What is trained.

    Attributes:
        family: of ``FAMILIES``.
        width: d_model.
        layers: how many.
        length: positions of the row.
        recompute: what blocks compute again.
        steps: timed steps; 0 takes the gradients of one step in fp32, and leaves them.
        device: "cuda" or "cpu".
        warm_up: steps before those; memory is counted from the second on.
    """

    family: str
    width: int
    layers: int
    length: int
    recompute: Recompute
    steps: int
    device: str
    warm_up: int = 3


def trained(run: Run, model: nn.Module, tokens: Tensor, total: int) -> Tensor:
    """The loss of a step's forward and backward, of this process's positions."""
    inputs, targets = tokens[:, :-1], tokens[:, 1:].long()
    with torch.autocast(run.device, torch.bfloat16, enabled=run.steps > 0):
        logits, _ = model(inputs)
    loss = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="sum") / total
    loss.backward()
    return loss.detach()


def add_up(model: nn.Module) -> None:
    """Gradients become their sums over the processes, in one message."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([x.flatten() for x in gradients])
    dist.all_reduce(flat)
    parts = flat.split([x.numel() for x in gradients])
    torch._foreach_copy_(
        gradients, [part.view_as(x) for part, x in zip(parts, gradients, strict=True)]
    )


def timed(run: Run, step: Callable[[], object], together: bool) -> dict[str, Any]:
    """Positions a second of the row, and this process's peak of memory."""
    cuda = run.device == "cuda"
    for k in range(run.warm_up + run.steps):
        if k == 1 and cuda:
            torch.cuda.reset_peak_memory_stats()
        if k == run.warm_up:
            if together:
                dist.barrier()
            if cuda:
                torch.cuda.synchronize()
            started = time.perf_counter()
        step()
    if cuda:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    peak = torch.tensor(float(torch.cuda.max_memory_allocated() if cuda else 0), device=run.device)
    if together:
        dist.all_reduce(peak, op=dist.ReduceOp.MAX)
    return {"tokens_per_s": run.length * run.steps / seconds, "peak_bytes": peak.item()}


def work(folder: Path, rank: int, count: int, run: Run) -> None:
    torch.manual_seed(0)
    config = FAMILIES[run.family](d_model=run.width, n_layers=run.layers)
    model = LanguageModel(config).to(run.device)
    model.backbone.recompute = run.recompute
    random, ids = torch.Generator().manual_seed(1), torch.tensor(Tokenizer().base_ids)
    bases = torch.randint(4, (1, run.length + 1), generator=random, dtype=torch.uint8)
    part = cut(run.length, count)[rank]
    own = bases[:, part.start : part.stop + 1].to(run.device)  # and what follows the last of them
    tokens = ids.to(run.device, torch.uint8)[own.long()]
    optimizer = torch.optim.AdamW(model.parameters(), fused=run.device == "cuda")

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = trained(run, model, tokens, run.length)
        if count > 1:
            add_up(model)
        if run.steps:
            optimizer.step()
        return loss

    pieces = Pieces.agree(1, part.stop - part.start) if count > 1 else None
    with over(pieces):
        if run.steps:
            result = timed(run, step, count > 1)
        else:
            loss = step()
            if count > 1:
                dist.all_reduce(loss)
            result = {"loss": loss.item()}
    if rank == 0:
        if not run.steps:
            named = {name: p.grad for name, p in model.named_parameters()}
            torch.save(named, folder / "gradients.pt")
        (folder / "result.json").write_text(json.dumps(result))


def main(folder: Path, rank: int, count: int, run: Run) -> None:
    if run.device == "cuda":
        torch.cuda.set_device(rank)
    if count > 1:
        dist.init_process_group(
            "nccl" if run.device == "cuda" else "gloo",
            init_method=f"file://{folder / 'store'}", rank=rank, world_size=count,
            timeout=timedelta(minutes=5),
        )  # fmt: skip
    work(folder, rank, count, run)
    if count > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    _, folder, rank, count, settings = sys.argv
    try:
        main(Path(folder), int(rank), int(count), Run(**json.loads(settings)))
    except Exception as error:
        traceback.print_exc()
        sys.stderr.flush()
        # Without waiting for the others, who wait for this one.
        os._exit(FULL if isinstance(error, torch.OutOfMemoryError) else 1)
