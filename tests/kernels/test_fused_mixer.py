"""The mixer as one op against the ops that it is made of, in fp64, outputs and every gradient."""

from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels import causal_conv1d, mixer, selective_scan

from .fused_cases import DEVICE, INTERPRETED, TOLERANCE, assert_same, random, run

pytestmark = pytest.mark.skipif(
    not INTERPRETED and not torch.cuda.is_available(), reason="no GPU, and not interpreted"
)
F32, B16 = torch.float32, torch.bfloat16


def one_by_one(*inputs: Tensor | None, resets: Tensor | None) -> tuple[Tensor, ...]:
    h, w_in, taps, bias, w_x, w_dt, shift, A, D, conv_state, ssm_state = inputs
    x, z = F.linear(h, w_in).chunk(2, -1)  # type: ignore[arg-type]
    u, tail = causal_conv1d(
        x,
        taps,
        bias,
        "silu",
        conv_state,
        resets,
        backend="reference",  # type: ignore[arg-type]
    )
    rank, B, C = F.linear(u, w_x).split(  # type: ignore[arg-type]
        (w_dt.shape[1], A.shape[1], A.shape[1]),
        -1,  # type: ignore[union-attr]
    )
    delta = F.linear(rank, w_dt)  # type: ignore[arg-type]
    y, final = selective_scan(
        u,
        delta,
        A,
        B,
        C,
        D,
        z,
        shift,
        True,
        ssm_state,
        resets,
        backend="reference",  # type: ignore[arg-type]
    )
    return y, tail, final


def arguments(B: int, L: int, dtype: torch.dtype, options: str) -> list[Tensor | None]:
    width, D, W, N, R = 6, 10, 4, 3, 2
    return [
        random((B, L, width), 1, dtype),
        random((2 * D, width), 2, dtype) / 2,
        random((D, W), 3) / 2,
        random((D,), 4) if "b" in options else None,
        random((R + 2 * N, D), 5, dtype) / 3,
        random((D, R), 6, dtype) / 3,
        random((D,), 7) - 1 if "b" in options else None,
        -random((D, N), 8).abs(),
        random((D,), 9),
        random((B, D, W - 1), 10, dtype) if "h" in options else None,
        random((B, D, N), 11) if "h" in options else None,
    ]


@pytest.mark.parametrize(
    ("B", "L", "dtype", "options"),
    [
        (1, 1, F32, "bh"),
        (2, 2, F32, "bhr"),  # shorter than the convolution's state
        (2, 33, F32, "bhr"),
        (1, 70, F32, ""),
        (2, 40, B16, "bh"),
    ],
)
def test_outputs_and_gradients(B: int, L: int, dtype: torch.dtype, options: str) -> None:
    inputs = arguments(B, L, dtype, options)
    resets = random((B, L), 12) > 1.0 if "r" in options else None
    got = run(partial(_fused, resets=resets), inputs, exact=False)
    expected = run(partial(one_by_one, resets=resets), inputs, exact=True)
    # In half precision what lies between the projections is rounded several times.
    assert_same(got, expected, TOLERANCE[dtype] * (6 if dtype == B16 else 1))


def _fused(*inputs: Tensor | None, resets: Tensor | None) -> tuple[Tensor, ...]:
    return mixer(*inputs, resets=resets)  # type: ignore[arg-type]


def test_a_state_that_nobody_differentiates() -> None:
    """Only y has a gradient: those of the states are not made up."""
    inputs = [x if x is None else x.requires_grad_() for x in arguments(1, 9, F32, "b")]
    mixer(*inputs)[0].sum().backward()  # type: ignore[arg-type]
    assert all(x.grad.isfinite().all() for x in inputs if x is not None)  # type: ignore[union-attr]


def test_empty_batch() -> None:
    inputs = [x if x is None else x.requires_grad_() for x in arguments(0, 5, F32, "bh")]
    y, tail, final = mixer(*inputs)  # type: ignore[arg-type]
    (y.sum() + tail.sum() + final.sum()).backward()
    assert y.shape == (0, 5, 10)
    assert inputs[1].grad.abs().max() == 0  # type: ignore[union-attr]


def test_compiles_into_one_graph() -> None:
    inputs = arguments(1, 7, F32, "bh")
    compiled = torch.compile(lambda *x: mixer(*x), fullgraph=True, backend="aot_eager")
    eager = run(lambda *x: mixer(*x), inputs, exact=False)  # type: ignore[arg-type]
    assert_same(run(compiled, inputs, exact=False), eager, 1e-6)


def test_registered_as_an_operator() -> None:
    from dnamamba_kernels.mixer.fused import _forward

    leaves = [x if x is None else x.requires_grad_() for x in arguments(1, 5, F32, "bh")]
    marks = torch.zeros(1, 5, dtype=torch.bool, device=DEVICE)
    torch.library.opcheck(_forward, (*leaves, marks, True))
