"""The PyTorch convolution and the single step against the sequential fp64 reference."""

from collections.abc import Callable

import pytest
import torch
from kernels_cases import assert_close, conv_case
from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels import causal_conv1d, causal_conv1d_step
from dnamamba_kernels.causal_conv1d.eager import panel


@pytest.mark.parametrize("L", [1, 2, 3, 4, 63, 100, 1000])
@pytest.mark.parametrize("W", [2, 3, 4])
@pytest.mark.parametrize("row", range(9))
def test_equals_the_reference(L: int, W: int, row: int) -> None:
    case = conv_case(2, L, (1, 48, 100)[row % 3], W, row)
    assert_close(case.run("torch"), case.reference())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("row", range(9))
def test_equals_the_reference_in_every_dtype(dtype: torch.dtype, row: int) -> None:
    case = conv_case(2, 65, 48, 4, row, dtype)
    assert_close(case.run("torch"), case.reference())


@pytest.mark.parametrize("elements", [1, 16, 100])
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("row", range(9))
def test_is_the_same_however_it_is_cut(
    row: int,
    threads: int,
    elements: int,
    threaded: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(panel, "PANEL_ELEMENTS", elements)
    threaded(threads)
    case = conv_case(4, 21, 5, 4, row, torch.float64)
    assert_close(case.run("torch"), case.reference())


@pytest.mark.parametrize("backend", ["torch", "reference"])
@pytest.mark.parametrize("row", range(9))
def test_gradients_are_those_of_finite_differences(backend: str, row: int) -> None:
    case = conv_case(2, 5, 3, 3, row, torch.float64)
    leaves = [tensor.requires_grad_() for tensor in case.given.values()]

    def run(*tensors: Tensor) -> tuple[Tensor, Tensor]:
        given = dict(zip(case.given, tensors, strict=True))
        return causal_conv1d(**(case.tensors | given), **case.options, backend=backend)

    assert torch.autograd.gradcheck(run, leaves)


def test_is_the_convolution_of_torch() -> None:
    x, weight, bias = torch.randn(2, 50, 6), torch.randn(6, 4), torch.randn(6)
    y, state = causal_conv1d(x, weight, bias)
    padded = F.pad(x.mT, (3, 0))
    torch.testing.assert_close(y.mT, F.silu(F.conv1d(padded, weight[:, None], bias, groups=6)))
    assert torch.equal(state, x[:, -3:].mT)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("W", [2, 3, 4])
@pytest.mark.parametrize("row", range(4))
def test_a_step_is_a_convolution_of_length_one(row: int, W: int, dtype: torch.dtype) -> None:
    case = conv_case(3, 1, 48, W, row, dtype)
    given = dict(case.tensors)
    given.pop("initial_state")
    state = torch.randn(3, 48, W - 1, generator=torch.Generator().manual_seed(row)).to(dtype)
    before = state.clone()
    x = given.pop("x")
    y, new = causal_conv1d_step(state, x[:, 0], **given)
    expected, expected_state = causal_conv1d(x, **given, initial_state=state)
    assert y.dtype == new.dtype == dtype
    assert torch.equal(state, before)
    torch.testing.assert_close(y, expected[:, 0])
    assert torch.equal(new, expected_state)


def test_is_one_operator_to_the_compiler() -> None:
    case = conv_case(2, 33, 4, 3)
    arguments = (*case.tensors.values(), case.options["resets"], True, "torch")
    torch.library.opcheck(torch.ops.dnamamba.causal_conv1d.default, arguments)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("x", torch.zeros(2, 5, 3), r"x must have shape \(B, D\) and weight \(D, W\)"),
        ("weight", torch.zeros(4, 4), r"weight must have shape \(D, W\) = \(3, 4\)"),
        ("weight", torch.zeros(3, 1), "W must be from 2 to 4, got W = 1"),
        ("bias", torch.zeros(3, dtype=torch.int64), "bias must have a floating dtype"),
        ("state", torch.zeros(2, 3, 4), r"state must have shape \(B, D, W-1\) = \(2, 3, 3\)"),
        ("state", torch.zeros(2, 3, 3).half(), "state must have dtype torch.float32"),
        ("state", torch.zeros(2, 3, 3, device="meta"), "state must be on cpu, got meta"),
        (
            "backend",
            "cuda",
            "backend must be one of triton, numba, torch, reference or None, got 'cuda'",
        ),
    ],
)
def test_a_step_refuses_what_does_not_fit(argument: str, value: object, message: str) -> None:
    given: dict[str, object] = {
        "state": torch.zeros(2, 3, 3),
        "x": torch.zeros(2, 3),
        "weight": torch.zeros(3, 4),
    }
    with pytest.raises(ValueError, match=message):
        causal_conv1d_step(**(given | {argument: value}))


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("x", torch.zeros(2, 5), r"x must have shape \(B, L, D\)"),
        ("x", torch.zeros(2, 0, 3), "got L = 0"),
        ("weight", torch.zeros(3, 5), "W from 2 to 4, got .* W = 5"),
        ("weight", torch.zeros(4, 4), r"weight must have shape \(D, W\) = \(3, 4\)"),
        ("weight", torch.zeros(3, 4, dtype=torch.int32), "weight must have a floating dtype"),
        ("bias", torch.zeros(4), r"bias must have shape \(D\) = \(3,\)"),
        ("initial_state", torch.zeros(2, 3, 4), r"shape \(B, D, W-1\) = \(2, 3, 3\)"),
        ("initial_state", torch.zeros(2, 3, 3).double(), "initial_state must have dtype"),
        ("resets", torch.zeros(2, 5), "resets must have dtype torch.bool"),
    ],
)
def test_refuses_what_does_not_fit(argument: str, value: object, message: str) -> None:
    given: dict[str, object] = {"x": torch.zeros(2, 5, 3), "weight": torch.zeros(3, 4)}
    with pytest.raises(ValueError, match=message):
        causal_conv1d(**(given | {argument: value}))
