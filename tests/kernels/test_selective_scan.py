"""The PyTorch scan and the single step against the sequential fp64 reference."""

import math
from collections.abc import Callable

import pytest
import torch
from kernels_cases import assert_close, relative_error, scan_case, scan_cases
from torch import Tensor

from dnamamba_kernels import selective_scan, selective_scan_step
from dnamamba_kernels.selective_scan.chunked import sweep


@pytest.mark.parametrize(("L", "D", "N", "row"), scan_cases())
def test_equals_the_reference_at_every_size(L: int, D: int, N: int, row: int) -> None:
    case = scan_case(2, L, D, N, row)
    assert_close(case.run("torch"), case.reference())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("row", range(9))
def test_equals_the_reference_in_every_dtype(dtype: torch.dtype, row: int) -> None:
    case = scan_case(2, 100, 48, 16, row, dtype)
    assert_close(case.run("torch"), case.reference())


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("elements", "positions", "panel"), [(1, 1, 1), (64, 3, 2), (500, 8, 3)])
@pytest.mark.parametrize("row", [5, 6, 7, 8])
def test_is_the_same_however_it_is_cut(
    row: int,
    elements: int,
    positions: int,
    panel: int,
    threads: int,
    threaded: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sweep, "SLAB_ELEMENTS", elements)
    monkeypatch.setattr(sweep, "SLAB_POSITIONS", positions)
    monkeypatch.setattr(sweep, "PANEL_SLABS", panel)
    threaded(threads)
    case = scan_case(4, 41, 5, 3, row, torch.float64)
    assert_close(case.run("torch"), case.reference())


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("elements", "positions"), [(1 << 17, 4), (64, 1), (500, 3)])
@pytest.mark.parametrize("row", range(9))
def test_gives_the_same_where_no_backward_follows(
    row: int,
    elements: int,
    positions: int,
    dtype: torch.dtype,
    threads: int,
    threaded: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sweep, "SLAB_ELEMENTS", elements)
    monkeypatch.setattr(sweep, "SLAB_POSITIONS_UNKEPT", positions)
    threaded(threads)
    case = scan_case(4, 41, 5, 3, row, dtype)
    expected = selective_scan(**(case.tensors | case.given), **case.options, backend="torch")
    with torch.inference_mode():
        got = selective_scan(**(case.tensors | case.given), **case.options, backend="torch")
    torch.testing.assert_close(got, tuple(x.detach() for x in expected))


@pytest.mark.parametrize("backend", ["torch", "reference"])
@pytest.mark.parametrize("row", range(9))
def test_gradients_are_those_of_finite_differences(backend: str, row: int) -> None:
    case = scan_case(2, 5, 3, 2, row, torch.float64)
    leaves = [tensor.requires_grad_() for tensor in case.given.values()]

    def run(*tensors: Tensor) -> tuple[Tensor, Tensor]:
        given = dict(zip(case.given, tensors, strict=True))
        return selective_scan(**(case.tensors | given), **case.options, backend=backend)

    assert torch.autograd.gradcheck(run, leaves)


@pytest.mark.parametrize("backend", ["torch", "reference"])
@pytest.mark.parametrize("reverse", [False, True])
def test_padding_leaves_the_state_as_it_is_and_takes_no_gradient(
    backend: str, reverse: bool
) -> None:
    case = scan_case(2, 20, 6, 4, 3)
    tensors = {k: t.detach() for k, t in case.given.items()}
    short = {k: t[:, :13] if k in ("u", "delta", "B", "C", "z") else t for k, t in tensors.items()}
    tensors["delta"] = tensors["delta"].clone()
    tensors["delta"][:, 13:] = -math.inf
    leaves = {k: t.clone().requires_grad_() for k, t in tensors.items()}
    y, state = selective_scan(**leaves, reverse=reverse, backend=backend)
    expected, expected_state = selective_scan(**short, reverse=reverse, backend=backend)
    torch.testing.assert_close(y[:, :13], expected)
    torch.testing.assert_close(state, expected_state)
    (y[:, :13].sum() + state.sum()).backward()
    assert all(leaf.grad is not None and leaf.grad.isfinite().all() for leaf in leaves.values())
    for name in ("u", "delta", "B", "C"):
        assert not leaves[name].grad[:, 13:].any(), name

    state = torch.randn(2, 6, 4)
    leaves["delta"] = torch.full_like(tensors["delta"], -math.inf)
    nothing = leaves | {"initial_state": state}
    assert torch.equal(selective_scan(**nothing, reverse=reverse, backend=backend)[1], state)


