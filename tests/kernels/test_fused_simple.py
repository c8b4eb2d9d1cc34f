"""The scan on one page, for the reader, against the sequential recurrence in fp64."""

from functools import partial

import pytest
import torch
from torch import Tensor

from dnamamba_kernels import selective_scan

from .fused_cases import INTERPRETED, TOLERANCE, assert_same, random, run

pytestmark = pytest.mark.skipif(
    not INTERPRETED and not torch.cuda.is_available(), reason="no GPU, and not interpreted"
)


@pytest.mark.parametrize(("B", "L", "D", "N"), [(1, 1, 1, 1), (2, 13, 3, 2), (1, 33, 2, 3)])
def test_outputs_and_gradients(B: int, L: int, D: int, N: int) -> None:
    from dnamamba_kernels.selective_scan.simple import selective_scan_simple

    inputs = [
        random((B, L, D), 1),
        random((B, L, D), 2).abs() / 2,
        -random((D, N), 3).abs(),
        random((B, L, N), 4),
        random((B, L, N), 5),
    ]
    whole = partial(selective_scan, delta_softplus=False, backend="reference")

    def simple(*inputs: Tensor | None) -> tuple[Tensor]:
        return (selective_scan_simple(*inputs),)  # type: ignore[arg-type]

    got = run(simple, inputs, exact=False)
    expected = run(lambda *inputs: whole(*inputs)[:1], inputs, exact=True)
    assert_same(got, expected, TOLERANCE[torch.float32])
