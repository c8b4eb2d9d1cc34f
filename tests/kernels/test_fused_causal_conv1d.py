"""The fused convolution against the sliding window in fp64, outputs and every gradient."""

from functools import partial
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dnamamba_kernels import causal_conv1d

from .fused_cases import DEVICE, INTERPRETED, TOLERANCE, assert_same, grid, random, run

pytestmark = pytest.mark.skipif(
    not INTERPRETED and not torch.cuda.is_available(), reason="no GPU, and not interpreted"
)
F32, F16, B16 = torch.float32, torch.float16, torch.bfloat16
fused = partial(causal_conv1d, backend="triton")
examples = settings(max_examples=5 if INTERPRETED else 50, deadline=None, derandomize=True)


def arguments(
    B: int, L: int, D: int, W: int, dtype: torch.dtype, options: str
) -> tuple[list[Tensor | None], Tensor | None]:
    """(x, weight, bias, initial_state), resets; x is half of a projection."""
    inputs: list[Tensor | None] = [
        random((B, L, 2 * D), 1, dtype)[..., D:],
        random((D, W), 2, dtype),
        random((D,), 3, dtype) if "b" in options else None,
        random((B, D, W - 1), 4, dtype) if "h" in options else None,
    ]
    return inputs, random((B, L), 5) > 1 if "r" in options else None


def check(
    B: int, L: int, D: int, W: int, dtype: torch.dtype, options: str, reverse: bool,
    marks: Tensor | None = None,
) -> None:  # fmt: skip
    """``marks``: in the place of those that ``options`` asks for."""
    inputs, resets = arguments(B, L, D, W, dtype, options)
    resets = resets if marks is None else marks

    def call(*inputs: Tensor | None, backend: str) -> tuple[Tensor, Tensor]:
        x, weight, bias, state = inputs
        return causal_conv1d(x, weight, bias, state, resets, reverse, backend=backend)  # type: ignore[arg-type]

    got = run(partial(call, backend="triton"), inputs, exact=False)
    expected = run(partial(call, backend="reference"), inputs, exact=True)
    assert [x.dtype for x in got] == [dtype] * len(got)
    assert_same(got, expected, TOLERANCE[dtype])


@pytest.mark.parametrize(
    ("B", "L", "D", "W", "dtype", "options", "reverse"),
    [
        (1, 1, 1, 4, F32, "bhr", False),
        (2, 2, 48, 4, F32, "bh", True),
        (2, 3, 5, 4, F16, "hr", True),
        (1, 8, 130, 2, F32, "", False),
        (2, 9, 5, 3, B16, "bhr", False),
        (1, 65, 33, 4, B16, "b", True),
        (1, 66, 5, 3, F32, "bhr", True),
        (1, 100, 4, 2, F16, "bh", False),
        (1, 130, 5, 4, F32, "bhr", False),
    ],
)
def test_outputs_and_gradients(
    B: int, L: int, D: int, W: int, dtype: torch.dtype, options: str, reverse: bool
) -> None:
    check(B, L, D, W, dtype, options, reverse)


@pytest.mark.parametrize(("W", "reverse"), [(2, False), (4, False), (4, True)])
def test_a_mark_near_where_programs_meet(
    W: int, reverse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in each row: what a program of the backward, of 16 positions, sees of its neighbours."""
    from dnamamba_kernels.causal_conv1d.fused import launch

    monkeypatch.setattr(launch, "BLOCKS", 2)
    L, at = 35, [0, 13, 15, 16, 18, 19, 34]
    marks = torch.zeros(len(at), L, dtype=torch.bool, device=DEVICE)
    marks[torch.arange(len(at)), at] = True
    check(len(at), L, 2, W, F32, "bh", reverse, marks)


@grid
@pytest.mark.parametrize("options", ["b", "bh"])
@pytest.mark.parametrize("reverse", [False, True])
def test_grid_of_marks(reverse: bool, options: str) -> None:
    for L, W, apart in product((1000, 1024), (2, 4), (5, 700)):
        marks = torch.rand(3, L, generator=torch.Generator().manual_seed(L)) * apart < 1
        check(3, L, 200, W, B16, options, reverse, marks.to(DEVICE))


@grid
@pytest.mark.parametrize("L", [1, 2, 3, 63, 64, 65, 1000])
@pytest.mark.parametrize("D", [1, 48, 100, 512])
def test_grid(L: int, D: int) -> None:
    for W, dtype, reverse in product((2, 3, 4), (F32, F16, B16), (True, False)):
        check(2, L, D, W, dtype, "bhr", reverse)


@examples
@given(cut=st.integers(1, 19), reverse=st.booleans())
def test_cutting_and_carrying_the_state_is_not_cutting(cut: int, reverse: bool) -> None:
    (x, *rest, state), resets = arguments(2, 20, 5, 4, F32, "bhr")
    whole, final = fused(x, *rest, state, resets, reverse)
    parts = [slice(cut, None), slice(0, cut)] if reverse else [slice(0, cut), slice(cut, None)]
    ys = []
    for part in parts:
        y, state = fused(x[:, part], *rest, state, resets[:, part], reverse)
        ys.append(y)
    assert_same([torch.cat(ys[::-1] if reverse else ys, 1), state], [whole, final], 1e-6)


def test_empty_batch() -> None:
    inputs, _ = arguments(0, 4, 6, 3, F32, "bh")
    got = run(fused, inputs, exact=False)
    assert [tuple(x.shape) for x in got[:2]] == [(0, 4, 6), (0, 6, 2)]
    assert got[3].abs().max() == 0  # weight


def test_registered_as_an_operator() -> None:
    inputs, resets = arguments(1, 5, 6, 4, F32, "bhr")
    leaves = [x if x is None else x.detach().requires_grad_() for x in inputs]
    values = (*leaves, resets, False, "triton")
    torch.library.opcheck(torch.ops.dnamamba.causal_conv1d.default, values)


@grid
def test_more_than_two_to_the_31_elements() -> None:
    x = torch.randn(1, 2**20 + 8, 2048, device=DEVICE, dtype=B16)
    weight = random((2048, 4), 2, B16)
    y, final = fused(x, weight)
    tail, last = fused(x[:, -64:], weight)
    assert torch.equal(y[:, -60:], tail[:, -60:])
    assert torch.equal(final, last)