@pytest.mark.parametrize("delta", [-200.0, 50.0, 1e4])
def test_extreme_steps_stay_finite(delta: float) -> None:
    case = scan_case(1, 70, 4, 8)
    case.tensors["delta"] = torch.full_like(case.given["delta"], delta)
    assert_close(case.run("torch"), case.reference())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("row", range(9))
def test_a_step_is_a_scan_of_length_one(row: int, dtype: torch.dtype) -> None:
    case = scan_case(3, 1, 48, 16, row, dtype)
    given = dict(case.tensors)
    state = given.pop("initial_state")
    if state is None:
        state = torch.zeros(3, 48, 16)
    before = state.clone()
    one = {k: t[:, 0] if k in ("u", "delta", "B", "C", "z") and t is not None else t
           for k, t in given.items()}  # fmt: skip
    softplus = case.options["delta_softplus"]
    y, new = selective_scan_step(state, **one, delta_softplus=softplus)
    expected, expected_state = selective_scan(**given, initial_state=state, delta_softplus=softplus)
    assert y.dtype == dtype
    assert new.dtype == torch.float32
    assert torch.equal(state, before)
    torch.testing.assert_close(y, expected[:, 0])
    torch.testing.assert_close(new, expected_state)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_not_even_nan_crosses_a_mark_or_a_row(backend: str, reverse: bool) -> None:
    case = scan_case(2, 40, 6, 4)
    resets = torch.zeros(2, 40, dtype=torch.bool)
    resets[:, 20] = True
    case.given["u"][0, 30 if reverse else 3] = math.nan
    y, _ = selective_scan(**case.tensors, resets=resets, reverse=reverse, backend=backend)
    assert not y[0].isfinite().all()
    assert y[1].isfinite().all()
    clean = y[0, :20] if reverse else y[0, 20:]
    assert clean.isfinite().all()


def test_takes_slices_of_a_projection_and_leaves_its_inputs_alone() -> None:
    case = scan_case(2, 65, 48, 16)
    u, delta, z = (case.given[k] for k in ("u", "delta", "z"))
    B, C = case.given["B"], case.given["C"]
    wide, narrow = torch.cat([u, delta, z], -1), torch.cat([B, C], -1).transpose(0, 1)
    before = wide.clone()
    sliced = dict(case.tensors)
    sliced.update(zip(("u", "delta", "z"), wide.split(48, -1), strict=True))
    sliced.update(zip(("B", "C"), narrow.contiguous().transpose(0, 1).split(16, -1), strict=True))
    y, state = selective_scan(**sliced, **case.options, backend="torch")
    expected, expected_state = selective_scan(**case.tensors, **case.options, backend="torch")
    assert torch.equal(wide, before)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(state, expected_state)


def test_state_alone_or_output_alone_has_gradients() -> None:
    case = scan_case(1, 9, 3, 2)
    for k in (0, 1):
        leaves = {n: t.detach().clone().requires_grad_() for n, t in case.given.items()}
        grads = []
        for backend in ("torch", "reference"):
            out = selective_scan(**leaves, **case.options, backend=backend)[k]
            grads.append(
                torch.autograd.grad(
                    out.square().sum(), list(leaves.values()), allow_unused=True,
                    materialize_grads=True,
                )
            )  # fmt: skip
        for actual, expected in zip(*grads, strict=True):
            assert relative_error(actual, expected) < 1e-5


def test_half_precision_keeps_its_state_in_fp32_under_autocast() -> None:
    case = scan_case(2, 64, 16, 8, dtype=torch.bfloat16)
    plain = case.run("torch")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = case.run("torch")
    assert plain["state"].dtype == torch.float32
    for name, tensor in plain.items():
        assert torch.equal(tensor, cast[name]), name


def test_runs_in_inference_mode_on_threads(threaded: Callable[[int], None]) -> None:
    threaded(2)
    case = scan_case(2, 9, 4, 3)
    with torch.inference_mode():
        y, _ = selective_scan(**case.tensors, **case.options, backend="torch")
    assert relative_error(y, case.reference()["y"]) < 1e-6


def test_is_one_operator_to_the_compiler() -> None:
    case = scan_case(2, 33, 4, 3)
    tensors = list(case.tensors.values())
    arguments = (*tensors, case.options["resets"], True, True, True, "torch")
    torch.library.opcheck(torch.ops.dnamamba.selective_scan.default, arguments)


def test_a_second_derivative_is_refused() -> None:
    case = scan_case(1, 4, 2, 2, 3)
    u = case.given["u"].requires_grad_()
    y, _ = selective_scan(**(case.tensors | {"u": u}), backend="torch")
    (grad,) = torch.autograd.grad(y.square().sum(), u, create_graph=True)
    with pytest.raises(RuntimeError, match="no autograd formula was registered"):
        grad.sum().backward()


