"""Random numbers as a function of integers, on any device: the hash of ``permutation.mix``.

A generator would give other numbers on a GPU than on the CPU, and to a batch of other rows.
"""

import torch
from torch import Tensor

__all__ = ["mix"]


def _signed(word: int) -> int:
    """The 64 bits of a number from 0 to 2**64 - 1, as int64 has them."""
    return word - (1 << 64) if word >> 63 else word


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_FIRST = _signed(0xBF58476D1CE4E5B9)
_SECOND = _signed(0x94D049BB133111EB)


def mix(*words: Tensor | int) -> Tensor:
    """A 64-bit hash of one or several integers; they broadcast.

    The bits are those of ``dnamamba.data.samples.permutation.mix``, on every device: torch has
    hardly any arithmetic for uint64, and int64 wraps around alike.

    Args:
        words: int64 tensors on one device, at least one, or numbers from 0 to 2**63 - 1.

    Returns:
        int64 of the broadcast shape.
    """
    h: Tensor | int = 0
    for word in words:
        mixed = h ^ word
        if isinstance(mixed, int):
            mixed = torch.tensor(mixed)  # a scalar on the CPU goes with tensors of any device
        h = _finalise(mixed + _GOLDEN)
    assert isinstance(h, Tensor)
    return h


def _finalise(z: Tensor) -> Tensor:
    z = (z ^ _shifted(z, 30)) * _FIRST
    z = (z ^ _shifted(z, 27)) * _SECOND
    return z ^ _shifted(z, 31)


def _shifted(z: Tensor, bits: int) -> Tensor:
    """Shifted to the right as if unsigned."""
    return z >> bits & ((1 << (64 - bits)) - 1)
