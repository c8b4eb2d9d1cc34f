"""The fused scan against the sequential recurrence in fp64, outputs and every gradient."""

from functools import partial
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels import selective_scan

from .fused_cases import DEVICE, INTERPRETED, TOLERANCE, assert_same, grid, random, run

pytestmark = pytest.mark.skipif(
    not INTERPRETED and not torch.cuda.is_available(), reason="no GPU, and not interpreted"
)
fused = partial(selective_scan, backend="triton")
examples = settings(max_examples=5 if INTERPRETED else 50, deadline=None, derandomize=True)


def arguments(
    B: int, L: int, D: int, N: int, dtype: torch.dtype, options: str, softplus: bool = True
) -> tuple[list[Tensor | None], Tensor | None]:
    """(u, delta, A, B, C, D, z, delta_bias, initial_state) and resets, those in ``options``.

    u and z are halves of one projection, B and C slices of another, as in a model.
    """
    both = random((B, L, 2 * D), 1, dtype)
    delta, bias = random((B, L, D), 2) - 2, random((D,), 6) / 10
    if not softplus:  # a negative step lets the state grow without bound
        delta, bias = (delta + 2).abs() / 10, bias.abs()
    x_proj = random((B, L, 3 + 2 * N), 3, dtype)
    A = -random((D, N), 4).abs() * 2
    inputs: list[Tensor | None] = [
        both[..., :D], delta.to(dtype), A, x_proj[..., 3 : 3 + N], x_proj[..., 3 + N :],
        random((D,), 5) if "D" in options else None,
        both[..., D:] if "z" in options else None,
        bias if "b" in options else None,
        random((B, D, N), 7) if "h" in options else None,
    ]  # fmt: skip
    marks = random((B, L), 8) > 1.4 if "r" in options else None
    return inputs, marks


def check(
    B: int, L: int, D: int, N: int, dtype: torch.dtype, options: str, softplus: bool, reverse: bool,
    marks: Tensor | None = None,
) -> None:  # fmt: skip
    """``marks``: in the place of those that ``options`` asks for."""
    inputs, resets = arguments(B, L, D, N, dtype, options, softplus)
    resets = resets if marks is None else marks

    def call(*inputs: Tensor | None, backend: str) -> tuple[Tensor, ...]:
        *rest, h = inputs
        return selective_scan(*rest, softplus, h, resets, reverse, backend=backend)  # type: ignore[arg-type]

    got = run(partial(call, backend="triton"), inputs, exact=False)
    # The plain recurrence keeps every state for autograd; PyTorch's scan, held to it, does not.
    truth = "reference" if L <= 1000 else "torch"
    expected = run(partial(call, backend=truth), inputs, exact=True)
    assert [x.dtype for x in got[:2]] == [dtype, torch.float32]
    assert_same(got, expected, TOLERANCE[dtype])


# Every value of every column meets every value of every other somewhere in the table; L lies around
# chunks of 16 and their multiples.
F32, F16, B16 = torch.float32, torch.float16, torch.bfloat16


@pytest.mark.parametrize(
    ("B", "L", "D", "N", "dtype", "options", "softplus", "reverse"),
    [
        (1, 1, 1, 1, F32, "", True, False),
        (2, 1, 48, 16, F32, "Dzbhr", True, True),
        (1, 2, 5, 3, F16, "Dzbh", False, True),
        (1, 47, 33, 8, F32, "zhr", True, False),
        (2, 48, 8, 16, F32, "Db", False, False),
        (1, 49, 48, 16, B16, "Dzb", True, True),
        (1, 34, 5, 64, F32, "Dzbhr", False, True),
        (2, 34, 3, 1, F32, "hr", True, True),
        (1, 34, 40, 16, F16, "Dzbr", True, False),
        (1, 35, 9, 130, F32, "zb", True, False),
        (3, 17, 100, 4, B16, "Dhr", False, False),
    ],
)
def test_outputs_and_gradients(
    B: int, L: int, D: int, N: int, dtype: torch.dtype, options: str, softplus: bool, reverse: bool,
    many_cuts: None,
) -> None:  # fmt: skip
    check(B, L, D, N, dtype, options, softplus, reverse)


@pytest.mark.parametrize(("L", "reverse"), [(18, True), (20, False)])
def test_a_mark_anywhere(L: int, reverse: bool, many_cuts: None) -> None:
    """One in each row: at ends, in tiles of 4 and chunks of 16. Most tiles hold none."""
    at = [0, 1, 7, 15, 16, L - 1]
    marks = torch.zeros(len(at), L, dtype=torch.bool, device=DEVICE)
    marks[torch.arange(len(at)), at] = True
    check(len(at), L, 2, 4, F32, "Dzbh", True, reverse, marks)


@pytest.mark.parametrize("reverse", [False, True])
def test_marks_of_every_pattern_in_a_tile(reverse: bool) -> None:
    pattern = torch.arange(16)[:, None] >> torch.arange(4) & 1 == 1
    marks = F.pad(pattern, (4, 3)).to(DEVICE)
    check(16, 11, 2, 4, F32, "Dzh", True, reverse, marks)


