"""The causal depthwise convolution of a Mamba block: the public op, and its pair of operators."""

from typing import Any, Protocol

from torch import Tensor

from dnamamba_kernels.backend import choose
from dnamamba_kernels.causal_conv1d.convolution import Convolution
from dnamamba_kernels.causal_conv1d.eager import launch as eager
from dnamamba_kernels.causal_conv1d.reference import causal_conv1d_reference
from dnamamba_kernels.operators import arguments, opaque, operator, present

__all__ = ["causal_conv1d"]


def causal_conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    initial_state: Tensor | None = None,
    resets: Tensor | None = None,
    reverse: bool = False,
    *,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Convolve each channel with its own W taps, each position seeing itself and W - 1 before it.

    With x_t = 0 before the start (or ``initial_state``'s inputs)::

        y_t = silu(bias + sum_{k < W} weight[:, k] x_{t - W + 1 + k})

    The local mixing of a Mamba block, Gu and Dao 2023 (arXiv:2312.00752), section 3.4 and
    figure 3. Differentiable in every floating argument, ``initial_state`` and ``final_state``
    included. Accumulates in fp32 (fp64 for fp64).

    No tap crosses a mark of ``resets``. Forward, a mark at position 0 drops ``initial_state``, and
    ``final_state`` holds zeros for taps before the last mark. In reverse (taps reach to the right)
    ``initial_state`` enters at L - 1, and a mark at position 0 leaves ``final_state`` zero.

    Args:
        x: input (B, L, D); fp32, bf16, fp16 or fp64, L and D at least 1.
        weight: taps (D, W), oldest input first, W from 2 to 4.
        bias: (D,), or None.
        initial_state: the W - 1 inputs scanned before x, oldest first (B, D, W-1), in x's dtype;
            None is zero.
        resets: (B, L) bool, in memory order the first base of each packed segment; None is none.
        reverse: scan from L - 1 down to 0. Memory is not flipped, segments stay the same.
        backend: "triton", "numba", "torch" or "reference"; None chooses by device
            (see ``dnamamba_kernels.backend``).

    Returns:
        y (B, L, D) in x's dtype, and the last W - 1 scanned inputs, oldest first (B, D, W-1), in
        x's dtype.

    Raises:
        ValueError: a shape, dtype or device does not fit; names the argument.
    """
    conv = Convolution(x, weight, bias, initial_state, resets, reverse)
    conv.check()
    backend = choose(backend, x.device, x.dtype)
    if backend == "reference":
        return causal_conv1d_reference(conv)
    if opaque(*conv):
        y, final_state = _forward(*conv, backend)
        return y, final_state
    return _backend(backend).forward(conv)


class _Backend(Protocol):
    """What is written in PyTorch, in Triton and for numba: functions of a convolution."""

    def forward(self, conv: Convolution) -> tuple[Tensor, Tensor]:
        """``conv.outputs()``, filled."""

    def backward(self, conv: Convolution, dy: Tensor | None, dfinal: Tensor | None) -> list[Tensor]:
        """``conv.gradients()``, filled."""


def _backend(name: str) -> _Backend:
    if name == "torch":
        return eager
    if name == "numba":
        from dnamamba_kernels.causal_conv1d.compiled import launch as compiled

        return compiled
    from dnamamba_kernels.causal_conv1d.fused import launch as fused

    return fused


@operator(
    "causal_conv1d",
    f"({arguments(Convolution)}, str backend) -> (Tensor, Tensor)",
)
def _forward(*inputs: Any) -> tuple[Tensor, Tensor]:
    *conv, backend = inputs
    return _backend(backend).forward(Convolution(*conv))


@_forward.register_fake
def _(*inputs: Any) -> tuple[Tensor, Tensor]:
    return Convolution(*inputs[:-1]).outputs()


@operator(
    "causal_conv1d_backward",
    f"({arguments(Convolution)}, Tensor? dy, Tensor? dfinal, str backend) -> Tensor[]",
)
def _backward(*inputs: Any) -> list[Tensor]:
    *conv, dy, dfinal, backend = inputs
    return _backend(backend).backward(Convolution(*conv), dy, dfinal)


@_backward.register_fake
def _(*inputs: Any) -> list[Tensor]:
    return Convolution(*inputs[:-3]).gradients()


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, reverse, backend = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors)
    ctx.modes = reverse, backend


def _differentiate(ctx: Any, dy: Tensor | None, dfinal: Tensor | None) -> tuple[Tensor | None, ...]:
    gradients: list[Tensor | None] = [None] * 4
    if dy is not None or dfinal is not None:
        tensors, (reverse, backend) = ctx.saved_tensors, ctx.modes
        every = _backward(*tensors, reverse, dy, dfinal, backend)
        gradients = present(every, (x is not None for x in tensors[:4]))
    return (*gradients, None, None, None)


_forward.register_autograd(_differentiate, setup_context=_save)
_backward.refuse_autograd()
