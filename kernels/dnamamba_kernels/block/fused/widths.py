"""Layers of widths that no tile fits, as wider ones: the rest is zeros, which come to nothing.

A channel whose weights are all zero has u = z = y = 0. Of the activations none is copied: the norm
writes its rows wider, and the branch is a view of wider rows. Here the weights are padded, a few
small copies, of which autograd narrows the gradients.
"""

from torch import Tensor
from torch.nn import functional as F

from dnamamba_kernels.block.layer import Direction, Layer

__all__ = ["narrowed", "padded", "widened", "widened_state"]

NARROW = 64  # up to here tiles are mostly empty anyway
CHANNELS = 32  # a warp's, and a block's of the scan's adjoint
WIDTH = 16  # of d_model: rows of 32 bytes in half precision


def padded(width: int, channels: int) -> tuple[int, int]:
    """M and D as the kernels take them."""
    return width + _missing(width, WIDTH), channels + _missing(channels, CHANNELS)


def widened(layer: Layer) -> Layer:
    """The same layer with D and M as multiples of the above, unless they are small.

    ``norm_weight`` keeps its M: ``in_weight`` is wider than it, and ``out_weight`` taller.
    """
    width, channels = layer.out_weight.shape
    more, missing = _missing(channels, CHANNELS), _missing(width, WIDTH)
    if not more and not missing:
        return layer
    into = layer.in_weight.unflatten(0, (2, channels))
    return layer._replace(
        in_weight=F.pad(into, (0, missing, 0, more)).flatten(0, 1),
        directions=tuple(_of_channels(direction, more) for direction in layer.directions),
        out_weight=F.pad(layer.out_weight, (0, more, 0, missing)),
        conv_state=_state(layer.conv_state, channels + more),
        ssm_state=_state(layer.ssm_state, channels + more),
    )


def narrowed(state: Tensor, channels: int) -> Tensor:
    """A state (B, D, any) without the channels that were added."""
    return state if state.shape[1] == channels else state[:, :channels]


def widened_state(state: Tensor, channels: int) -> Tensor:
    """A state (B, D, any) with zeros for the channels that are added."""
    more = channels - state.shape[1]
    return F.pad(state, (0, 0, 0, more)) if more else state


def _missing(size: int, multiple: int) -> int:
    return -size % multiple if size > NARROW else 0


def _of_channels(direction: Direction, more: int) -> Direction:
    def vector(x: Tensor | None) -> Tensor | None:
        return None if x is None else F.pad(x, (0, more))

    weight, bias, x_weight, dt_weight, dt_bias, A, D = direction
    return Direction(
        F.pad(weight, (0, 0, 0, more)),
        vector(bias),
        F.pad(x_weight, (0, more)),
        F.pad(dt_weight, (0, 0, 0, more)),
        vector(dt_bias),
        F.pad(A, (0, 0, 0, more)),
        F.pad(D, (0, more)),
    )


def _state(state: Tensor | None, channels: int) -> Tensor | None:
    return None if state is None else widened_state(state, channels)