@pytest.mark.parametrize("reverse", [False, True])
def test_not_even_nan_crosses_a_mark(reverse: bool) -> None:
    (u, *rest, h), _ = arguments(1, 24, 2, 4, F32, "Dzb")
    assert u is not None
    marks = torch.zeros(1, 24, dtype=torch.bool, device=DEVICE)
    marks[0, 14] = True
    poisoned = u.clone()
    poisoned[0, 20 if reverse else 3] = torch.nan
    expected, got = (fused(x, *rest, True, h, marks, reverse) for x in (u, poisoned))
    clean = slice(0, 14) if reverse else slice(14, None)
    assert torch.equal(got[0][:, clean], expected[0][:, clean])
    assert torch.equal(got[1], expected[1])


@pytest.mark.parametrize("reverse", [False, True])
def test_as_cut_in_use(reverse: bool) -> None:
    check(1, 130, 16, 4, F32, "Dzbhr", True, reverse)


@grid
@pytest.mark.parametrize("dtype", [F32, B16])
@pytest.mark.parametrize("reverse", [True, False])
@pytest.mark.parametrize("apart", [3, 50, 700])
def test_grid_of_marks(apart: int, reverse: bool, dtype: torch.dtype) -> None:
    """As many bases apart in the mean."""
    for L in (1000, 1022, 1024):
        marks = torch.rand(3, L, generator=torch.Generator().manual_seed(L)) * apart < 1
        check(3, L, 96, 16, dtype, "Dzbh", True, reverse, marks.to(DEVICE))


# Neighbours differ in D or N, so that processes side by side do not all compile the same.
@grid
@pytest.mark.parametrize("N", [1, 8, 16, 64])
@pytest.mark.parametrize("D", [1, 48, 100, 512])
@pytest.mark.parametrize("L", [1, 2, 63, 64, 65, 100, 1000, 4097])
def test_grid_of_sizes(L: int, D: int, N: int) -> None:
    for dtype, options, reverse in ((F32, "Dzbhr", L % 2 == 1), (B16, "Dzb", False)):
        check(2, L, D, N, dtype, options, True, reverse)


@grid
@pytest.mark.parametrize("dtype", [F32, F16, B16])
@pytest.mark.parametrize("gates", ["Dz", "D", "z", ""])
@pytest.mark.parametrize("softplus", [True, False])
@pytest.mark.parametrize("reverse", [True, False])
def test_grid_of_options(dtype: torch.dtype, gates: str, softplus: bool, reverse: bool) -> None:
    for letters in product(*((letter, "") for letter in "bhr")):
        check(2, 200, 48, 16, dtype, gates + "".join(letters), softplus, reverse)


@examples
@given(cut=st.integers(1, 39), reverse=st.booleans())
def test_cutting_and_carrying_the_state_is_not_cutting(cut: int, reverse: bool) -> None:
    (*inputs, h), _ = arguments(1, 40, 6, 4, F32, "Dzbh")
    whole, final = fused(*inputs, True, h, None, reverse)
    parts = [slice(cut, None), slice(0, cut)] if reverse else [slice(0, cut), slice(cut, None)]
    ys = []
    for part in parts:
        piece = [x[:, part] if x is not None and x.dim() == 3 else x for x in inputs]
        y, h = fused(*piece, True, h, None, reverse)
        ys.append(y)
    assert_same([torch.cat(ys[::-1] if reverse else ys, 1), h], [whole, final], 1e-6)


@examples
@given(seed=st.integers(0, 100))
def test_reverse_is_the_flip_of_the_flip(seed: int) -> None:
    (*inputs, h), _ = arguments(2, 33, 6, 4, F32, "Dzbh")
    inputs[0] = random((2, 33, 6), seed)
    flipped = [x.flip(1) if x is not None and x.dim() == 3 else x for x in inputs]
    y, final = fused(*inputs, True, h, None, True)
    expected, last = fused(*flipped, True, h)
    assert_same([y, final], [expected.flip(1), last], 1e-6)


@examples
@given(mark=st.integers(1, 32), reverse=st.booleans())
def test_resets_separate_sequences(mark: int, reverse: bool) -> None:
    (*inputs, h), _ = arguments(1, 33, 6, 4, F32, "Dzbh")
    resets = torch.zeros(1, 33, dtype=torch.bool, device=DEVICE)
    resets[0, mark] = True
    y, final = fused(*inputs, True, h, resets, reverse)
    ends = []
    for part, first in ((slice(0, mark), not reverse), (slice(mark, None), reverse)):
        piece = [x[:, part] if x is not None and x.dim() == 3 else x for x in inputs]
        ends.append(fused(*piece, True, h if first else None, None, reverse))
    last = ends[0] if reverse else ends[1]
    assert_same([y, final], [torch.cat([ends[0][0], ends[1][0]], 1), last[1]], 1e-6)


