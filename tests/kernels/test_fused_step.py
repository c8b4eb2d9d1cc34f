"""The fused recurrent steps against the plain ones in fp64."""

from typing import Any

import pytest
import torch

from dnamamba_kernels import causal_conv1d_step, selective_scan_step
from dnamamba_kernels.backend import use

from .fused_cases import INTERPRETED, TOLERANCE, assert_same, random

pytestmark = pytest.mark.skipif(
    not INTERPRETED and not torch.cuda.is_available(), reason="no GPU, and not interpreted"
)
F32, B16 = torch.float32, torch.bfloat16


@pytest.mark.parametrize(
    ("B", "D", "N", "R", "dtype", "bare", "softplus"),
    [
        (1, 1, 1, 0, F32, False, True),
        (3, 100, 16, 0, B16, False, True),
        (3, 100, 16, 7, B16, False, True),
        (2, 5, 130, 0, F32, True, False),
        (2, 5, 130, 1, F32, True, False),
    ],
)
def test_scan(
    B: int, D: int, N: int, R: int, dtype: torch.dtype, bare: bool, softplus: bool
) -> None:
    both, x_proj = random((B, 2 * D), 1, dtype), random((B, 2 * N + 3), 2, dtype)
    state = random((B, D, N), 3)
    inputs = [both[:, :D], random((B, D), 4, dtype), -random((D, N), 5).abs()]
    inputs += [x_proj[:, 3 : 3 + N], x_proj[:, 3 + N :]]
    if not bare:
        inputs += [random((D,), 6), both[:, D:], random((D,), 7)]
    options: dict[str, Any] = {} if softplus else {"delta_softplus": False}
    if R:
        inputs[1], options["dt_weight"] = random((B, R), 8, dtype), random((D, R), 9, dtype) / R
    with use("triton"):
        got = selective_scan_step(state, *inputs, **options)
        held, rates = state.clone(), [*inputs[:2], torch.log(-inputs[2]), *inputs[3:]]
        again = selective_scan_step(held, *rates, **options, log_A=True, in_place=True)
    exact = [x.double() for x in (state, *inputs)]
    wide = {k: v.double() if isinstance(v, torch.Tensor) else v for k, v in options.items()}
    assert got[0].dtype == dtype
    assert_same(got, selective_scan_step(*exact, **wide), TOLERANCE[dtype])
    assert again[1] is held
    assert_same(again, got, TOLERANCE[dtype])


@pytest.mark.parametrize(
    ("B", "D", "W", "dtype", "biased"),
    [(1, 1, 4, F32, True), (3, 130, 3, B16, True), (2, 5, 2, F32, False)],
)
def test_convolution(B: int, D: int, W: int, dtype: torch.dtype, biased: bool) -> None:
    state, both = random((B, D, W - 1), 1, dtype), random((B, 2 * D), 2, dtype)
    x, weight = both[:, :D], random((D, 1, W), 3, dtype)[:, 0]
    bias = random((D,), 4, dtype) if biased else None
    with use("triton"):
        got = causal_conv1d_step(state, x, weight, bias)
        held = state.clone()
        again = causal_conv1d_step(held, x, weight, bias, in_place=True)
    assert again[1] is held
    assert all(torch.equal(a, b) for a, b in zip(again, got, strict=True))
    exact = (None if t is None else t.double() for t in (state, x, weight, bias))
    assert_same(got, causal_conv1d_step(*exact), TOLERANCE[dtype])  # type: ignore[arg-type]
    assert torch.equal(got[1][..., -1], x)


def test_a_gradient_goes_through_pytorch() -> None:
    state = random((1, 2, 3), 1).requires_grad_()
    values = [random(shape, 2) for shape in ((1, 2), (1, 2), (2, 3), (1, 3), (1, 3))]
    with use("triton"):
        selective_scan_step(state, *values)[0].sum().backward()
    assert state.grad is not None
