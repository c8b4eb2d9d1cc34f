"""Layers of two directions, and padded rows, as one op: against what each row gives alone."""

from dataclasses import replace

import pytest
import torch
from kernels_cases import Case, assert_close
from layer_cases import alone, bidirectional_case, padded_case
from torch import Tensor

from dnamamba_kernels.backend import use
from dnamamba_kernels.selective_scan.fused import plan as fused_plan

from .fused_cases import DEVICE, INTERPRETED, grid

pytestmark = pytest.mark.skipif(
    not INTERPRETED and not torch.cuda.is_available(), reason="no GPU, and not interpreted"
)
F32, B16 = torch.float32, torch.bfloat16


def fused(case: Case, recompute: bool = False) -> dict[str, Tensor]:
    options = case.options | {"recompute": recompute}
    return replace(case, options=options).to(DEVICE).run("triton")


def check(case: Case, recompute: bool) -> None:
    # In half precision what lies between the projections is rounded several times.
    scale = 12.0 if case.dtype == B16 else 4.0
    assert_close(fused(case, recompute), alone(case), scale, case.dtype)


@pytest.mark.parametrize(
    ("B", "L", "row", "dtype", "recompute"),
    [
        (1, 1, 8, F32, True),
        (4, 2, 8, F32, False),  # shorter than the convolution's taps reach
        (2, 18, 8, F32, True),
        (2, 18, 8, F32, False),
        (1, 19, 0, F32, False),
        (2, 17, 4, F32, True),  # padded alone
        (1, 18, 3, B16, True),
        pytest.param(4, 35, 8, F32, False, marks=grid),
        pytest.param(4, 300, 8, F32, True, marks=grid),
        pytest.param(4, 300, 7, B16, False, marks=grid),
    ],
)
def test_two_directions(
    B: int, L: int, row: int, dtype: torch.dtype, recompute: bool, many_cuts: None
) -> None:
    check(bidirectional_case(B, L, row, dtype), recompute)


@pytest.mark.parametrize(
    ("L", "row", "recompute"),
    [(2, 8, False), (18, 8, True), pytest.param(18, 4, False, marks=grid)],
)
def test_one_direction_over_padded_rows(L: int, row: int, recompute: bool, many_cuts: None) -> None:
    check(padded_case(4 if L == 2 else 2, L, row), recompute)


@pytest.mark.parametrize("recompute", [pytest.param(False, marks=grid), True])
def test_over_several_pieces(
    recompute: bool, many_cuts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where gradients take the place of u and Δ, the pieces to the left still read theirs."""
    monkeypatch.setattr(fused_plan, "WORKSPACE", 2**11)
    pieces = list(fused_plan.segments(fused_plan.plan(1, 37, 10, 3), 1, 10))
    assert len(pieces) * len(pieces[0][1]) > 1
    check(bidirectional_case(1, 37), recompute)


@pytest.mark.parametrize(("width", "channels"), [(70, 70), pytest.param(118, 236, marks=grid)])
def test_widths_that_no_tile_fits(width: int, channels: int) -> None:
    case = bidirectional_case(2, 3, sizes=(width, channels))
    got = fused(case)
    assert_close(got, alone(case), 4.0)
    assert got["branch"].shape[-1] == got["gradient of in_weight"].shape[1] == width


def test_one_direction_of_a_width_that_no_tile_fits() -> None:
    """Its states come and go with the channels that there are."""
    narrow = padded_case(2, 5)
    tensors = narrow.tensors | {
        name: torch.cat([x] * 7, dim)
        for name, dim in [
            ("conv_weight", 0), ("conv_bias", 0), ("x_weight", 1), ("dt_weight", 0),
            ("dt_bias", 0), ("A", 0), ("D", 0), ("out_weight", 1), ("conv_state", 1),
            ("ssm_state", 1),
        ]
        if (x := narrow.tensors[name]) is not None
    }  # fmt: skip
    into = narrow.tensors["in_weight"]
    assert into is not None
    tensors["in_weight"] = torch.cat([half for x in into.chunk(2) for half in [x] * 7])
    check(replace(narrow, tensors=tensors), False)


def leaves(case: Case) -> dict[str, Tensor]:
    return {name: x.to(DEVICE).requires_grad_() for name, x in case.given.items()}


@pytest.mark.parametrize("output", [0, 1])
def test_outputs_that_nobody_differentiates(output: int) -> None:
    """One output alone has a gradient: that of the other is not made up."""
    case = bidirectional_case(1, 5).to(DEVICE)
    results = []
    for backend in ("triton", "reference"):
        own = leaves(case)
        case.op(**(case.tensors | own), **case.options, backend=backend)[output].sum().backward()
        results.append([torch.zeros_like(x) if x.grad is None else x.grad for x in own.values()])
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)


def test_what_is_kept() -> None:
    """With and without recomputation, the bytes that autograd holds of a position."""

    def bytes_kept(recompute: bool) -> int:
        case, kept = bidirectional_case(1, 33, 0).to(DEVICE), dict[int, int]()
        options = case.options | {"recompute": recompute}

        def pack(x: Tensor) -> Tensor:
            if 33 in x.shape:
                kept[x.data_ptr()] = x.nbytes // 33
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            outputs = case.op(**(case.tensors | leaves(case)), **options, backend="triton")
        del outputs
        return sum(kept.values())

    stream, h, u, selected = 6 * 4, 6 * 4, 10 * 4, (2 + 2 * 3) * 4
    assert bytes_kept(True) == stream
    assert bytes_kept(False) == stream + h + 2 * (u + selected)


def test_empty_batch() -> None:
    got = fused(bidirectional_case(0, 5, 3))
    assert got["branch"].shape == (0, 5, 6)
    assert got["gradient of in_weight"].abs().max() == 0


@pytest.mark.parametrize("recompute", [pytest.param(False, marks=grid), True])
def test_compiles_into_one_graph(recompute: bool) -> None:
    case = bidirectional_case(1, 3, sizes=(70, 10))
    compiled = replace(case, op=torch.compile(case.op, fullgraph=True, backend="aot_eager"))
    got, expected = fused(compiled, recompute), fused(case, recompute)
    assert_close(got, expected)


@pytest.mark.parametrize("keep", [pytest.param(False, marks=grid), True])
def test_registered_as_an_operator(keep: bool) -> None:
    from dnamamba_kernels.block.fused.operators import OPERATORS

    case = bidirectional_case(1, 2).to(DEVICE)
    own = leaves(case)
    x, residual, scale, w_in, w_out, *each = own.values()
    options = case.options
    inputs = (x, residual, scale, w_in, *each, w_out, None, None, options["resets"])
    torch.library.opcheck(OPERATORS[2].overload, (*inputs, options["lengths"], 1e-5, True, keep))


def test_chosen_by_the_default() -> None:
    case = bidirectional_case(1, 5).to(DEVICE)
    with use("triton"):
        branch, _ = case.op(**case.tensors, **case.options)
    assert torch.equal(branch, case.op(**case.tensors, **case.options, backend="triton")[0])
