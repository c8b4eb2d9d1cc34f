"""The fused kernels on vectors and states that do not lie dense in memory, against PyTorch."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dnamamba_kernels import (
    causal_conv1d,
    causal_conv1d_step,
    selective_scan,
    selective_scan_step,
)

from .fused_cases import INTERPRETED, assert_same, random, run

pytestmark = pytest.mark.skipif(
    not INTERPRETED and not torch.cuda.is_available(), reason="no GPU, and not interpreted"
)
B, L, D, N, W = 2, 9, 5, 4, 3


def apart(shape: tuple[int, ...], seed: int) -> Tensor:
    """Every second number of a tensor."""
    return random((*shape, 2), seed)[..., 0]


def scan(backend: str) -> list[Tensor]:
    rows, maps = [random((B, L, D), i) for i in range(3)], [random((B, L, N), i) for i in (3, 4)]
    u, delta, z = rows
    skip, bias, A = apart((D,), 5), apart((D,), 6), -random((D, N), 7).abs()
    inputs = [u, delta, A, *maps, skip, z, bias]
    return run(lambda *x: selective_scan(*x, backend=backend), inputs, exact=False)


def convolution(backend: str) -> list[Tensor]:
    inputs = [random((B, L, D), 1), random((D, W), 2), apart((D,), 3), apart((B, D, W - 1), 4)]
    return run(lambda *x: causal_conv1d(*x, backend=backend), inputs, exact=False)


def scan_step(backend: str) -> list[Tensor]:
    state, rows = apart((B, D, N), 1), [random((B, D), i) for i in (2, 3, 4)]
    maps, A = [random((B, N), i) for i in (5, 6)], -random((D, N), 7).abs()
    vectors = apart((D,), 8), rows[2], apart((D,), 9)
    y, new = selective_scan_step(
        state, *rows[:2], A, *maps, *vectors, in_place=True, backend=backend
    )
    assert new is state
    return [y, new]


def convolution_step(backend: str) -> list[Tensor]:
    state, x, weight = apart((B, D, W - 1), 1), random((B, D), 2), random((D, W), 3)
    y, new = causal_conv1d_step(state, x, weight, apart((D,), 4), in_place=True, backend=backend)
    assert new is state
    return [y, new]


@pytest.mark.parametrize("op", [scan, convolution, scan_step, convolution_step])
def test_what_does_not_lie_dense(op: Callable[[str], list[Tensor]]) -> None:
    assert_same(op("triton"), op("torch"), 1e-5)
