"""Without a GPU: what the launchers launch compiles for one, whatever the options and types."""

import os
from typing import Any

import pytest
import torch

from dnamamba_kernels import (
    Direction,
    add_rms_norm,
    bidirectional_block,
    causal_conv1d,
    causal_conv1d_step,
    selective_scan,
    selective_scan_step,
)
from dnamamba_kernels.backend import _REFUSALS, use
from dnamamba_kernels.selective_scan.op import implementation
from dnamamba_kernels.selective_scan.scan import Scan
from dnamamba_kernels.selective_scan.summary import initial_gradient, summary

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available() or os.environ.get("TRITON_INTERPRET") == "1",
    reason="compiled to be run here",
)
F32, F16, B16 = torch.float32, torch.float16, torch.bfloat16


class Absent:
    """As much of a GPU's driver as compiling asks for."""

    def get_current_target(self) -> Any:
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Launches compile, run nothing, and leave their kernel's name here."""
    pytest.importorskip("triton", reason="Triton is not installed")
    from triton.runtime import driver
    from triton.runtime.jit import JITFunction

    names: set[str] = set()
    run = JITFunction.run

    def compile_only(self: Any, *args: Any, warmup: bool, **kwargs: Any) -> Any:
        kernel = run(self, *args, warmup=True, **kwargs)
        assert "cubin" in kernel.asm
        names.add(self.fn.__name__)
        return kernel

    monkeypatch.setattr(JITFunction, "run", compile_only)
    monkeypatch.setitem(_REFUSALS, "triton", lambda device: "")
    monkeypatch.setattr(driver, "_active", Absent())
    return names


@pytest.mark.parametrize(
    ("B", "L", "D", "N", "dtype", "options", "softplus", "reverse"),
    [
        (1, 1, 1, 1, F32, "Dzbhr", True, True),
        (2, 300, 48, 16, B16, "Dzb", True, False),
        (1, 140, 64, 16, F16, "Dzbr", True, False),
        (1, 70, 32, 8, F32, "", True, True),
        (1, 301, 33, 8, F32, "", False, False),
        (1, 200, 100, 64, F16, "zhr", True, True),
        (1, 130, 9, 200, F32, "Dbr", True, False),
    ],
)
def test_scan(
    B: int, L: int, D: int, N: int, dtype: torch.dtype, options: str, softplus: bool, reverse: bool,
    compiled: set[str],
) -> None:  # fmt: skip
    both = torch.zeros(B, L, 2 * D, dtype=dtype)
    inputs = [both[..., :D], torch.zeros(B, L, D, dtype=dtype), torch.zeros(D, N)]
    inputs += [torch.zeros(B, L, N, dtype=dtype), torch.zeros(B, L, N, dtype=dtype)]
    u, delta, A, b, c = (x.requires_grad_() for x in (x.detach() for x in inputs))
    y, final = selective_scan(
        u, delta, A, b, c,
        torch.zeros(D) if "D" in options else None,
        both[..., D:] if "z" in options else None,
        torch.zeros(D) if "b" in options else None,
        softplus,
        torch.zeros(B, D, N) if "h" in options else None,
        torch.zeros(B, L, dtype=torch.bool) if "r" in options else None,
        reverse,
        backend="triton",
    )  # fmt: skip
    (y.float().sum() + final.sum()).backward()
    needed = {"pack_kernel", "output_kernel", "prepare_kernel", "carry_kernel", "adjoint_kernel"}
    assert needed <= compiled
    assert ("summary_kernel" in compiled) == (L > 128)


@pytest.mark.parametrize(("L", "reverse"), [(300, False), (301, True), (512, True)])
def test_scan_of_a_piece(L: int, reverse: bool, compiled: set[str]) -> None:
    both, state = torch.zeros(1, L, 2 * 48, dtype=B16), torch.zeros(1, 48, 16)
    maps, marks = torch.zeros(1, L, 16, dtype=B16), torch.zeros(1, L, dtype=torch.bool)
    u, z = both.chunk(2, -1)
    channel = torch.zeros(48)
    scan = Scan(u, u, state[0], maps, maps, channel, z, channel, state, marks, True, reverse)
    product, local = summary(scan, "triton")
    assert product.shape == local.shape == state.shape
    assert compiled == {"pack_kernel", "summary_kernel", "carry_kernel"}
    fused = implementation("triton")
    _, _, states = fused.forward(scan, True)
    assert initial_gradient(scan, states, u, "triton").shape == state.shape
    assert "adjoint_summary_kernel" in compiled
    from dnamamba_kernels.selective_scan.fused import ahead

    begun = ahead.begin(scan)
    assert ahead.finish(begun, state, True)[2].shape == states.shape
    reach = begun.reach()
    assert reach.shape == (1, 48)
    assert ahead.initial_gradient(scan, u, reach).shape == state.shape
    if L == 301:
        return  # the rest knows no ends
    for dz in [torch.empty_like(u), u.new_empty(0)][L == 512 :]:  # of one direction, first of two
        out = scan.gradients(True, z=dz)
        fused.run_backward(scan, states, u, fused.known(state), out, torch.empty_like(u))
    assert {"prepare_kernel", "adjoint_kernel"} <= compiled


