"""Inputs for the ops with every option on and off, and how far from the fp64 reference is right.

Shared by the tests of every backend. A case holds its tensors rounded to its dtype; the reference
reads the same rounded numbers in fp64, so what is compared is the arithmetic alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from dnamamba_kernels import add_rms_norm, causal_conv1d, mamba_block, selective_scan

# Relative error by norm of a tensor of each dtype: for halves, a few of its own roundings.
TOLERANCES = {
    torch.float64: 1e-12,
    torch.float32: 5e-6,
    torch.float16: 1e-3,
    torch.bfloat16: 6e-3,
}

ALL_ON = 8

SCAN_LENGTHS = (1, 2, 63, 64, 65, 100, 1000)
SCAN_CHANNELS = (1, 48, 100)
SCAN_STATES = (1, 8, 16, 64)


@dataclass(frozen=True)
class Case:
    """One call of an op: differentiable tensors (None where left out), and what else it takes."""

    op: Callable[..., tuple[Tensor, ...]]
    tensors: dict[str, Tensor | None]
    options: dict[str, Any]
    dtype: torch.dtype
    outputs: tuple[str, ...] = ("y", "state")

    def to(self, target: torch.device | str | torch.dtype) -> "Case":
        """On another device, or with every floating tensor in another dtype."""
        tensors = {k: t if t is None else t.to(target) for k, t in self.tensors.items()}
        if isinstance(target, torch.dtype):
            return replace(self, tensors=tensors)
        options = {k: v.to(target) if isinstance(v, Tensor) else v for k, v in self.options.items()}
        return replace(self, tensors=tensors, options=options)

    def run(self, backend: str) -> dict[str, Tensor]:
        """The outputs, and the gradient of every tensor through all of them."""
        leaves = {k: t.detach().clone().requires_grad_() for k, t in self.given.items()}
        outputs = self.op(**(self.tensors | leaves), **self.options, backend=backend)
        generator = torch.Generator().manual_seed(7)
        cotangents = [
            torch.randn(out.shape, generator=generator).to(self.dtype).to(out) for out in outputs
        ]
        gradients = torch.autograd.grad(
            outputs, list(leaves.values()), cotangents, allow_unused=True, materialize_grads=True
        )
        named = zip((f"gradient of {name}" for name in leaves), gradients, strict=True)
        values = zip(self.outputs, (out.detach() for out in outputs), strict=True)
        return {**dict(values), **dict(named)}

    def infer(self, backend: str) -> dict[str, Tensor]:
        """The outputs where no gradient is asked for."""
        with torch.inference_mode():
            outputs = self.op(**self.tensors, **self.options, backend=backend)
        return dict(zip(self.outputs, outputs, strict=True))

    def reference(self) -> dict[str, Tensor]:
        return self.to(torch.float64).run("reference")

    def expected(self) -> dict[str, Tensor]:
        """What ``infer`` should give."""
        return self.to(torch.float64).infer("reference")

    @property
    def given(self) -> dict[str, Tensor]:
        return {name: tensor for name, tensor in self.tensors.items() if tensor is not None}


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """By norm; where fp32 could not hold what is expected, nothing is."""
    actual, expected = actual.cpu().double(), expected.cpu().double()
    return float((actual - expected).norm() / expected.norm().clamp(min=1e-37))


def assert_close(
    actual: dict[str, Tensor],
    expected: dict[str, Tensor],
    scale: float = 1.0,
    dtype: torch.dtype | None = None,
) -> None:
    """Every tensor within the tolerance of ``dtype`` or its own, times ``scale``, and finite."""
    assert actual.keys() == expected.keys()
    for name, tensor in actual.items():
        assert tensor.shape == expected[name].shape, name
        assert tensor.isfinite().all(), f"{name} is not finite"
        error, limit = relative_error(tensor, expected[name]), TOLERANCES[dtype or tensor.dtype]
        limit *= scale
        assert error <= limit, f"{name}: relative error {error:.2e} > {limit:.1e}"


def options_on(row: int, count: int) -> list[bool]:
    """Which of ``count`` <= 7 options are on; all of them in row ``ALL_ON``.

    Rows 0 to 7 are an orthogonal array: over them, any two options meet in all four combinations.
    """
    return [row == ALL_ON or (row & option).bit_count() % 2 == 1 for option in range(1, count + 1)]


def scan_case(
    B: int, L: int, D: int, N: int, row: int = ALL_ON, dtype: torch.dtype = torch.float32
) -> Case:
    """A scan whose options are ``options_on(row)``; parameters and states are fp32 at the least."""
    skip, gate, bias, softplus, initial, packed, reverse = options_on(row, 7)
    random = torch.Generator().manual_seed(1000 * L + 10 * D + N + row)
    held = torch.promote_types(dtype, torch.float32)

    def normal(*shape: int, of: torch.dtype = dtype) -> Tensor:
        return torch.randn(shape, generator=random).to(of)

    delta = normal(B, L, D).float() - 1.0
    if not softplus:
        delta = delta.exp()
    tensors = {
        "u": normal(B, L, D),
        "delta": delta.to(dtype),
        "A": -(normal(D, N, of=held) + torch.arange(N) / 2).exp().clamp(max=16.0),
        "B": normal(B, L, N),
        "C": normal(B, L, N),
        "D": normal(D, of=held) if skip else None,
        "z": normal(B, L, D) if gate else None,
        "delta_bias": normal(D, of=held) / 2 if bias and softplus else None,
        "initial_state": normal(B, D, N, of=held) if initial else None,
    }
    options = {
        "delta_softplus": softplus,
        "resets": marks(B, L, random) if packed else None,
        "reverse": reverse,
    }
    return Case(selective_scan, tensors, options, dtype)


def scan_cases() -> list[tuple[int, int, int, int]]:
    """(L, D, N, row): every pair of sizes, and every row of options with each length or so."""
    return [
        (length, SCAN_CHANNELS[(i + j) % 3], states, (3 * i + 2 * j + i // 2) % 8)
        for i, length in enumerate(SCAN_LENGTHS)
        for j, states in enumerate(SCAN_STATES)
    ]


def conv_case(
    B: int, L: int, D: int, W: int, row: int = ALL_ON, dtype: torch.dtype = torch.float32
) -> Case:
    bias, initial, packed, reverse = options_on(row, 4)
    random = torch.Generator().manual_seed(1000 * L + 10 * D + W + row)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random).to(dtype)

    tensors = {
        "x": normal(B, L, D),
        "weight": normal(D, W),
        "bias": normal(D) if bias else None,
        "initial_state": normal(B, D, W - 1) if initial else None,
    }
    options = {
        "resets": marks(B, L, random) if packed else None,
        "reverse": reverse,
    }
    return Case(causal_conv1d, tensors, options, dtype)


def norm_case(shape: tuple[int, ...], residual: bool, dtype: torch.dtype = torch.float32) -> Case:
    random = torch.Generator().manual_seed(sum(shape) + residual)
    held = torch.promote_types(dtype, torch.float32)
    tensors = {
        "x": torch.randn(shape, generator=random).to(dtype),
        "residual": torch.randn(shape, generator=random).to(held) if residual else None,
        "weight": torch.randn(shape[-1:], generator=random).to(held),
    }
    return Case(add_rms_norm, tensors, {"eps": 1e-5}, dtype)


def block_case(B: int, L: int, row: int = ALL_ON, dtype: torch.dtype = torch.float32) -> Case:
    """A layer of odd sizes; what is not projected, and the stream, is fp32 at the least."""
    residual, biased, states, packed = options_on(row, 4)
    random = torch.Generator().manual_seed(1000 * L + row)
    M, D, W, N, R = 6, 10, 4, 3, 2
    wide = torch.promote_types(dtype, torch.float32)

    def normal(*shape: int, of: torch.dtype = wide, scale: float = 1.0) -> Tensor:
        return (torch.randn(shape, generator=random) * scale).to(of)

    tensors = {
        "x": normal(B, L, M, of=dtype),
        "residual": normal(B, L, M) if residual else None,
        "norm_weight": normal(M),
        "in_weight": normal(2 * D, M, of=dtype, scale=0.5),
        "conv_weight": normal(D, W, scale=0.5),
        "conv_bias": normal(D) if biased else None,
        "x_weight": normal(R + 2 * N, D, of=dtype, scale=0.3),
        "dt_weight": normal(D, R, of=dtype, scale=0.3),
        "dt_bias": normal(D) - 1 if biased else None,
        "A": -normal(D, N).abs(),
        "D": normal(D),
        "out_weight": normal(M, D, of=dtype, scale=0.3),
        "conv_state": normal(B, D, W - 1, of=dtype) if states else None,
        "ssm_state": normal(B, D, N) if states else None,
    }
    options = {"eps": 1e-5, "resets": marks(B, L, random) if packed else None}
    names = ("branch", "stream", "conv_state", "ssm_state")
    return Case(mamba_block, tensors, options, dtype, names)


def marks(B: int, L: int, random: torch.Generator) -> Tensor:
    """(B, L) resets: a tenth of the positions, the first of every other row, the last of row 0."""
    resets = torch.rand(B, L, generator=random) < 0.1
    resets[:, 0] = torch.arange(B) % 2 == 0
    resets[0, -1] = True
    return resets
