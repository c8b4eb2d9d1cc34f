"""What a fused block's backward meets at the ends of its rows."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from dnamamba_kernels.block.fused.parts import Inside, Side, sides_of
from dnamamba_kernels.block.layer import Layer
from dnamamba_kernels.causal_conv1d.convolution import Convolution
from dnamamba_kernels.causal_conv1d.state import add_through_final_state
from dnamamba_kernels.causal_conv1d.tail import add_through_tail
from dnamamba_kernels.selective_scan.fused.launch import known

__all__ = ["Behind", "Ends", "Whole"]


class Behind(NamedTuple):
    """What comes back to a scan from behind its last position."""

    dfinal: Callable[[], Tensor | None]  # the gradient of its final state (B, D, N)
    delta: Tensor | None = None  # Δ before bias and softplus (B, L, D), if it is still there


class Ends(Protocol):
    """The sides of a layer and what goes in and out at their ends."""

    layer: Layer
    sides: list[Side]

    def behind(self, every: Sequence[Inside], z: Tensor, dy: Tensor) -> list[Behind]:
        """Of each side, from what its scan is made of and the gradient of the gated sum."""

    def before(self, convolved: Sequence[tuple[Convolution, Tensor]], di: Tensor) -> Tensor:
        """The gradient of conv_state, from each side's convolution and that of its state.

        Adds to di, the gradient of what enters the convolutions, what comes back from elsewhere.
        """


class Whole:
    """Of sequences that end where their rows do; gradients of the states behind, if any."""

    def __init__(self, layer: Layer, dtail: Tensor | None, dfinal: Tensor | None) -> None:
        self.layer, self.sides = layer, sides_of(layer)
        self._dtail, self._dfinal = dtail, dfinal

    def behind(self, every: Sequence[Inside], z: Tensor, dy: Tensor) -> list[Behind]:
        return [Behind(known(self._dfinal)) for _ in self.sides]

    def before(self, convolved: Sequence[tuple[Convolution, Tensor]], di: Tensor) -> Tensor:
        values, dstate = convolved[-1]
        if self._dtail is not None:
            layer, state = self.layer, None if self.layer.conv_state is None else dstate
            if layer.lengths is None:
                add_through_final_state(values, self._dtail, di, state)
            else:
                add_through_tail(self._dtail, layer.resets, layer.lengths, di, state)
        return dstate