@pytest.mark.parametrize(
    ("D", "W", "dtype", "options", "reverse"),
    [
        (1, 4, F32, "bhr", True),
        (48, 4, B16, "b", False),
        (130, 2, F16, "", False),
        (64, 3, F32, "hr", True),
    ],
)
def test_convolution(
    D: int, W: int, dtype: torch.dtype, options: str, reverse: bool, compiled: set[str]
) -> None:
    y, final = causal_conv1d(
        torch.zeros(2, 20, D, dtype=dtype, requires_grad=True),
        torch.zeros(D, W, dtype=dtype, requires_grad=True),
        torch.zeros(D, dtype=dtype) if "b" in options else None,
        torch.zeros(2, D, W - 1, dtype=dtype) if "h" in options else None,
        torch.zeros(2, 20, dtype=torch.bool) if "r" in options else None,
        reverse,
        backend="triton",
    )
    (y.float().sum() + final.float().sum()).backward()
    assert compiled == {"conv_kernel", "conv_backward_kernel"}


@pytest.mark.parametrize(("shape", "dtype", "residual"), [
    ((1, 1), F32, True), ((2, 30, 256), B16, True), ((5, 100), F16, False), ((3, 5000), B16, True),
])  # fmt: skip
def test_norm(
    shape: tuple[int, ...], dtype: torch.dtype, residual: bool, compiled: set[str]
) -> None:
    x = torch.zeros(shape, dtype=dtype, requires_grad=True)
    before = torch.zeros(shape, requires_grad=True) if residual else None
    y, total = add_rms_norm(x, before, torch.zeros(shape[-1]), 1e-5, backend="triton")
    (y.float().sum() + total.sum()).backward()
    assert compiled == {"norm_kernel", "norm_backward_kernel"}


@pytest.mark.parametrize(
    ("D", "N", "R", "dtype"),
    [(1, 1, 0, F32), (512, 16, 16, B16), (512, 16, 0, B16), (9, 200, 3, F16)],
)
def test_steps(D: int, N: int, R: int, dtype: torch.dtype, compiled: set[str]) -> None:
    row, states = torch.zeros(2, D, dtype=dtype), torch.zeros(2, N, dtype=dtype)
    with use("triton"):
        causal_conv1d_step(row[:, :, None].expand(-1, -1, 3), row, row.new_zeros(D, 4), None)
        delta, dt_weight = (torch.zeros(2, R), torch.zeros(D, R)) if R else (row, None)
        selective_scan_step(
            torch.zeros(2, D, N), row, delta, torch.zeros(D, N), states, states, None, row,
            dt_weight=dt_weight,
        )  # fmt: skip
    assert compiled == {"step_kernel"}


def test_block_of_two_directions(compiled: set[str]) -> None:
    """What adds up over directions, padded rows, and a width that is padded: rows of zeros."""
    M, D, N, R, dtype = 70, 100, 16, 8, B16
    x = torch.zeros(1, 9, M, dtype=dtype, requires_grad=True)
    direction = Direction(
        torch.zeros(D, 4), torch.zeros(D), torch.zeros(R + 2 * N, D, dtype=dtype),
        torch.zeros(D, R, dtype=dtype), torch.zeros(D), torch.zeros(D, N), torch.zeros(D),
    )  # fmt: skip
    branch, _ = bidirectional_block(
        x, None, torch.zeros(M), 1e-5, torch.zeros(2 * D, M, dtype=dtype), direction, direction,
        torch.zeros(M, D, dtype=dtype), None, torch.zeros(1, dtype=torch.int32), recompute=True,
        backend="triton",
    )  # fmt: skip
    branch.float().sum().backward()
    assert compiled >= {"fill_kernel", "output_kernel", "prepare_kernel", "conv_backward_kernel"}
