"""The convolution's arguments laid out for panels: runs of positions that fit the cache.

Positions are counted over the inputs with the W - 1 carried ones beside them, on their left or,
in reverse, on their right: output t then reads t to t + W - 1 in either direction.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels.causal_conv1d.convolution import Convolution
from dnamamba_kernels.checks import compute_dtype
from dnamamba_kernels.parallel import Block, slices

__all__ = ["Layout", "Panel"]

# Elements of a panel: 256 KB in fp32, of which several lie in a core's second-level cache.
PANEL_ELEMENTS = 1 << 16


class Layout(NamedTuple):
    """What is the same for all panels; with marks, what they hide."""

    x: Tensor  # (B, L, D)
    taps: Tensor  # (W, D) in fp32, in memory order
    bias: Tensor | None  # (D,) in fp32
    carried: Tensor  # (B, W-1, D) in memory order
    hidden: Tensor | None  # (B, L, W): a mark lies between output t and what tap k reads
    reverse: bool

    @classmethod
    def of(cls, conv: Convolution) -> "Layout":
        x, bias, resets, reverse = conv.x, conv.bias, conv.resets, conv.reverse
        dtype, state = compute_dtype(x.dtype), conv.initial_state
        if state is None:
            state = x.new_zeros(len(x), x.shape[2], conv.taps)
        taps, carried = conv.weight.t().to(dtype), state.transpose(1, 2)
        return cls(
            x=x,
            taps=taps.flip(0) if reverse else taps,
            bias=None if bias is None else bias.to(dtype),
            carried=carried.flip(1) if reverse else carried,
            hidden=None if resets is None else _hidden(resets, conv.taps, reverse),
            reverse=reverse,
        )

    def part(self, block: Block) -> "Layout":
        """What one block takes of it."""
        rows, channels = block
        return self._replace(
            x=block.cut(self.x),
            taps=self.taps[:, channels],
            bias=None if self.bias is None else self.bias[channels],
            carried=block.cut(self.carried),
            hidden=None if self.hidden is None else self.hidden[rows],
        )

    def panels(self) -> Iterator["Panel"]:
        batch, length, channels = self.x.shape
        long = min(length, max(1, PANEL_ELEMENTS // channels))
        tall = max(1, PANEL_ELEMENTS // (channels * long))
        for rows in slices(batch, tall):
            for positions in slices(length, long):
                yield Panel(self, rows, positions)

    def read(self, rows: slice, start: int, stop: int) -> Tensor:
        """Inputs from ``start`` to ``stop``, the carried ones counted with them."""
        beside, length = self.carried.shape[1], self.x.shape[1]
        if self.reverse:
            pieces = self.x[rows, start:stop], self.carried[rows, : max(0, stop - length)]
        else:
            first = max(0, start - beside)
            pieces = self.carried[rows, start:stop], self.x[rows, first : max(0, stop - beside)]
        return torch.cat(pieces, 1)


class Panel:
    """Some rows and outputs, and the inputs that they read (R, T + W-1, D), in fp32."""

    def __init__(self, layout: Layout, rows: slice, positions: slice) -> None:
        self.at = rows, positions
        self.taps, self.bias = layout.taps, layout.bias
        self.hidden = None if layout.hidden is None else layout.hidden[rows, positions]
        self.length = positions.stop - positions.start
        inputs = layout.read(rows, positions.start, positions.stop + len(self.taps) - 1)
        self.inputs = inputs.to(self.taps.dtype)

    def tap(self, k: int) -> Tensor:
        """What tap k reads (R, T, D)."""
        return self.hide(self.inputs[:, k : k + self.length], k)

    def hide(self, tensor: Tensor, k: int) -> Tensor:
        """Zero where a mark lies between an output and what tap k reads."""
        if self.hidden is None:
            return tensor
        return tensor.masked_fill(self.hidden[:, :, k, None], 0.0)

    def sums(self) -> Tensor:
        """The outputs before the activation (R, T, D)."""
        y = self.tap(0) * self.taps[0]
        if self.bias is not None:
            y.add_(self.bias)
        for k in range(1, len(self.taps)):
            y.addcmul_(self.tap(k), self.taps[k])
        return y

    def outputs(self) -> Tensor:
        return F.silu(self.sums(), inplace=True)

    def backward(self, grad_y: Tensor, grads: Tensor, grad_taps: Tensor) -> None:
        """Add to the gradients of the inputs (R, T + W-1, D), and of taps and bias (W + 1, D)."""
        grad = torch.ops.aten.silu_backward(grad_y.to(self.taps.dtype), self.sums())
        for k, tap in enumerate(self.taps):
            grads[:, k : k + self.length].addcmul_(self.hide(grad, k), tap)
            grad_taps[k] += (grad * self.tap(k)).sum((0, 1))
        grad_taps[-1] += grad.sum((0, 1))


def _hidden(resets: Tensor, beside: int, reverse: bool) -> Tensor:
    """(B, L, W): where a mark lies between output t and what tap k reads, from marks on inputs."""
    around = (0, beside) if reverse else (beside, 0)
    count = F.pad(resets.long(), around).unfold(1, beside + 1, 1).cumsum(2)
    if reverse:  # marks after the output's own position, up to the tap's
        return count > count[..., :1]
    return count < count[..., -1:]  # marks after the tap's position
