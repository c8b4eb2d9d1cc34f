"""A layer by the three ops against itself in fp64; what it checks, keeps and refuses."""

import pytest
import torch
from kernels_cases import assert_close, block_case
from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels import (
    add_rms_norm,
    causal_conv1d,
    fuses_block,
    mamba_block,
    selective_scan,
)

NO_TRITON = pytest.mark.skipif(torch.cuda.is_available(), reason="Triton runs here")


@pytest.mark.parametrize("L", [1, 2, 3, 33, 101])
@pytest.mark.parametrize("row", range(9))
def test_equals_the_reference(L: int, row: int) -> None:
    case = block_case(2, L, row)
    assert_close(case.run("torch"), case.reference(), scale=4.0)


@pytest.mark.parametrize(
    ("dtype", "scale"), [(torch.float64, 1.0), (torch.float16, 6.0), (torch.bfloat16, 6.0)]
)
@pytest.mark.parametrize("row", [0, 3, 8])
def test_equals_the_reference_in_every_dtype(dtype: torch.dtype, scale: float, row: int) -> None:
    case = block_case(2, 21, row, dtype)
    got = case.run("torch")
    exact = torch.float64 if dtype == torch.float64 else torch.float32
    assert [got[name].dtype for name in case.outputs] == [dtype, exact, dtype, exact]
    # In half precision what lies between the projections is rounded several times.
    assert_close(got, case.reference(), scale, dtype)


@pytest.mark.parametrize("row", range(9))
def test_the_reference_is_the_three_ops_one_by_one(row: int) -> None:
    case = block_case(2, 9, row, torch.float64)
    t, resets = case.tensors, case.options["resets"]

    def by_hand() -> tuple[Tensor, ...]:
        h, stream = add_rms_norm(t["x"], t["residual"], t["norm_weight"], 1e-5, backend="reference")
        i, z = F.linear(h, t["in_weight"]).chunk(2, -1)
        taps = t["conv_weight"], t["conv_bias"]
        u, tail = causal_conv1d(i, *taps, t["conv_state"], resets, backend="reference")
        s, B, C = F.linear(u, t["x_weight"]).split((2, 3, 3), -1)
        y, final = selective_scan(
            u, F.linear(s, t["dt_weight"]), t["A"], B, C, t["D"], z, t["dt_bias"], True,
            t["ssm_state"], resets, backend="reference",
        )  # fmt: skip
        return F.linear(y, t["out_weight"]), stream, tail, final

    got = mamba_block(**t, **case.options, backend="reference")
    assert all(torch.equal(a, b) for a, b in zip(got, by_hand(), strict=True))


def test_recomputing_gives_the_same_and_keeps_its_input_alone() -> None:
    case = block_case(2, 37)
    leaves = {k: x.requires_grad_() for k, x in case.given.items()}
    results, sizes = [], []
    for recompute in (False, True):
        kept: dict[int, int] = {}

        def pack(x: Tensor, kept: dict[int, int] = kept) -> Tensor:
            if 37 in x.shape:
                kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            outputs = mamba_block(**(case.tensors | leaves), **case.options, recompute=recompute)
        sizes.append(sum(kept.values()))
        total = sum(out.square().sum() for out in outputs)
        gradients = torch.autograd.grad(total, list(leaves.values()))  # type: ignore[arg-type]
        results.append([*outputs, *gradients])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    assert sizes[1] < sizes[0] / 4


def test_compiles_into_one_graph() -> None:
    case = block_case(1, 7)
    compiled = torch.compile(mamba_block, fullgraph=True, backend="aot_eager")
    got = compiled(**case.tensors, **case.options)
    expected = mamba_block(**case.tensors, **case.options)
    torch.testing.assert_close(got, expected)


def test_an_empty_batch() -> None:
    case = block_case(0, 5, 3)
    got = case.run("torch")
    assert got["branch"].shape == (0, 5, 6)
    assert got["gradient of in_weight"].abs().max() == 0


@NO_TRITON
def test_is_no_fused_op_on_a_cpu() -> None:
    assert not fuses_block(torch.device("cpu"), torch.float32)
    case = block_case(1, 3)
    with pytest.raises(ValueError, match='backend "triton" cannot run here'):
        mamba_block(**case.tensors, **case.options, backend="triton")


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("x", torch.zeros(5, 6), r"x must have shape \(B, L, M\), conv_weight \(D, W\) and A"),
        ("x", torch.zeros(2, 0, 6), "L, M and D must be at least 1 .* got L = 0"),
        ("x", torch.zeros(2, 5, 6, dtype=torch.int64), "x must have a floating dtype"),
        ("residual", torch.zeros(2, 5, 6).half(), "residual must have dtype torch.float32"),
        ("residual", torch.zeros(2, 4, 6), r"residual must have shape \(B, L, M\) = \(2, 5, 6\)"),
        ("norm_weight", torch.zeros(5), r"norm_weight must have shape \(M\) = \(6,\)"),
        ("in_weight", torch.zeros(20, 5), r"in_weight must have shape \(2 D, M\) = \(20, 6\)"),
        ("conv_weight", torch.zeros(10, 5), "W from 2 to 4, got .* W = 5"),
        ("conv_weight", torch.zeros(9, 4), r"in_weight must have shape \(2 D, M\) = \(18, 6\)"),
        ("conv_bias", torch.zeros(10).bool(), "conv_bias must have a floating dtype"),
        ("x_weight", torch.zeros(7, 10), r"x_weight must have shape \(R \+ 2 N, D\) = \(8, 10\)"),
        ("x_weight", torch.zeros(8, 10).half(), "x_weight must have dtype torch.float32"),
        ("dt_weight", torch.zeros(9, 2), r"dt_weight must have shape \(D, R\) = \(10, 2\)"),
        ("dt_weight", torch.zeros(10, 2).half(), "dt_weight must have dtype torch.float32"),
        ("dt_bias", torch.zeros(10, 1), r"dt_bias must have shape \(D\) = \(10,\)"),
        ("A", torch.zeros(10, 257), "N must be from 1 to 256, got N = 257"),
        ("A", torch.zeros(9, 3), r"A must have shape \(D, N\) = \(10, 3\)"),
        ("D", torch.zeros(10, device="meta"), "D must be on cpu, got meta"),
        ("out_weight", torch.zeros(10, 6), r"out_weight must have shape \(M, D\) = \(6, 10\)"),
        ("out_weight", torch.zeros(6, 10).half(), "out_weight must have dtype torch.float32"),
        ("conv_state", torch.zeros(2, 10, 4), r"conv_state must have shape \(B, D, W-1\)"),
        ("conv_state", torch.zeros(2, 10, 3).half(), "conv_state must have dtype torch.float32"),
        ("ssm_state", torch.zeros(2, 3, 10), r"ssm_state must have shape \(B, D, N\)"),
        ("ssm_state", torch.zeros(2, 10, 3).double(), "ssm_state must have dtype torch.float32"),
        ("resets", torch.zeros(2, 5), "resets must have dtype torch.bool"),
        ("backend", "cuda", "one of triton, numba, torch, reference or None, got 'cuda'"),
    ],
)
def test_refuses_what_does_not_fit(argument: str, value: object, message: str) -> None:
    case = block_case(2, 5)
    with pytest.raises(ValueError, match=message):
        mamba_block(**(case.tensors | case.options | {argument: value}))
