"""The fused residual add and RMSNorm against the formula in fp64, outputs and every gradient."""

from functools import partial
from itertools import product

import pytest
import torch
from torch import Tensor

from dnamamba_kernels import add_rms_norm

from .fused_cases import DEVICE, INTERPRETED, TOLERANCE, assert_same, grid, random, run

pytestmark = pytest.mark.skipif(
    not INTERPRETED and not torch.cuda.is_available(), reason="no GPU, and not interpreted"
)
F32, F16, B16 = torch.float32, torch.float16, torch.bfloat16


def arguments(shape: tuple[int, ...], dtype: torch.dtype, residual: bool) -> list[Tensor | None]:
    """(x, residual, weight); x is a slice of something wider."""
    *rows, width = shape
    x = random((*rows, width + 3), 1, dtype)[..., 3:]
    return [x, random(shape, 2) if residual else None, random((width,), 3)]


def check(
    shape: tuple[int, ...], dtype: torch.dtype, residual: bool, out: torch.dtype | None = None
) -> None:
    inputs = arguments(shape, dtype, residual)

    def call(*inputs: Tensor | None, backend: str) -> tuple[Tensor, Tensor]:
        asked = out if backend == "triton" else None  # the reference answers in fp64
        return add_rms_norm(*inputs, 1e-5, dtype=asked, backend=backend)  # type: ignore[arg-type]

    got = run(partial(call, backend="triton"), inputs, exact=False)
    expected = run(partial(call, backend="reference"), inputs, exact=True)
    assert [x.dtype for x in got[:2]] == [out or dtype, torch.float32]
    assert_same(got, expected, max(TOLERANCE[dtype], TOLERANCE[out or dtype]))


@pytest.mark.parametrize(
    ("shape", "dtype", "residual"),
    [
        ((1,), F32, True),
        ((7, 3), F32, False),
        ((2, 65, 48), F32, True),
        ((2, 65, 100), B16, True),
        ((30, 256), F16, True),
        ((5, 1025), B16, False),
        ((1, 0, 8), F32, True),
    ],
)
def test_outputs_and_gradients(shape: tuple[int, ...], dtype: torch.dtype, residual: bool) -> None:
    check(shape, dtype, residual)


@pytest.mark.parametrize(("dtype", "out"), [(F32, B16), (F32, F16), (B16, F32)])
def test_output_in_another_dtype(dtype: torch.dtype, out: torch.dtype) -> None:
    check((9, 48), dtype, False, out)


@grid
@pytest.mark.parametrize("width", [1, 48, 100, 256, 512, 1024, 4096])
@pytest.mark.parametrize("rows", [1, 63, 10_000])
def test_grid(rows: int, width: int) -> None:
    for dtype, residual in product((F32, F16, B16), (True, False)):
        check((rows, width), dtype, residual)


@pytest.mark.parametrize("which", [0, 1])
def test_gradient_through_one_output_alone(which: int) -> None:
    inputs = arguments((4, 6), F32, True)

    def call(*inputs: Tensor | None, backend: str) -> tuple[Tensor, ...]:
        outputs = add_rms_norm(*inputs, 1e-5, backend=backend)  # type: ignore[arg-type]
        return (outputs[which], inputs[2].sum()[None])  # type: ignore[union-attr]

    got = run(partial(call, backend="triton"), inputs, exact=False)
    assert_same(got, run(partial(call, backend="reference"), inputs, exact=True), 1e-5)


def test_registered_as_an_operator() -> None:
    x, residual, weight = (x.detach().requires_grad_() for x in arguments((3, 6), F32, True))  # type: ignore[union-attr]
    values = (x, residual, weight, 1e-5, B16, "triton")
    torch.library.opcheck(torch.ops.dnamamba.add_rms_norm.default, values)


@grid
def test_more_than_two_to_the_31_elements() -> None:
    x = torch.randn(2**20 + 8, 2048, device=DEVICE, dtype=B16)
    weight = random((2048,), 3)
    y, _ = add_rms_norm(x, None, weight, 1e-5, backend="triton")
    tail, _ = add_rms_norm(x[-64:], None, weight, 1e-5, backend="triton")
    assert torch.equal(y[-64:], tail)
