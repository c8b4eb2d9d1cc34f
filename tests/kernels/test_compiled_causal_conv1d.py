"""The convolution that numba compiles, forward and backward, against the fp64 reference."""

import math
from collections.abc import Callable

import pytest
import torch
from kernels_cases import assert_close, conv_case

from dnamamba_kernels import causal_conv1d

pytest.importorskip("numba", reason="numba is not installed")


@pytest.mark.parametrize("L", [1, 2, 3, 4, 63, 100])
@pytest.mark.parametrize("W", [2, 3, 4])
@pytest.mark.parametrize("row", range(9))
def test_equals_the_reference(L: int, W: int, row: int) -> None:
    case = conv_case(2, L, (1, 48, 100)[row % 3], W, row)
    assert_close(case.run("numba"), case.reference())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("row", range(9))
def test_equals_the_reference_in_every_dtype(dtype: torch.dtype, row: int) -> None:
    case = conv_case(2, 65, 48, 4, row, dtype)
    got = case.run("numba")
    assert got["y"].dtype == dtype
    assert_close(got, case.reference())


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("B", "D"), [(4, 5), (1, 40), (3, 1)])
@pytest.mark.parametrize("row", range(9))
def test_is_the_same_however_it_is_cut(
    row: int, B: int, D: int, threads: int, threaded: Callable[[int], None]
) -> None:
    threaded(threads)
    case = conv_case(B, 21, D, 4, row)
    assert_close(case.run("numba"), case.reference())


@pytest.mark.parametrize("row", range(9))
def test_gives_the_same_bits_where_no_backward_follows_and_again(row: int) -> None:
    case = conv_case(2, 33, 5, 4, row)
    kept = case.run("numba")
    for name, tensor in (case.run("numba") | case.infer("numba")).items():
        assert torch.equal(tensor, kept[name]), name


@pytest.mark.parametrize("reverse", [False, True])
def test_not_even_nan_crosses_a_mark_or_reaches_further_than_a_tap(reverse: bool) -> None:
    x, weight = torch.randn(1, 20, 3), torch.randn(3, 4)
    x[0, 10] = math.nan
    resets = torch.zeros(1, 20, dtype=torch.bool)
    y, _ = causal_conv1d(x, weight, reverse=reverse, backend="numba")
    bad = slice(7, 11) if reverse else slice(10, 14)
    finite = y[0].isfinite().all(-1)
    assert not finite[bad].any()
    assert finite.sum() == 16
    resets[0, 10 if reverse else 11] = True
    y, _ = causal_conv1d(x, weight, resets=resets, reverse=reverse, backend="numba")
    assert y[0].isfinite().all(-1).sum() == 19


def test_takes_slices_of_a_projection() -> None:
    wide, weight = torch.randn(2, 30, 96), torch.randn(48, 4)
    for x in (wide[..., 48:], wide[..., ::2], wide[:, :, :48].transpose(0, 1).contiguous().mT.mT):
        got = causal_conv1d(x, weight, backend="numba")
        torch.testing.assert_close(got, causal_conv1d(x.clone(), weight, backend="reference"))


def test_is_one_operator_to_the_compiler() -> None:
    case = conv_case(2, 33, 4, 3)
    arguments = (*case.tensors.values(), case.options["resets"], True, "numba")
    torch.library.opcheck(torch.ops.dnamamba.causal_conv1d.default, arguments)
