"""Fused blocks over pieces of a sequence, and what they send."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import torch
import torch.distributed as dist
from kernels_cases import Case, block_case
from layer_cases import bidirectional_case
from pieces_models import counted
from pieces_ops import FUSED, LARGER, Shared, case, op_in_pieces

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


@case("fused block", FUSED)
def _(shared: Shared) -> None:
    of_two = dist.get_world_size(shared.group) == 2
    fused_in_pieces(block_case(1, 21), shared, recompute=of_two)


@case("fused bidirectional block", FUSED)
def _(shared: Shared) -> None:
    of_two = dist.get_world_size(shared.group) == 2
    whole = bidirectional_case(1, 7 if of_two else 13)
    padded = {"lengths": torch.tensor([5 if of_two else 8], dtype=torch.int32)}
    whole = replace(whole, options=whole.options | padded)
    fused_in_pieces(whole, shared, recompute=not of_two)


def larger(whole: Case, shared: Shared) -> None:
    fused_in_pieces(whole, shared)
    fused_in_pieces(whole, shared, recompute=True)


# B, L, options and dtype.
for sizes in ((2, 301, 8, torch.float32), (3, 64, 0, torch.float32), (2, 130, 5, torch.bfloat16)):
    LARGER[f"fused block of {sizes[1]}"] = partial(larger, block_case(*sizes))
    LARGER[f"fused bidirectional block of {sizes[1]}"] = partial(larger, bidirectional_case(*sizes))


@case("fused bidirectional block of 70 channels", LARGER)
def _(shared: Shared) -> None:
    """A width that is padded: the rest is not sent."""
    fused_in_pieces(bidirectional_case(2, 50, sizes=(70, 70)), shared)
