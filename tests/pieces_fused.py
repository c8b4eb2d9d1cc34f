"""Fused blocks over pieces of a sequence, and what they send."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
import torch.distributed as dist
from kernels_cases import Case, block_case
from layer_cases import bidirectional_case
from pieces_models import counted
from pieces_ops import FUSED, Shared, case, op_in_pieces

from dnamamba_kernels.selective_scan.fused import carry
from dnamamba_kernels.selective_scan.fused import plan as fused_plan


@contextmanager
def many_cuts() -> Iterator[None]:
    """Short chunks, little scratch, few links: a piece has several of all."""
    before = fused_plan.MIN_CHUNK, fused_plan.WORKSPACE, carry.LINKS
    fused_plan.MIN_CHUNK, fused_plan.WORKSPACE, carry.LINKS = 8, 2**11, 2
    try:
        yield
    finally:
        fused_plan.MIN_CHUNK, fused_plan.WORKSPACE, carry.LINKS = before


def fused_in_pieces(whole: Case, shared: Shared, recompute: bool = False) -> None:
    """As the whole; and no more is sent than summaries and halos, in two messages a pass."""
    whole = replace(whole, options=whole.options | {"recompute": recompute})
    directions = 2 if "reverse.A" in whole.tensors else 1
    A, weight, x = (
        next(t for name, t in whole.given.items() if name.endswith(end))
        for end in ("A", "conv_weight", "x")
    )
    (D, N), W = A.shape, weight.shape[1]
    passes = 0

    @contextmanager
    def watch() -> Iterator[None]:
        nonlocal passes
        passes += 1
        with counted() as sent, many_cuts():
            yield
        assert len(sent) == 2
        assert sum(sent) == directions * len(x) * (2 * D * N + (W - 1) * D)

    op_in_pieces(whole, whole.op, shared, "triton", watch)
    assert passes == 2


def larger(shared: Shared) -> list[tuple[int, int, int, torch.dtype]]:
    """B, L, options and dtype of more cases, where they take no time."""
    if shared.device.type == "cpu":
        return []
    return [(2, 301, 8, torch.float32), (3, 64, 0, torch.float32), (2, 130, 5, torch.bfloat16)]


@case("fused block", FUSED)
def _(shared: Shared) -> None:
    of_two = dist.get_world_size(shared.group) == 2
    fused_in_pieces(block_case(1, 21), shared, recompute=of_two)
    for sizes in larger(shared):
        fused_in_pieces(block_case(*sizes), shared)
        fused_in_pieces(block_case(*sizes), shared, recompute=True)


@case("fused bidirectional block", FUSED)
def _(shared: Shared) -> None:
    of_two = dist.get_world_size(shared.group) == 2
    whole = bidirectional_case(1, 7 if of_two else 13)
    padded = {"lengths": torch.tensor([5 if of_two else 8], dtype=torch.int32)}
    whole = replace(whole, options=whole.options | padded)
    fused_in_pieces(whole, shared, recompute=not of_two)
    for sizes in larger(shared):
        fused_in_pieces(bidirectional_case(*sizes), shared)
        fused_in_pieces(bidirectional_case(*sizes), shared, recompute=True)
    if shared.device.type == "cuda":  # of a width that is padded: the rest is not sent
        fused_in_pieces(bidirectional_case(2, 50, sizes=(70, 70)), shared)