def test_repeats_bit_for_bit_on_threads(threaded: Callable[[int], None]) -> None:
    threaded(4)
    case = scan_case(2, 300, 16, 8)
    first = case.run("torch")
    for _ in range(3):
        for name, tensor in case.run("torch").items():
            assert torch.equal(tensor, first[name]), name


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("u", torch.zeros(2, 5, 3), r"state must have shape \(B, D, N\) and u \(B, D\)"),
        ("u", torch.zeros(2, 4), r"u must have shape \(B, D\) = \(2, 3\), got \(2, 4\)"),
        ("state", torch.zeros(2, 3, 2).half(), "state must have dtype torch.float32"),
        ("delta", torch.zeros(3, 2), r"delta must have shape \(B, D\) = \(2, 3\)"),
        ("A", torch.zeros(2, 3), r"A must have shape \(D, N\) = \(3, 2\)"),
        ("B", torch.zeros(2, 2, device="meta"), "B must be on cpu, got meta"),
        ("C", torch.zeros(2, 2, dtype=torch.int32), "C must have a floating dtype"),
        ("D", torch.zeros(2), r"D must have shape \(D\) = \(3,\)"),
        ("z", torch.zeros(1, 3), r"z must have shape \(B, D\)"),
        ("delta_bias", torch.zeros(3, 1), "delta_bias must have shape"),
        ("dt_weight", torch.zeros(4, 3), r"dt_weight must have shape \(D, R\) = \(3, 3\)"),
        ("dt_weight", torch.zeros(3, 4), r"delta must have shape \(B, R\) = \(2, 4\)"),
        (
            "backend",
            "cuda",
            "backend must be one of triton, numba, torch, reference or None, got 'cuda'",
        ),
    ],
)
def test_a_step_refuses_what_does_not_fit(argument: str, value: object, message: str) -> None:
    given: dict[str, object] = {
        "state": torch.zeros(2, 3, 2),
        "u": torch.zeros(2, 3),
        "delta": torch.zeros(2, 3),
        "A": torch.zeros(3, 2),
        "B": torch.zeros(2, 2),
        "C": torch.zeros(2, 2),
    }
    with pytest.raises(ValueError, match=message):
        selective_scan_step(**(given | {argument: value}))


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("u", torch.zeros(2, 5), r"u must have shape \(B, L, D\)"),
        ("u", torch.zeros(2, 0, 3), "L and D must be at least 1 .* got L = 0"),
        ("A", torch.zeros(3, 257), "N from 1 to 256, got .* N = 257"),
        ("A", torch.zeros(4, 2), r"A must have shape \(D, N\) = \(3, 2\), got \(4, 2\)"),
        ("u", torch.zeros(2, 5, 3, dtype=torch.int64), "u must have a floating dtype"),
        ("delta", torch.zeros(2, 5, 4), r"delta must have shape \(B, L, D\) = \(2, 5, 3\)"),
        ("B", torch.zeros(2, 2, 5), r"B must have shape \(B, L, N\) = \(2, 5, 2\)"),
        ("C", torch.zeros(2, 5, 2, device="meta"), "C must be on cpu, got meta"),
        ("D", torch.zeros(3, 1), r"D must have shape \(D\) = \(3,\)"),
        ("z", torch.zeros(2, 5, 3, dtype=torch.bool), "z must have a floating dtype"),
        ("delta_bias", torch.zeros(1), r"delta_bias must have shape"),
        ("initial_state", torch.zeros(2, 3, 2).half(), "initial_state must have dtype .*float32"),
        ("initial_state", torch.zeros(2, 2, 3), "initial_state must have shape"),
        ("resets", torch.zeros(2, 5), "resets must have dtype torch.bool"),
        ("resets", torch.zeros(5, 2).bool(), "resets must have shape"),
        (
            "backend",
            "cuda",
            "backend must be one of triton, numba, torch, reference or None, got 'cuda'",
        ),
    ],
)
def test_refuses_what_does_not_fit(argument: str, value: object, message: str) -> None:
    given: dict[str, object] = {
        "u": torch.zeros(2, 5, 3),
        "delta": torch.zeros(2, 5, 3),
        "A": torch.zeros(3, 2),
        "B": torch.zeros(2, 5, 2),
        "C": torch.zeros(2, 5, 2),
    }
    with pytest.raises(ValueError, match=message):
        selective_scan(**(given | {argument: value}))
