"""One slab of the scan: T positions of R rows, its decays and states laid out (T, R, N, D).

Channels lie innermost, so that every product is a contiguous run whatever N is, and sums over N
or D are batched matrix products.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels.checks import compute_dtype

__all__ = ["Gradients", "Scan", "Slab", "Work"]


class Scan(NamedTuple):
    """The arguments of a scan that has a direction; ``cuts`` (B, L) marks where no state enters."""

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor | None
    z: Tensor | None
    delta_bias: Tensor | None
    delta_softplus: bool
    cuts: Tensor | None
    reverse: bool


class Gradients:
    """What the backward fills slab by slab; summed ones start at zero, A's lies as (N, D)."""

    def __init__(self, scan: Scan) -> None:
        dtype = compute_dtype(scan.u.dtype)

        def filled(tensor: Tensor) -> Tensor:
            return torch.empty_like(tensor, memory_format=torch.contiguous_format)

        def summed(tensor: Tensor) -> Tensor:
            return torch.zeros_like(tensor, dtype=dtype, memory_format=torch.contiguous_format)

        self.u = filled(scan.u)
        self.delta = filled(scan.delta)
        self.A = summed(scan.A.t())
        self.B = summed(scan.B)
        self.C = summed(scan.C)
        self.D = None if scan.D is None else summed(scan.D)
        self.z = None if scan.z is None else filled(scan.z)
        self.delta_bias = None if scan.delta_bias is None else summed(scan.delta_bias)

    def of(self, scan: Scan) -> tuple[Tensor | None, ...]:
        """In the order and the dtypes of the scan's tensors."""
        tensors = (scan.u, scan.delta, scan.A, scan.B, scan.C, scan.D, scan.z, scan.delta_bias)
        grads = (self.u, self.delta, self.A.t(), self.B, self.C, self.D, self.z, self.delta_bias)
        return tuple(
            None if grad is None or tensor is None else grad.to(tensor.dtype)
            for grad, tensor in zip(grads, tensors, strict=True)
        )


class Work:
    """A slab's arrays: decays a, states h with the start's among them, and their gradients g.

    They are made once for all slabs of a size, as are the views of each position, which come in
    the scan's order.
    """

    def __init__(self, like: Tensor, size: tuple[int, ...], reverse: bool) -> None:
        positions, *state = size
        self.size = size
        self.a, self.g = like.new_empty(2, *size).unbind(0)
        self.h = like.new_empty(positions + 1, *state)
        self.before, self.after = self.h[:-1], self.h[1:]
        order = slice(None, None, -1 if reverse else 1)
        if reverse:
            self.before, self.after = self.after, self.before
        self.a_steps = self.a.unbind(0)[order]
        self.g_steps = self.g.unbind(0)[order]
        self.h_steps = self.h.unbind(0)[order]


