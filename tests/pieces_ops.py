"""Ops over pieces of a sequence, held against themselves over the whole of it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from kernels_cases import Case, block_case, conv_case, scan_case
from layer_cases import bidirectional_case
from torch import Tensor

from dnamamba_kernels import pieces
from dnamamba_kernels.pieces import Pieces, cut, over

__all__ = ["CASES", "FUSED", "LARGER", "Shared", "added", "alone", "case", "close", "op_in_pieces"]

POSITIONS = {"u", "delta", "B", "C", "z", "x", "residual", "y", "branch", "stream"}
STATES = {"initial_state", "conv_state", "ssm_state", "state"}
EXACT = {torch.float32: 1e-5, torch.float64: 1e-10, torch.bfloat16: 4e-2}


class Shared(NamedTuple):
    """Those who share a sequence, and where its tensors lie."""

    group: dist.ProcessGroup
    device: torch.device


Run = Callable[[Shared], None]
CASES: dict[str, Run] = {}
FUSED: dict[str, Run] = {}
"""Those that run on Triton alone."""
LARGER: dict[str, Run] = {}
"""Those that run on GPUs alone: the interpreter would take minutes."""


@contextmanager
def alone(device: str) -> Iterator[Shared]:
    """A group of this process and no other."""
    kind = "nccl" if device == "cuda" else "gloo"
    dist.init_process_group(kind, store=dist.HashStore(), rank=0, world_size=1)
    try:
        assert dist.group.WORLD is not None
        yield Shared(dist.group.WORLD, torch.device(device))
    finally:
        dist.destroy_process_group()


def case(name: str, among: dict[str, Run] = CASES) -> Callable[[Run], Run]:
    def add(run: Run) -> Run:
        among[name] = run
        return run

    return add


def close(actual: dict[str, Tensor], expected: dict[str, Tensor], dtype: torch.dtype) -> None:
    """Within ``EXACT`` by norm; what is exactly zero stays so."""
    for name, tensor in actual.items():
        assert tensor.shape == expected[name].shape, (name, tensor.shape, expected[name].shape)
        want = expected[name].double()
        error = float((tensor.double() - want).norm())
        # Triton's rounding differs from that of what it is held against.
        limit = EXACT[dtype] * (4 if tensor.is_cuda else 1)
        assert error <= limit * float(want.norm()), f"{name}: {error:.2e}"


def added(tensor: Tensor, shared: Shared) -> Tensor:
    total = tensor.detach().clone()
    dist.all_reduce(total, group=shared.group)
    return total


def op_in_pieces(
    whole: Case,
    op: Callable[..., Any],
    shared: Shared,
    backend: str | None = None,
    watch: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> None:
    """The op over pieces gives and differentiates what it does for the whole.

    ``watch`` is entered for each of its two passes.
    """
    whole = whole.to(shared.device)
    x = whole.tensors["u"] if "u" in whole.tensors else whole.tensors["x"]
    assert x is not None
    rank, parts = dist.get_rank(shared.group), cut(x.shape[1], dist.get_world_size(shared.group))
    part, options = parts[rank], dict(whole.options)
    last = len(parts) - 1
    first = rank == (last if options.get("reverse") else 0)

    def own(name: str, tensor: Tensor | None) -> Tensor | None:
        return tensor if tensor is None or name not in POSITIONS else tensor[:, part]

    if options.get("resets") is not None:
        options["resets"] = options["resets"][:, part]
    if options.get("lengths") is not None:
        lengths = options["lengths"] - part.start
        options["lengths"] = lengths.clamp(0, part.stop - part.start)
    leaves = {
        name: own(name, tensor).clone().requires_grad_()  # type: ignore[union-attr]
        for name, tensor in whole.given.items()
    }
    agreed = Pieces.agree(x.shape[0], part.stop - part.start, shared.group)
    with over(agreed), watch():
        outputs = op(**(whole.tensors | leaves), **options, backend=backend)

    # That this is right for a whole sequence, other tests say, and the reference takes seconds.
    expected, generator, actual = (
        whole.to(torch.float64).run("torch"),
        torch.Generator().manual_seed(7),
        {},
    )
    loss = x.new_zeros(())
    for name, out in zip(whole.outputs, outputs, strict=True):
        # As ``Case.run`` draws it.
        wanted = torch.randn(expected[name].shape, generator=generator).to(whole.dtype).to(x.device)
        if name in POSITIONS or first:
            loss = loss + (own(name, wanted) * out).sum()
            actual[name] = out.detach()
    with watch():
        gradients = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    for (name, leaf), gradient in zip(leaves.items(), gradients, strict=True):
        full = torch.zeros_like(leaf) if gradient is None else gradient
        if name not in POSITIONS | STATES:
            full = added(full, shared)
        if name not in STATES or first:
            actual[f"gradient of {name}"] = full
    for name, tensor in expected.items():
        expected[name] = own(name.removeprefix("gradient of "), tensor)  # type: ignore[assignment]
    expected = {name: tensor for name, tensor in expected.items() if name in actual}
    close(actual, expected, whole.dtype)


@case("scan")
def _(shared: Shared) -> None:
    op_in_pieces(scan_case(3, 23, 5, 3), pieces.selective_scan, shared)
    for row in range(9):
        whole = scan_case(3, 23, 5, 3, row, torch.float64)
        op_in_pieces(whole, pieces.selective_scan, shared)
    op_in_pieces(scan_case(2, 4, 3, 2), pieces.selective_scan, shared)  # pieces of one position


@case("convolution")
def _(shared: Shared) -> None:
    op_in_pieces(conv_case(3, 15, 5, 4), pieces.causal_conv1d, shared)
    for row in range(9):
        op_in_pieces(conv_case(3, 15, 5, 4, row, torch.float64), pieces.causal_conv1d, shared)
    op_in_pieces(conv_case(2, 8, 3, 3), pieces.causal_conv1d, shared)  # no longer than the halo


@case("block")
def _(shared: Shared) -> None:
    for dtype, row in ((torch.float64, 3), (torch.float64, 8), (torch.bfloat16, 8)):
        for whole in (block_case(3, 21, row, dtype), bidirectional_case(4, 21, row, dtype)):
            op_in_pieces(whole, whole.op, shared)
