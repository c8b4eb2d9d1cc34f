"""Residual add and RMSNorm in one: the public op, and the pair of operators behind it."""

from typing import Any, Protocol

import torch
from torch import Tensor

from dnamamba_kernels.add_rms_norm import eager
from dnamamba_kernels.add_rms_norm.norm import Norm, Sums
from dnamamba_kernels.add_rms_norm.reference import add_rms_norm_reference
from dnamamba_kernels.backend import choose
from dnamamba_kernels.operators import arguments, opaque, operator

__all__ = ["add_rms_norm"]


def add_rms_norm(
    x: Tensor,
    residual: Tensor | None,
    weight: Tensor,
    eps: float,
    *,
    dtype: torch.dtype | None = None,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Add ``x`` to the residual stream and normalise the sum.

    ::

        r = residual + x
        y = r / sqrt(mean(r²) + eps) * weight

    The mean runs over the last dimension. RMSNorm: Zhang and Sennrich 2019 (arXiv:1910.07467),
    eq. 4, with ε as in Gu and Dao's code. Differentiable in x, residual and weight, through both
    outputs.

    Args:
        x: (..., D); fp32, bf16, fp16 or fp64.
        residual: (..., D), fp32 (fp64 if x is fp64); None is zero.
        weight: (D,).
        eps: ε, added to the mean square.
        dtype: of y; None is x's.
        backend: "triton", "numba", "torch" or "reference"; None chooses by device
            (see ``dnamamba_kernels.backend``).

    Returns:
        y (..., D), and r (..., D) in fp32 (fp64 if x is fp64).

    Raises:
        ValueError: a shape, dtype or device does not fit; names the argument.
    """
    norm = Norm(x, residual, weight, eps, dtype or x.dtype)
    norm.check()
    backend = choose(backend, x.device, x.dtype)
    if backend == "reference":
        return add_rms_norm_reference(norm)
    y, total, _ = _forward(*norm, backend) if opaque(*norm) else _backend(backend).forward(norm)
    return y, total


class _Backend(Protocol):
    """What is written once in PyTorch and once in Triton."""

    def outputs(self, norm: Norm) -> tuple[Tensor, Tensor, Tensor]:
        """Room for y, the sum and the scale between them, empty if the backward makes it anew."""

    def forward(self, norm: Norm) -> tuple[Tensor, Tensor, Tensor]:
        """The same, filled."""

    def backward(
        self, sums: Sums, dy: Tensor | None, dtotal: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """``sums.gradients()``, filled."""


def _backend(name: str) -> _Backend:
    if name != "triton":
        return eager
    from dnamamba_kernels.add_rms_norm import fused

    return fused


@operator(
    "add_rms_norm",
    f"({arguments(Norm)}, str backend) -> (Tensor, Tensor, Tensor)",
)
def _forward(*inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
    *norm, backend = inputs
    return _backend(backend).forward(Norm(*norm))


@_forward.register_fake
def _(*inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
    *norm, backend = inputs
    return _backend(backend).outputs(Norm(*norm))


@operator(
    "add_rms_norm_backward",
    f"({arguments(Sums)}, Tensor? dy, Tensor? dtotal, str backend) -> (Tensor, Tensor, Tensor)",
)
def _backward(*inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
    *sums, dy, dtotal, backend = inputs
    return _backend(backend).backward(Sums(*sums), dy, dtotal)


@_backward.register_fake
def _(*inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
    return Sums(*inputs[:-3]).gradients()


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    x, residual, weight, eps, _, backend = inputs
    _, total, scale = output
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(scale)
    ctx.save_for_backward(total, scale, weight)
    ctx.modes = eps, x.dtype, residual is not None, backend


def _differentiate(
    ctx: Any, dy: Tensor | None, dtotal: Tensor | None, _: Tensor | None
) -> tuple[Tensor | None, ...]:
    if dy is None and dtotal is None:
        return (None,) * 6
    total, scale, weight = ctx.saved_tensors
    eps, dtype, has_residual, backend = ctx.modes
    apart = has_residual and dtype != total.dtype
    sums = Sums(total, scale, weight, eps, dtype, apart)
    dx, dresidual, dweight = _backward(*sums, dy, dtotal, backend)
    if not apart:
        dresidual = dx if has_residual else None
    return dx, dresidual, dweight, None, None, None


_forward.register_autograd(_differentiate, setup_context=_save)
_backward.refuse_autograd()