class Slab:
    """The inputs of one slab, positions first, in the precision of the state."""

    def __init__(self, scan: Scan, rows: slice, positions: slice, channels: slice) -> None:
        dtype = compute_dtype(scan.u.dtype)
        self.rows, self.channels = rows, channels
        self.at = rows, positions, channels

        def load(tensor: Tensor) -> Tensor:
            return tensor.transpose(0, 1).to(dtype).contiguous()

        self.softplus = scan.delta_softplus
        self.x = load(scan.u[rows, positions, channels])
        self.raw = load(scan.delta[rows, positions, channels])
        if scan.delta_bias is not None:
            self.raw = self.raw + scan.delta_bias[channels].to(dtype)
        self.step = F.softplus(self.raw) if self.softplus else self.raw
        self.weighted = self.step * self.x
        self.A = scan.A[channels].t().to(dtype).contiguous()  # (N, D)
        self.B = load(scan.B[rows, positions])
        self.C = load(scan.C[rows, positions])
        self.D = None if scan.D is None else scan.D[channels].to(dtype)
        self.z = None if scan.z is None else load(scan.z[rows, positions, channels])
        self.cuts = None if scan.cuts is None else scan.cuts[rows, positions].t()

    @property
    def size(self) -> tuple[int, ...]:
        """(T, R, N, D)."""
        positions, rows, channels = self.x.shape
        return positions, rows, self.A.shape[0], channels

    def states(self, start: Tensor, work: Work) -> Tensor:
        """Fill ``work.a`` and ``work.h`` from the state at the start; the state at the end."""
        torch.mul(self.step[:, :, None], self.A, out=work.a).exp_()
        if self.cuts is not None:
            work.a[self.cuts] = 0.0
        torch.mul(self.weighted[:, :, None], self.B[..., None], out=work.after)
        work.h_steps[0].copy_(start)
        for a, before, state in zip(work.a_steps, work.h_steps, work.h_steps[1:], strict=False):
            state.addcmul_(a, before)
        return work.h_steps[-1]

    def output(self, work: Work) -> Tensor:
        """y before the gate, (T, R, D)."""
        y = _over_states(self.C, work.after)
        return y if self.D is None else y.addcmul_(self.x, self.D)

    def gated_output(self, work: Work) -> Tensor:
        y = self.output(work)
        return y if self.z is None else y.mul_(F.silu(self.z))

    def backward(self, grad_y: Tensor, later: Tensor, work: Work, grads: Gradients) -> Tensor:
        """Write this slab's share into ``grads``; ``states`` has been called.

        ``later`` (R, N, D) is the gradient of the state at the slab's end; returns that at its
        start.
        """
        at = self.at
        grad_y = grad_y[at].transpose(0, 1).to(self.x.dtype).contiguous()
        if self.z is not None and grads.z is not None:
            sigmoid = self.z.sigmoid()
            gate = self.z * sigmoid
            slope = torch.addcmul(sigmoid, gate, 1 - sigmoid)
            grads.z[at] = (grad_y * self.output(work) * slope).transpose(0, 1)
            grad_y = grad_y * gate
        grads.C[at[:2]] += _over_channels(grad_y, work.after).transpose(0, 1)

        # g_t = C_t dy_t + a_{t+1} g_{t+1}, the gradient of h_t.
        torch.mul(self.C[..., None], grad_y[:, :, None], out=work.g)
        work.g_steps[-1].add_(later)
        g_back, a_back = work.g_steps[::-1], work.a_steps[::-1]
        for a, after, g in zip(a_back, g_back, g_back[1:], strict=False):
            g.addcmul_(a, after)
        grads.B[at[:2]] += _over_channels(self.weighted, work.g).transpose(0, 1)
        grad_weighted = _over_states(self.B, work.g)

        work.a.mul_(work.g)
        earlier = work.a_steps[0].clone()
        # The gradient of Δ_t A: a_t g_t h_{t-1}. Its products overwrite the states, now spent.
        grad_exponent, product = work.a.mul_(work.before), work.before
        torch.mul(grad_exponent, self.step[:, :, None], out=product)
        grads.A[:, self.channels] += product.sum((0, 1))
        torch.mul(grad_exponent, self.A, out=product)
        grad_step = product.sum(2).addcmul_(grad_weighted, self.x)
        self._inputs(grad_y, grad_weighted, grad_step, grads)
        return earlier

    def _inputs(
        self, grad_y: Tensor, grad_weighted: Tensor, grad_step: Tensor, grads: Gradients
    ) -> None:
        """The gradients of u and delta, and of the parameters beside them."""
        at = self.at
        grad_x = grad_weighted * self.step
        if self.D is not None and grads.D is not None:
            grad_x.addcmul_(grad_y, self.D)
            grads.D[self.channels] += (grad_y * self.x).sum((0, 1))
        grad_raw = grad_step * self.raw.sigmoid() if self.softplus else grad_step
        if grads.delta_bias is not None:
            grads.delta_bias[self.channels] += grad_raw.sum((0, 1))
        grads.u[at] = grad_x.transpose(0, 1)
        grads.delta[at] = grad_raw.transpose(0, 1)


def _over_states(weights: Tensor, states: Tensor) -> Tensor:
    """(T, R, N) and (T, R, N, D) summed over N: (T, R, D)."""
    product = torch.bmm(weights.flatten(0, 1)[:, None], states.flatten(0, 1))
    return product.view(*weights.shape[:2], -1)


def _over_channels(weights: Tensor, states: Tensor) -> Tensor:
    """(T, R, D) and (T, R, N, D) summed over D: (T, R, N)."""
    # As a row times a transpose: three times as fast as a matrix times a column.
    product = torch.bmm(weights.flatten(0, 1)[:, None], states.flatten(0, 1).transpose(1, 2))
    return product.view(*weights.shape[:2], -1)