@examples
@given(scale=st.floats(-3, 3))
def test_linear_in_u(scale: float) -> None:
    (u, *rest, _), _ = arguments(1, 20, 6, 4, F32, "Dzb")
    other = random((1, 20, 6), 9)
    y, final = fused(u + scale * other, *rest)
    (a, first), (b, second) = fused(u, *rest), fused(other, *rest)
    assert_same([y, final], [a + scale * b, first + scale * second], 1e-5)


def test_minus_infinity_is_padding() -> None:
    """Positions with Δ = -inf leave the state alone and take no gradient."""
    (*inputs, h), _ = arguments(2, 24, 6, 4, F32, "Dzbh")
    u, delta = inputs[0].detach().requires_grad_(), inputs[1].clone()
    delta[:, 10:] = -torch.inf
    delta.requires_grad_()
    _, final = fused(u, delta, *inputs[2:], True, h)
    short = [x[:, :10] if x is not None and x.dim() == 3 else x for x in inputs]
    assert_same([final], [fused(*short, True, h)[1]], 1e-6)
    final.sum().backward()
    assert u.grad[:, 10:].abs().max() == 0
    assert delta.grad[:, 10:].abs().max() == 0
    assert u.grad[:, :10].abs().min() > 0


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
@pytest.mark.parametrize("level", [-80.0, 60.0])
def test_extreme_steps(level: float, many_cuts: None) -> None:
    """Δ of 1e-35 and of 60: decays of 1 and of 0, softplus in its tails."""
    (u, delta, *rest), _ = arguments(1, 40, 6, 16, F32, "Dzbh")
    inputs = [u, delta + level, *rest]

    def call(*inputs: Tensor | None, backend: str) -> tuple[Tensor, ...]:
        *most, h = inputs
        return selective_scan(*most, True, h, backend=backend)  # type: ignore[arg-type]

    got = run(partial(call, backend="triton"), inputs, exact=False)
    expected = run(partial(call, backend="reference"), inputs, exact=True)
    assert_same(got, expected, 1e-5)


def test_same_bits_twice(many_cuts: None) -> None:
    inputs, resets = arguments(1, 40, 40, 4, F32, "Dzbhr")

    def call(*inputs: Tensor | None) -> tuple[Tensor, ...]:
        *rest, h = inputs
        return fused(*rest, True, h, resets)

    first, second = run(call, inputs, exact=False), run(call, inputs, exact=False)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_empty_batch() -> None:
    (*inputs, h), _ = arguments(0, 4, 6, 3, F32, "Dzbh")
    got = run(lambda *x: fused(*x[:-1], True, x[-1]), [*inputs, h], exact=False)
    assert [tuple(x.shape) for x in got[:2]] == [(0, 4, 6), (0, 6, 3)]
    assert got[4].abs().max() == 0  # A


def test_compiles_into_one_graph() -> None:
    (*inputs, h), resets = arguments(1, 6, 5, 3, F32, "Dzbhr")

    def call(*inputs: Tensor | None) -> tuple[Tensor, ...]:
        *rest, h = inputs
        return fused(*rest, True, h, resets)

    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")
    eager = run(call, [*inputs, h], exact=False)
    assert_same(run(compiled, [*inputs, h], exact=False), eager, 1e-6)


def test_registered_as_an_operator() -> None:
    inputs, resets = arguments(1, 5, 6, 3, F32, "Dzbhr")
    leaves = [x if x is None else x.detach().requires_grad_() for x in inputs]
    values = (*leaves, resets, True, False, True, "triton")
    torch.library.opcheck(torch.ops.dnamamba.selective_scan.default, values)


@grid
def test_forward_error_is_the_outputs_rounding() -> None:
    inputs, _ = arguments(1, 4096, 512, 16, B16, "Dzb")
    y, _ = fused(*inputs[:-1])
    exact, _ = selective_scan(
        *(x if x is None else x.double() for x in inputs[:-1]), backend="torch"
    )
    assert (y.double() - exact).norm() <= 1.7e-3 * exact.norm()


@grid
def test_a_million_positions() -> None:
    check(1, 2**20, 8, 16, F32, "Dzb", True, False)


@grid
def test_more_than_two_to_the_31_elements() -> None:
    """The end of a tensor past 2^31 elements is what it is alone, with the state carried."""
    B, L, D, N = 1, 2**20 + 8, 2048, 16
    u = torch.randn(B, L, D, device=DEVICE, dtype=B16)
    delta = torch.randn(B, L, D, device=DEVICE, dtype=B16) - 2
    A, BC = -random((D, N), 4).abs(), random((B, L, 2 * N), 3, B16)
    b, c = BC[..., :N], BC[..., N:]
    y, final = fused(u, delta, A, b, c)
    cut = L - 512
    _, h = fused(u[:, :cut], delta[:, :cut], A, b[:, :cut], c[:, :cut])
    tail = fused(u[:, cut:], delta[:, cut:], A, b[:, cut:], c[:, cut:], initial_state=h)
    assert_same([y[:, cut:], final], tail, 4e-3)
