"""The scalar functions of compiled kernels, and how a kernel is kept."""

import logging
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional as F

numba = pytest.importorskip("numba", reason="numba is not installed")

from dnamamba_kernels.compiled import jit  # noqa: E402
from dnamamba_kernels.compiled.math import exp2, silu, softplus  # noqa: E402

SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-30, -1e-30, 126.5, 127.9, 128.0, 1e30, -1e30]


def spread(function: Callable[[np.float32], np.float32], x: np.ndarray) -> np.ndarray:
    """The function of every element, by one vectorised loop."""

    @numba.njit
    def loop(x: np.ndarray, y: np.ndarray) -> None:
        for i in range(len(x)):
            y[i] = function(x[i])

    y = np.empty_like(x)
    loop(x, y)
    return y


# The product with log2(e) is rounded once.
@pytest.mark.parametrize(("name", "slope"), [("exp2", 0.0), ("softplus", 1e-7), ("silu", 1e-7)])
def test_is_exact_to_a_few_roundings(name: str, slope: float) -> None:
    x = np.linspace(-87, 87, 400_001, dtype=np.float32)
    ours = {"exp2": exp2, "softplus": softplus, "silu": silu}[name]
    theirs = {"exp2": torch.exp2, "softplus": _softplus, "silu": F.silu}[name]
    expected = theirs(torch.from_numpy(x).double()).numpy()
    error = np.abs(spread(ours, x) - expected)
    assert (error <= (3e-7 + slope * np.abs(x)) * np.abs(expected)).all()


@pytest.mark.parametrize("name", ["exp2", "softplus", "silu"])
def test_what_is_not_finite_is_what_torch_makes_of_it(name: str) -> None:
    x = np.array(SPECIAL, np.float32)
    ours = {"exp2": exp2, "softplus": softplus, "silu": silu}[name]
    theirs = {"exp2": torch.exp2, "softplus": F.softplus, "silu": F.silu}[name]
    expected = theirs(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(spread(ours, x), expected, rtol=5e-7, atol=1e-29)


def _softplus(x: torch.Tensor) -> torch.Tensor:
    """Without the shortcut that torch takes above 20."""
    return x.clamp(min=0) + torch.log1p(torch.exp(-x.abs()))


def test_where_no_cache_can_be_written_a_kernel_still_compiles(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    njit = numba.njit

    def refuse(*args: object, cache: bool = False, **options: object) -> object:
        if cache:
            raise RuntimeError("cannot cache function 'double': no locator available")
        return njit(*args, **options)

    monkeypatch.setattr(jit.numba, "njit", refuse)
    with caplog.at_level(logging.INFO, "dnamamba_kernels"):
        assert jit.entry(lambda x: 2 * x)(21) == 42
    assert "no locator" in caplog.text
