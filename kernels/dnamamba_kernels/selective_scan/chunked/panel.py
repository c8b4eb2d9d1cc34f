"""A panel of the scan: what a run of slabs needs and gives, positions first, in fp32.

Everything here is of size positions x channels; a state has N times that and is the slab's.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels.checks import compute_dtype
from dnamamba_kernels.parallel import Block
from dnamamba_kernels.selective_scan.chunked.slab import Signals
from dnamamba_kernels.selective_scan.scan import Scan

__all__ = ["Gradients", "Panel"]


class Gradients(NamedTuple):
    """What the backward fills panel by panel; u's, delta's and z's are written, the others summed.

    A's lies as (N, D).
    """

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor | None
    z: Tensor | None
    delta_bias: Tensor | None

    @classmethod
    def empty(cls, scan: Scan) -> "Gradients":
        dtype = compute_dtype(scan.u.dtype)

        def written(tensor: Tensor) -> Tensor:
            return torch.empty_like(tensor, memory_format=torch.contiguous_format)

        def summed(tensor: Tensor) -> Tensor:
            return torch.zeros_like(tensor, dtype=dtype, memory_format=torch.contiguous_format)

        return cls(
            u=written(scan.u),
            delta=written(scan.delta),
            A=summed(scan.A.t()),
            B=summed(scan.B),
            C=summed(scan.C),
            D=None if scan.D is None else summed(scan.D),
            z=None if scan.z is None else written(scan.z),
            delta_bias=None if scan.delta_bias is None else summed(scan.delta_bias),
        )

    def share(self, block: Block) -> "Gradients":
        """A block's own: views of what it writes, zeros for what it adds to."""
        rows, channels = block
        bias = self.delta_bias
        return Gradients(
            u=block.cut(self.u),
            delta=block.cut(self.delta),
            A=torch.zeros_like(self.A[:, channels]),
            B=torch.zeros_like(self.B[rows]),
            C=torch.zeros_like(self.C[rows]),
            D=None if self.D is None else torch.zeros_like(self.D[channels]),
            z=None if self.z is None else block.cut(self.z),
            delta_bias=None if bias is None else torch.zeros_like(bias[channels]),
        )

    def add(self, block: Block, share: "Gradients") -> None:
        """Add a block's sums. In a fixed order, so that a run repeats bit for bit."""
        rows, channels = block
        self.A[:, channels] += share.A
        self.B[rows] += share.B
        self.C[rows] += share.C
        if self.D is not None and share.D is not None:
            self.D[channels] += share.D
        if self.delta_bias is not None and share.delta_bias is not None:
            self.delta_bias[channels] += share.delta_bias

    def like(self, scan: Scan) -> list[Tensor]:
        """In the order, shapes and dtypes of the scan's tensors; empty for those left out."""
        return [
            self.u.new_empty(0)
            if grad is None or tensor is None
            else grad.to(tensor.dtype).contiguous()
            for grad, tensor in zip(self._replace(A=self.A.t()), scan[:8], strict=True)
        ]


class Panel:
    """The inputs of some rows, positions and channels, loaded (T, R, ...)."""

    def __init__(self, scan: Scan, rows: slice, positions: slice, channels: slice) -> None:
        self.at = rows, positions, channels
        self.dtype = dtype = compute_dtype(scan.u.dtype)
        self.softplus = scan.delta_softplus
        self.x = self.load(scan.u)
        self.raw = self.load(scan.delta)
        if scan.delta_bias is not None:
            self.raw = self.raw + scan.delta_bias[channels].to(dtype)
        step = F.softplus(self.raw) if self.softplus else self.raw
        B, C = (t[rows, positions].transpose(0, 1).to(dtype).contiguous() for t in (scan.B, scan.C))
        self.signals = Signals(step, step * self.x, B, C)
        self.A = scan.A[channels].t().to(dtype).contiguous()  # (N, D)
        self.D = None if scan.D is None else scan.D[channels].to(dtype)
        self.z = None if scan.z is None else self.load(scan.z)
        self.cuts = (
            None if scan.resets is None else _cuts(scan.resets[rows], positions, scan.reverse)
        )

    def load(self, tensor: Tensor) -> Tensor:
        """This panel's part of a (B, L, D) tensor as (T, R, D)."""
        return tensor[self.at].transpose(0, 1).to(self.dtype).contiguous()

    def cuts_at(self, part: slice) -> Tensor | None:
        return None if self.cuts is None else self.cuts[part]

    def finish(self, y: Tensor) -> Tensor:
        """Skip and gate, in place on C · h."""
        if self.D is not None:
            y.addcmul_(self.x, self.D)
        return y if self.z is None else y.mul_(F.silu(self.z))

    def ungate(self, grad_y: Tensor) -> Tensor:
        """The gradient before the gate."""
        return grad_y if self.z is None else grad_y * F.silu(self.z)

    def gate_gradient(self, grad_y: Tensor, y: Tensor) -> Tensor:
        """The gradient of z, from that of the output and from C · h."""
        if self.D is not None:
            y.addcmul_(self.x, self.D)
        return torch.ops.aten.silu_backward(y.mul_(grad_y), self.z)

    def scatter(self, signals: Signals, grad_y: Tensor, grads: Gradients) -> None:
        """From the gradients of the signals and of y before the gate, those of the arguments."""
        rows, positions, channels = self.at
        grads.B[rows, positions] += signals.B.transpose(0, 1)
        grads.C[rows, positions] += signals.C.transpose(0, 1)
        grad_x = signals.weighted * self.signals.step
        grad_raw = torch.addcmul(signals.step, signals.weighted, self.x)
        if self.softplus:
            grad_raw.mul_(self.raw.sigmoid())
        if self.D is not None and grads.D is not None:
            grad_x.addcmul_(grad_y, self.D)
            grads.D[channels] += (grad_y * self.x).sum((0, 1))
        if grads.delta_bias is not None:
            grads.delta_bias[channels] += grad_raw.sum((0, 1))
        grads.u[self.at] = grad_x.transpose(0, 1)
        grads.delta[self.at] = grad_raw.transpose(0, 1)


def _cuts(resets: Tensor, positions: slice, reverse: bool) -> Tensor:
    """(T, R): no state enters these positions. In reverse a mark cuts the position before it."""
    if not reverse:
        return resets[:, positions].t()
    marks = resets[:, positions.start + 1 : positions.stop + 1]
    if positions.stop == resets.shape[1]:
        marks = torch.cat([marks, torch.zeros_like(resets[:, :1])], 1)
    return marks.t()
