"""The scan that numba compiles, forward and backward, against the fp64 reference."""

import math
from collections.abc import Callable

import pytest
import torch
from kernels_cases import assert_close, relative_error, scan_case, scan_cases

from dnamamba_kernels import selective_scan

pytest.importorskip("numba", reason="numba is not installed")


@pytest.mark.parametrize(("L", "D", "N", "row"), scan_cases())
def test_equals_the_reference_at_every_size(L: int, D: int, N: int, row: int) -> None:
    case = scan_case(2, L, D, N, row)
    assert_close(case.run("numba"), case.reference())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("row", range(9))
def test_equals_the_reference_in_every_dtype(dtype: torch.dtype, row: int) -> None:
    case = scan_case(2, 100, 48, 16, row, dtype)
    got = case.run("numba")
    assert got["y"].dtype == dtype
    assert_close(got, case.reference())


@pytest.mark.parametrize("D", [256, 257, 600])
@pytest.mark.parametrize("row", [0, 7, 8])
def test_channels_of_several_tiles(D: int, row: int) -> None:
    case = scan_case(2, 19, D, 3, row)
    assert_close(case.run("numba"), case.reference())


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("B", "D"), [(4, 5), (1, 40), (3, 1), (0, 2)])
@pytest.mark.parametrize("row", [5, 6, 7, 8])
def test_is_the_same_however_it_is_cut(
    row: int, B: int, D: int, threads: int, threaded: Callable[[int], None]
) -> None:
    threaded(threads)
    case = scan_case(max(B, 1), 41, D, 3, row)
    if B:
        assert_close(case.run("numba"), case.reference())
        return
    tensors = {k: t[:0] if k not in ("A", "D", "delta_bias") else t for k, t in case.given.items()}
    y, state = selective_scan(**tensors, backend="numba")
    assert y.shape == (0, 41, 2)
    assert state.shape == (0, 2, 3)


@pytest.mark.parametrize("row", range(9))
def test_gives_the_same_bits_where_no_backward_follows(row: int) -> None:
    case = scan_case(2, 41, 5, 3, row)
    kept = case.run("numba")
    for name, tensor in case.infer("numba").items():
        assert torch.equal(tensor, kept[name]), name


@pytest.mark.parametrize("reverse", [False, True])
def test_padding_takes_no_gradient(reverse: bool) -> None:
    case = scan_case(2, 20, 6, 4, 3)
    leaves = {k: t.detach().clone() for k, t in case.given.items()}
    leaves["delta"][:, 13:] = -math.inf
    for leaf in leaves.values():
        leaf.requires_grad_()
    y, state = selective_scan(**leaves, reverse=reverse, backend="numba")
    (y[:, :13].sum() + state.sum()).backward()
    assert all(leaf.grad is not None and leaf.grad.isfinite().all() for leaf in leaves.values())
    for name in ("u", "delta", "B", "C"):
        assert not leaves[name].grad[:, 13:].any(), name


def test_state_alone_or_output_alone_has_gradients() -> None:
    case = scan_case(1, 37, 3, 2)
    for k in (0, 1):
        grads = []
        for backend in ("numba", "reference"):
            leaves = {n: t.detach().clone().requires_grad_() for n, t in case.given.items()}
            out = selective_scan(**leaves, **case.options, backend=backend)[k]
            wanted = list(leaves.values())
            grads.append(
                torch.autograd.grad(out.sum(), wanted, allow_unused=True, materialize_grads=True)
            )
        for actual, expected in zip(*grads, strict=True):
            assert relative_error(actual, expected) < 1e-5


@pytest.mark.parametrize("reverse", [False, True])
def test_padding_leaves_the_state_as_it_is(reverse: bool) -> None:
    case = scan_case(2, 23, 6, 4, 3)
    tensors = {k: t.detach() for k, t in case.given.items()} | {"D": None}
    state = torch.randn(2, 6, 4)
    nothing = tensors | {"delta": torch.full((2, 23, 6), -math.inf), "initial_state": state}
    assert torch.equal(selective_scan(**nothing, reverse=reverse, backend="numba")[1], state)
    none = nothing | {"delta": torch.zeros(2, 23, 6), "delta_bias": None}
    _, after = selective_scan(**none, delta_softplus=False, reverse=reverse, backend="numba")
    assert torch.equal(after, state)


