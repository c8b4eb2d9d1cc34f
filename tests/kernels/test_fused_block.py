"""A block as one op against the ops that it is made of, in fp64, outputs and every gradient."""

from functools import cache, partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels import add_rms_norm, causal_conv1d, mamba_block, selective_scan
from dnamamba_kernels.selective_scan.fused import plan as fused_plan

from .fused_cases import DEVICE, INTERPRETED, TOLERANCE, assert_same, random, run

pytestmark = pytest.mark.skipif(
    not INTERPRETED and not torch.cuda.is_available(), reason="no GPU, and not interpreted"
)
F32, B16 = torch.float32, torch.bfloat16
EPS = 1e-5


def one_by_one(*inputs: Any, resets: Tensor | None) -> tuple[Tensor, ...]:
    x, residual, scale, w_in, taps, bias, w_x, w_dt, shift, A, D, w_out, conv_state, ssm_state = (
        inputs
    )
    h, stream = add_rms_norm(x, residual, scale, EPS, backend="reference")
    i, z = F.linear(h, w_in).chunk(2, -1)
    u, tail = causal_conv1d(i, taps, bias, conv_state, resets, backend="reference")
    rank, B, C = F.linear(u, w_x).split((w_dt.shape[1], A.shape[1], A.shape[1]), -1)
    delta = F.linear(rank, w_dt)
    y, final = selective_scan(
        u, delta, A, B, C, D, z, shift, True, ssm_state, resets, backend="reference"
    )
    return F.linear(y, w_out), stream, tail, final


def fused(*inputs: Any, resets: Tensor | None, recompute: bool = False) -> tuple[Tensor, ...]:
    before, after = inputs[:3], inputs[3:]
    return mamba_block(*before, EPS, *after, resets=resets, recompute=recompute, backend="triton")


def arguments(B: int, L: int, dtype: torch.dtype, options: str) -> list[Tensor | None]:
    width, D, W, N, R = 6, 10, 4, 3, 2
    return [
        random((B, L, width), 1, dtype),
        random((B, L, width), 13) if "a" in options else None,
        random((width,), 14),
        random((2 * D, width), 2, dtype) / 2,
        random((D, W), 3) / 2,
        random((D,), 4) if "b" in options else None,
        random((R + 2 * N, D), 5, dtype) / 3,
        random((D, R), 6, dtype) / 3,
        random((D,), 7) - 1 if "b" in options else None,
        -random((D, N), 8).abs(),
        random((D,), 9),
        random((width, D), 15, dtype) / 3,
        random((B, D, W - 1), 10, dtype) if "h" in options else None,
        random((B, D, N), 11) if "h" in options else None,
    ]


def resets(B: int, L: int, options: str) -> Tensor | None:
    return random((B, L), 12) > 1.0 if "r" in options else None


@cache
def expected(B: int, L: int, dtype: torch.dtype, options: str) -> list[Tensor]:
    """Outputs and gradients of the ops in fp64."""
    call = partial(one_by_one, resets=resets(B, L, options))
    return run(call, arguments(B, L, dtype, options), exact=True)


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize(
    ("B", "L", "dtype", "options"),
    [
        (1, 1, F32, "abh"),
        (2, 2, F32, "abhr"),  # shorter than the convolution's state
        (2, 18, F32, "abhr"),
        (1, 35, F32, ""),
        (2, 21, B16, "abh"),
    ],
)
def test_outputs_and_gradients(
    B: int, L: int, dtype: torch.dtype, options: str, recompute: bool, many_cuts: None
) -> None:
    inputs = arguments(B, L, dtype, options)
    call = partial(fused, resets=resets(B, L, options), recompute=recompute)
    # In half precision what lies between the projections is rounded several times.
    tolerance = TOLERANCE[dtype] * (6 if dtype == B16 else 1)
    assert_same(run(call, inputs, exact=False), expected(B, L, dtype, options), tolerance)


