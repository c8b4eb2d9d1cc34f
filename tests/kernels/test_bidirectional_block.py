"""A layer of two directions by the three ops: against itself flipped by hand, and its refusals."""

from dataclasses import replace

import pytest
import torch
from kernels_cases import assert_close
from layer_cases import alone, bidirectional_case, padded_case


@pytest.mark.parametrize("row", range(9))
@pytest.mark.parametrize("L", [1, 2, 3, 33])
def test_equals_each_segment_alone(L: int, row: int) -> None:
    case = bidirectional_case(4, L, row, torch.float64)
    assert_close(case.run("reference"), alone(case))


@pytest.mark.parametrize("row", range(9))
@pytest.mark.parametrize("L", [1, 3, 33, 101])
def test_chunked_equals_the_reference(L: int, row: int) -> None:
    case = bidirectional_case(4, L, row)
    assert_close(case.run("torch"), case.reference(), scale=4.0)


@pytest.mark.parametrize(
    ("dtype", "scale"), [(torch.float64, 1.0), (torch.float16, 6.0), (torch.bfloat16, 6.0)]
)
def test_equals_the_reference_in_every_dtype(dtype: torch.dtype, scale: float) -> None:
    case = bidirectional_case(2, 21, 8, dtype)
    got = case.run("torch")
    exact = torch.float64 if dtype == torch.float64 else torch.float32
    assert [got[name].dtype for name in case.outputs] == [dtype, exact]
    assert_close(got, case.reference(), scale, dtype)


@pytest.mark.parametrize("row", range(9))
@pytest.mark.parametrize("L", [1, 2, 3, 33])
def test_one_direction_gives_each_padded_row_what_it_gives_alone(L: int, row: int) -> None:
    case = padded_case(4, L, row, torch.float64)
    assert_close(case.run("torch"), alone(case))
    assert_close(case.run("reference"), alone(case))


def test_what_stands_in_the_padding_matters_to_its_stream_alone() -> None:
    case = bidirectional_case(4, 9, dtype=torch.float64)
    padding = torch.arange(9) >= case.options["lengths"][:, None]
    other = case.tensors["x"].clone()
    other[padding] = 1e3
    before, after = (
        case.run("torch"),
        replace(case, tensors=case.tensors | {"x": other}).run("torch"),
    )
    assert torch.equal(before["branch"], after["branch"])
    assert before["branch"][padding].abs().max() == 0
    assert all(
        torch.equal(before[name], after[name]) for name in before if name.startswith("gradient")
    )


def test_recomputing_gives_the_same() -> None:
    case = bidirectional_case(2, 37)
    again = replace(case, options=case.options | {"recompute": True})
    expected = case.run("torch")
    assert all(torch.equal(x, expected[name]) for name, x in again.run("torch").items())


def test_gradients_are_those_of_differences() -> None:
    case = bidirectional_case(2, 4, 3, torch.float64)
    leaves = {name: x.requires_grad_() for name, x in case.given.items()}

    def call(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        own = dict(zip(leaves, tensors, strict=True))
        return case.op(**(case.tensors | own), **case.options, backend="reference")

    assert torch.autograd.gradcheck(call, tuple(leaves.values()))


def test_compiles_into_one_graph() -> None:
    case = bidirectional_case(2, 7)
    compiled = torch.compile(case.op, fullgraph=True, backend="aot_eager")
    got = compiled(**case.tensors, **case.options)
    torch.testing.assert_close(got, case.op(**case.tensors, **case.options))


def test_an_empty_batch() -> None:
    got = bidirectional_case(0, 5, 3).run("torch")
    assert got["branch"].shape == (0, 5, 6)
    assert got["gradient of in_weight"].abs().max() == 0


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("x", torch.zeros(5, 6), r"x must have shape \(B, L, M\), forward.conv_weight \(D, W\)"),
        ("in_weight", torch.zeros(20, 5), r"in_weight must have shape \(2 D, M\) = \(20, 6\)"),
        ("reverse.conv_weight", torch.zeros(9, 4), r"reverse.conv_weight must have .*\(10, 4\)"),
        ("reverse.conv_weight", torch.zeros(10, 5), "W from 2 to 4, got .* W = 5"),
        ("forward.x_weight", torch.zeros(7, 10), r"forward.x_weight must have shape .*\(8, 10\)"),
        ("reverse.dt_weight", torch.zeros(10, 2).half(), "reverse.dt_weight must have dtype"),
        ("reverse.A", torch.zeros(10, 257), "N must be from 1 to 256, got N = 257"),
        ("forward.D", torch.zeros(10, device="meta"), "forward.D must be on cpu, got meta"),
        ("resets", torch.zeros(2, 5), "resets must have dtype torch.bool"),
        ("lengths", torch.zeros(3, dtype=torch.int64), r"lengths must have shape \(B\) = \(2,\)"),
        ("lengths", torch.zeros(2), "lengths must have dtype int32 or int64, got torch.float32"),
        ("backend", "cuda", "backend must be one of triton, numba, torch, reference or None"),
    ],
)  # fmt: skip
def test_refuses_what_does_not_fit(argument: str, value: object, message: str) -> None:
    case = bidirectional_case(2, 5)
    with pytest.raises(ValueError, match=message):
        case.op(**(case.tensors | case.options | {argument: value}))
