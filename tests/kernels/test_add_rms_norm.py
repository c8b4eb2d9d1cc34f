"""The PyTorch residual add and RMSNorm against the fp64 reference."""

import pytest
import torch
from kernels_cases import assert_close, norm_case
from torch.nn import functional as F

from dnamamba_kernels import add_rms_norm


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("shape", [(1,), (7,), (3, 1), (2, 5, 48), (2, 2, 3, 100), (0, 8)])
def test_equals_the_reference(shape: tuple[int, ...], residual: bool, dtype: torch.dtype) -> None:
    case = norm_case(shape, residual, dtype)
    # The gradient through a single channel is all but a cancellation.
    assert_close(case.run("torch"), case.reference(), scale=50.0 if shape[-1] == 1 else 1.0)


@pytest.mark.parametrize("residual", [True, False])
def test_gradients_are_those_of_finite_differences(residual: bool) -> None:
    case = norm_case((3, 4), residual, torch.float64)
    leaves = [tensor.requires_grad_() for tensor in case.given.values()]

    def run(*tensors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        given = dict(zip(case.given, tensors, strict=True))
        return add_rms_norm(**(case.tensors | given), eps=1e-5, backend="torch")

    assert torch.autograd.gradcheck(run, leaves)


def test_is_the_norm_of_torch() -> None:
    x, residual, weight = torch.randn(2, 9, 32), torch.randn(2, 9, 32), torch.randn(32)
    y, total = add_rms_norm(x, residual, weight, 1e-5)
    assert torch.equal(total, residual + x)
    torch.testing.assert_close(y, F.rms_norm(total, (32,), weight, 1e-5))


def test_the_output_may_have_another_dtype() -> None:
    x = torch.randn(3, 32, requires_grad=True)
    y, total = add_rms_norm(x, None, torch.ones(32), 1e-5, dtype=torch.bfloat16)
    exact, _ = add_rms_norm(x, None, torch.ones(32), 1e-5)
    assert y.dtype == torch.bfloat16
    assert total.dtype == torch.float32
    assert torch.equal(y, exact.bfloat16())
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert gradient.dtype == torch.float32


def test_the_stream_stays_in_fp32() -> None:
    x = torch.full((1, 4), 1e-3, dtype=torch.bfloat16)
    y, total = add_rms_norm(x, torch.full((1, 4), 64.0), torch.ones(4, dtype=torch.bfloat16), 1e-5)
    assert y.dtype == torch.bfloat16
    assert total.dtype == torch.float32
    assert (total > 64).all()


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("x", torch.zeros(()), r"x must have shape \(\.\.\., D\)"),
        ("x", torch.zeros(2, 3, dtype=torch.int64), "x must have a floating dtype"),
        ("residual", torch.zeros(2, 4), r"residual must have shape \(\.\.\., D\) = \(2, 3\)"),
        ("residual", torch.zeros(2, 3).half(), "residual must have dtype torch.float32"),
        ("weight", torch.zeros(2), r"weight must have shape \(D\) = \(3,\)"),
    ],
)
def test_refuses_what_does_not_fit(argument: str, value: object, message: str) -> None:
    given: dict[str, object] = {
        "x": torch.zeros(2, 3),
        "residual": torch.zeros(2, 3),
        "weight": torch.ones(3),
    }
    with pytest.raises(ValueError, match=message):
        add_rms_norm(**(given | {argument: value}), eps=1e-5)