@pytest.mark.parametrize("recompute", [False, True])
def test_over_several_pieces(
    recompute: bool, many_cuts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where gradients take the place of u and Δ, the pieces to the left still read theirs."""
    monkeypatch.setattr(fused_plan, "WORKSPACE", 2**11)
    pieces = list(fused_plan.segments(fused_plan.plan(2, 37, 10, 3), 2, 10))
    assert len(pieces) * len(pieces[0][1]) > 3
    inputs = arguments(2, 37, F32, "abhr")
    call = partial(fused, resets=resets(2, 37, "r"), recompute=recompute)
    assert_same(run(call, inputs, exact=False), expected(2, 37, F32, "abhr"), TOLERANCE[F32])


def leaves(B: int, L: int, options: str) -> list[Any]:
    return [x if x is None else x.requires_grad_() for x in arguments(B, L, F32, options)]


# Of PyTorch, where the first thing that its backward thread does on a GPU is a product.
@pytest.mark.parametrize("output", range(4))
def test_outputs_that_nobody_differentiates(output: int) -> None:
    """One output alone has a gradient: those of the others are not made up."""
    inputs = leaves(1, 9, "ab")
    fused(*inputs, resets=None)[output].sum().backward()
    found = [x.grad for x in inputs if x is not None]
    exact = leaves(1, 9, "ab")
    one_by_one(*exact, resets=None)[output].sum().backward()
    whole = [torch.zeros_like(x) if x.grad is None else x.grad for x in exact if x is not None]
    torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-5)


def test_what_is_kept() -> None:
    """With and without recomputation, the bytes that autograd holds of a position."""

    def held(recompute: bool) -> int:
        inputs = leaves(1, 33, "ab")
        kept: dict[int, int] = {}

        def pack(x: Tensor) -> Tensor:
            if 33 in x.shape:
                kept[x.data_ptr()] = x.nbytes // 33
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            outputs = fused(*inputs, resets=None, recompute=recompute)
        del outputs
        return sum(kept.values())

    stream, h, u, selected = 6 * 4, 6 * 4, 10 * 4, (2 + 2 * 3) * 4
    assert held(True) == stream
    assert held(False) == stream + h + u + selected


def test_empty_batch() -> None:
    inputs = leaves(0, 5, "abh")
    outputs = fused(*inputs, resets=None)
    sum(x.sum() for x in outputs).backward()  # type: ignore[union-attr]
    assert outputs[0].shape == (0, 5, 6)
    assert inputs[3].grad.abs().max() == 0


@pytest.mark.parametrize("recompute", [False, True])
def test_compiles_into_one_graph(recompute: bool) -> None:
    inputs = arguments(1, 7, F32, "abh")
    call = partial(fused, resets=None, recompute=recompute)
    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")
    assert_same(run(compiled, inputs, exact=False), run(call, inputs, exact=False), 1e-6)


def test_compiles_once_for_all_sizes() -> None:
    graphs = 0

    def counting(graph: Any, inputs: Any) -> Any:
        nonlocal graphs
        graphs += 1
        return graph.forward

    compiled = torch.compile(partial(fused, resets=None), backend=counting)
    for B, L in ((2, 9), (3, 9), (3, 11), (4, 12), (5, 13)):
        with torch.no_grad():
            compiled(*arguments(B, L, F32, "ab"))
    assert graphs <= 3  # the first size, then one that varies, then two


@pytest.mark.parametrize("keep", [False, True])
def test_registered_as_an_operator(keep: bool) -> None:
    from dnamamba_kernels.block.fused.operators import OPERATORS

    marks = torch.zeros(1, 5, dtype=torch.bool, device=DEVICE)
    x, residual, scale, *others = leaves(1, 5, "abh")
    torch.library.opcheck(
        OPERATORS[1].overload, (x, residual, scale, *others, marks, None, EPS, True, keep)
    )
