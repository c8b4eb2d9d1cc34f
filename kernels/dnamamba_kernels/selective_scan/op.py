"""The selective scan of Mamba-1: the public op, and the pair of operators behind it."""

from typing import Any, Protocol

from torch import Tensor

from dnamamba_kernels.backend import choose
from dnamamba_kernels.operators import arguments, differentiable, opaque, operator, present
from dnamamba_kernels.selective_scan.chunked import launch as chunked
from dnamamba_kernels.selective_scan.reference import selective_scan_reference
from dnamamba_kernels.selective_scan.scan import Scan

__all__ = ["implementation", "scan_forward", "selective_scan"]


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = True,
    initial_state: Tensor | None = None,
    resets: Tensor | None = None,
    reverse: bool = False,
    *,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Run the selective state space recurrence over L positions.

    With Δ_t = softplus(delta_t + delta_bias), for every channel d and state n::

        h_t = exp(Δ_t A) h_{t-1} + Δ_t B_t u_t
        y_t = (C_t · h_t + D u_t) silu(z_t)

    Gu and Dao 2023 (arXiv:2312.00752), eq. 2 and algorithm 2; B is discretised by Euler's rule
    and A exactly, as in the authors' code. Differentiable in every floating argument, through
    ``y`` and through ``final_state``; not twice.

    A state never crosses a mark of ``resets``. Forward, a mark at position 0 drops
    ``initial_state``. In reverse the state enters position t from t + 1, ``initial_state`` enters
    at L - 1, and a mark at position 0 leaves ``final_state`` zero: what comes before the mark is
    another segment. So a sequence cut anywhere, its state carried, gives what it gives uncut.

    A position with ``delta`` = -inf (with softplus) or Δ = 0 (without) leaves the state exactly as
    it is and takes no gradient through it: this is how padding is masked.

    Args:
        u: input (B, L, D); fp32, bf16, fp16 or fp64. B is any size, L, D and N at least 1.
        delta: Δ before bias and softplus (B, L, D).
        A: continuous-time decay (D, N), negative for a stable state; N at most 256.
        B: input projection (B, L, N).
        C: output projection (B, L, N).
        D: skip connection (D,), or None.
        z: gate (B, L, D), or None.
        delta_bias: added to ``delta`` (D,), or None.
        delta_softplus: whether Δ goes through softplus.
        initial_state: h before the first scanned position (B, D, N), fp32; None is zero.
        resets: (B, L) bool, in memory order the first base of each packed segment; None is none.
        reverse: scan from L - 1 down to 0. Memory is not flipped, segments stay the same.
        backend: "triton", "numba", "torch" or "reference"; None chooses by device
            (see ``dnamamba_kernels.backend``).

    Returns:
        y (B, L, D) in u's dtype, and the state after the last scanned position (B, D, N), in fp32
        (fp64 if u is fp64), the precision of the recurrence itself.

    Raises:
        ValueError: a shape, dtype or device does not fit; names the argument.
    """
    scan = Scan(u, delta, A, B, C, D, z, delta_bias, initial_state, resets, delta_softplus, reverse)
    scan.check()
    backend = choose(backend, u.device, u.dtype)
    if backend == "reference":
        return selective_scan_reference(scan)
    if opaque(*scan):
        y, final_state, _ = scan_forward(*scan, differentiable(*scan), backend)
    else:
        y, final_state, _ = implementation(backend).forward(scan, keep=False)
    return y, final_state


class _Backend(Protocol):
    """What is written in PyTorch, in Triton and for numba: functions of a scan."""

    def outputs(self, u: Tensor, A: Tensor, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
        """y, the final state and, empty unless ``keep``, the states inside; all uninitialised."""

    def forward(self, scan: Scan, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
        """The same, filled."""

    def backward(
        self, scan: Scan, states: Tensor, dy: Tensor | None, dfinal: Tensor | None, initial: bool
    ) -> list[Tensor]:
        """``scan.gradients(initial)``, filled, from the states that the forward kept."""


def implementation(name: str) -> _Backend:
    """What computes a scan on a backend, "reference" apart: without checks and without autograd."""
    if name == "torch":
        return chunked
    if name == "numba":
        from dnamamba_kernels.selective_scan.compiled import launch as compiled

        return compiled
    from dnamamba_kernels.selective_scan.fused import launch as fused

    return fused


@operator(
    "selective_scan",
    f"({arguments(Scan)}, bool keep, str backend) -> (Tensor, Tensor, Tensor)",
)
def scan_forward(*inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
    *scan, keep, backend = inputs
    return implementation(backend).forward(Scan(*scan), keep)


@scan_forward.register_fake
def _(*inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
    *fields, keep, backend = inputs
    scan = Scan(*fields)
    return implementation(backend).outputs(scan.u, scan.A, keep)


# The scan comes without its initial state: of that the backward knows whether there was one.
@operator(
    "selective_scan_backward",
    f"({arguments(Scan)}, Tensor states, Tensor? dy, Tensor? dfinal, bool initial, "
    "str backend) -> Tensor[]",
)
def _backward(*inputs: Any) -> list[Tensor]:
    *scan, states, dy, dfinal, initial, backend = inputs
    return implementation(backend).backward(Scan(*scan), states, dy, dfinal, initial)


@_backward.register_fake
def _(*inputs: Any) -> list[Tensor]:
    *scan, _, _, _, initial, _ = inputs
    return Scan(*scan).gradients(initial)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    *fields, _, backend = inputs
    scan = Scan(*fields)
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[2])
    ctx.save_for_backward(*scan[:8], scan.resets, output[2])
    ctx.modes = scan.delta_softplus, scan.reverse, scan.initial_state is not None, backend


def _differentiate(
    ctx: Any, dy: Tensor | None, dfinal: Tensor | None, _: Tensor | None
) -> tuple[Tensor | None, ...]:
    gradients: list[Tensor | None] = [None] * 9
    if dy is not None or dfinal is not None:
        *tensors, resets, states = ctx.saved_tensors
        softplus, reverse, initial, backend = ctx.modes
        scan = Scan._make((*tensors, None, resets, softplus, reverse))
        exists = (*(x is not None for x in tensors), initial)
        gradients = present(_backward(*scan, states, dy, dfinal, initial, backend), exists)
    return (*gradients, None, None, None, None, None)


scan_forward.register_autograd(_differentiate, setup_context=_save)
_backward.refuse_autograd()
