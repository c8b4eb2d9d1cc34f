"""What the tests of the fused kernels share: where they run, tolerances, poison, comparison."""

import os
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

__all__ = ["DEVICE", "INTERPRETED", "TOLERANCE", "assert_same", "grid", "random", "run"]

# Without a GPU the kernels run in Triton's interpreter, in a process of their own
# (test_fused_interpreter.py): the variable must stand before Triton is imported, and would make
# every other test's automatic backend Triton's.
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"

# Relative to the norm. The interpreter cuts fp32 to bf16 where the GPU rounds: twice the error.
TOLERANCE = {
    torch.float32: 1e-5,
    torch.float16: 1e-3,
    torch.bfloat16: 8e-3 if INTERPRETED else 4e-3,
}

grid = pytest.mark.gpu


def random(shape: Sequence[int], seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).to(dtype).to(DEVICE)


def run(
    call: Callable[..., tuple[Tensor, ...]], inputs: Sequence[Tensor | None], exact: bool
) -> list[Tensor]:
    """Outputs, then the gradient of every input; in fp64 if ``exact``.

    Every output takes a random gradient, the same one in both precisions: few enough bits for both.
    """
    leaves = [
        x if x is None else (x.detach().double() if exact else x.detach()).requires_grad_()
        for x in inputs
    ]
    outputs = call(*leaves)
    loss = torch.zeros((), dtype=torch.float64, device=DEVICE)
    for i, y in enumerate(outputs):
        gradient = random(y.shape, 1000 + i).bfloat16().to(y.dtype)
        loss = loss + (y * gradient).sum().double()
    loss.backward()
    gradients = [x.grad for x in leaves if x is not None]
    assert all(gradient is not None for gradient in gradients)
    return [x.detach() for x in (*outputs, *gradients) if x is not None]


def assert_same(got: Sequence[Tensor], expected: Sequence[Tensor], tolerance: float) -> None:
    """Each within ``tolerance`` of its expected norm; NaN never passes."""
    assert len(got) == len(expected)
    for i, (a, b) in enumerate(zip(got, expected, strict=True)):
        assert a.shape == b.shape, f"number {i}: {a.shape} for {b.shape}"
        error = (a.double() - b.double()).norm().item()
        # A gradient that vanishes is held to the scale of one.
        assert error <= tolerance * max(b.double().norm().item(), 1e-3), f"number {i}: {error}"