@pytest.mark.parametrize("delta", [-200.0, 50.0, 1e4])
def test_extreme_steps_stay_finite(delta: float) -> None:
    case = scan_case(1, 70, 4, 8)
    case.tensors["delta"] = torch.full_like(case.given["delta"], delta)
    assert_close(case.run("numba"), case.reference())


def test_a_state_may_grow_and_overflows_to_infinity() -> None:
    one = torch.ones(1, 9, 1)
    arguments = {"u": one, "delta": one, "B": one, "C": one, "delta_softplus": False}
    for A in (1.0, 60.0):
        got = selective_scan(**arguments, A=torch.full((1, 1), A), backend="numba")
        expected = selective_scan(**arguments, A=torch.full((1, 1), A), backend="reference")
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=0)
    assert got[1].isinf().all()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", ["u", "delta", "B", "z"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nothing_crosses_a_mark_or_a_row(value: float, name: str, reverse: bool) -> None:
    for mark in (20, 21, 22, 23):
        case = scan_case(2, 40, 6, 4, 3)
        case.tensors["z"] = torch.randn(2, 40, 6)
        resets = torch.zeros(2, 40, dtype=torch.bool)
        resets[:, mark] = True
        case.tensors[name][0, 30 if reverse else 3] = value
        y, _ = selective_scan(**case.tensors, resets=resets, reverse=reverse, backend="numba")
        assert name == "z" or value == math.inf or not y[0].isfinite().all()
        assert y[1].isfinite().all()
        assert (y[0, :mark] if reverse else y[0, mark:]).isfinite().all()


def test_takes_slices_of_a_projection_and_leaves_its_inputs_alone() -> None:
    case = scan_case(2, 65, 48, 16)
    u, delta, z, B, C = (case.given[k] for k in ("u", "delta", "z", "B", "C"))
    wide, narrow = torch.cat([u, delta, z], -1), torch.cat([B, C], -1).transpose(0, 1)
    before = wide.clone()
    sliced = dict(case.tensors)
    sliced.update(zip(("u", "delta", "z"), wide.split(48, -1), strict=True))
    sliced.update(zip(("B", "C"), narrow.contiguous().transpose(0, 1).split(16, -1), strict=True))
    sliced["z"] = sliced["z"].mT.contiguous().mT
    sliced["u"] = sliced["u"][:, :1].expand(2, 65, 48)
    expected = selective_scan(**(case.tensors | {"u": sliced["u"].clone()}), **case.options)
    got = selective_scan(**sliced, **case.options, backend="numba")
    assert torch.equal(wide, before)
    torch.testing.assert_close(got, expected)


def test_parameters_that_take_a_gradient_are_read_where_none_is_asked() -> None:
    case = scan_case(2, 9, 4, 3)
    leaves = {k: t.requires_grad_() for k, t in case.given.items()}
    with torch.no_grad():
        y, _ = selective_scan(**leaves, **case.options, backend="numba")
    assert relative_error(y, case.expected()["y"]) < 1e-6


@pytest.mark.parametrize("keep", [False, True])
def test_is_one_operator_to_the_compiler(keep: bool) -> None:
    case = scan_case(2, 33, 4, 3)
    arguments = (*case.tensors.values(), case.options["resets"], True, True, keep, "numba")
    torch.library.opcheck(torch.ops.dnamamba.selective_scan.default, arguments)


def test_repeats_bit_for_bit_and_whatever_is_beside_it(threaded: Callable[[int], None]) -> None:
    threaded(4)
    case = scan_case(8, 300, 16, 8, 0)
    results = case.run("numba")
    for name, tensor in case.run("numba").items():
        assert torch.equal(tensor, results[name]), name
    first = results["y"]
    threaded(1)
    alone = {k: t[2:3] if t.dim() == 3 else t for k, t in case.given.items()}
    y, _ = selective_scan(**alone, **case.options, backend="numba")
    assert torch.equal(y[0], first[2])


def test_the_process_defaults_of_torch_matter_to_nothing() -> None:
    case = scan_case(2, 9, 4, 3, 0)
    expected = case.run("numba")
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            got = case.op(**case.tensors, **case.options, backend="numba")
    finally:
        torch.set_default_dtype(torch.float32)
    for tensor, name in zip(got, case.outputs, strict=True):
        assert torch.equal(tensor, expected[name]), name
