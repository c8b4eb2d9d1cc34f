"""What a causal backbone carries from one chunk of a sequence to the next."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

__all__ = ["State"]


@dataclass(frozen=True)
class State:
    """Tensors of all layers, (n_layers, B, ...) each, or of one layer, (B, ...) each.

    A mixer names its own as a subclass. What is done with rows is done along B of all layers.
    """

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Every tensor, in the order of the fields."""
        return tuple(getattr(self, field.name) for field in fields(self))

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.tensors)

    @property
    def batch(self) -> int:
        """B, of the state of all layers."""
        return self.tensors[0].shape[1]

    def each(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The state of which every tensor went through ``change``."""
        return type(self)(*(change(tensor) for tensor in self.tensors))

    def rows(self, n: int) -> Self:
        """Of the first ``n`` rows of the batch, a view."""
        return self.each(lambda x: x[:, :n])

    def take(self, index: Tensor) -> Self:
        """Of these rows (n,) int64; one may occur several times."""
        return self.each(lambda x: x.index_select(1, index))

    def repeat(self, times: int) -> Self:
        """Every row so many times, its copies side by side."""
        return self.each(lambda x: x.repeat_interleave(times, dim=1))

    def detach(self) -> Self:
        """The same numbers, cut from the graph: the boundary of truncated back-propagation."""
        return self.each(Tensor.detach)

    def clone(self) -> Self:
        """The same numbers in other memory."""
        return self.each(Tensor.clone)

    @classmethod
    def join(cls, states: Sequence["State"]) -> Self:
        """The rows of several states, one after the other."""
        return cls(*(torch.cat(x, dim=1) for x in _columns(states)))

    @classmethod
    def stack(cls, layers: Sequence["State"]) -> Self:
        """The state of all layers from those of each."""
        return cls(*(torch.stack(x) for x in _columns(layers)))

    def unbind(self) -> list[Self]:
        """The states of each layer, views."""
        each = zip(*(tensor.unbind() for tensor in self.tensors), strict=True)
        return [type(self)(*layer) for layer in each]


def _columns(states: Sequence[State]) -> list[list[Tensor]]:
    return [list(x) for x in zip(*(state.tensors for state in states), strict=True)]
