"""What a mixer is to the stack of blocks around it."""

from abc import ABC, abstractmethod
from copy import copy
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from dnamamba.model.footprint import Reading
from dnamamba.model.norm import RMSNorm
from dnamamba.model.state import State
from dnamamba_kernels import BlockMemory

__all__ = ["CausalMixer", "Mixer", "compute_dtype", "is_plain", "with_parts"]

Module = TypeVar("Module", bound=nn.Module)


class Mixer(nn.Module, ABC):
    """Mixes along the sequence, and knows all that depends on how: its fused block above all."""

    adapter_targets: ClassVar[tuple[str, ...]]
    """Names of the linear maps beside which low-rank adapters may stand."""
    no_weight_decay: ClassVar[frozenset[str]] = frozenset()
    """Names of its own parameters of two dimensions or more that an optimiser does not decay."""
    reads_pieces: ClassVar[bool] = False
    """Whether all that it mixes along the sequence goes through ``dnamamba_kernels.pieces``."""

    def __init__(self, config: Any) -> None:
        """``config``: the sizes, of the backbone's family."""
        super().__init__()

    @abstractmethod
    def forward(
        self, x: Tensor, state: Any, resets: Tensor | None, lengths: Tensor | None
    ) -> tuple[Tensor, Any]:
        """Mix x (B, L, d_model); the state after each row's last real position, None without.

        Args:
            x: (B, L, d_model).
            state: before x; None is zeros.
            resets: (B, L) bool, the first position of each packed segment.
            lengths: (B,) integers in 0..L; positions from there on are padding.
        """

    def turned(self) -> "Mixer":
        """With these weights, what reads a sequence from its other end, in place.

        Of x it gives what this one gives of x flipped along positions, flipped back. Asked of
        mixers that read both ways, and pieces.
        """
        raise NotImplementedError

    def fuses(self, norm: RMSNorm, x: Tensor, lengths: Tensor | None) -> bool:
        """Whether ``fused`` can stand for norm and mixer: nothing in them wrapped, no hook."""
        return False

    def fused(
        self,
        norm: RMSNorm,
        x: Tensor,
        residual: Tensor | None,
        state: Any,
        resets: Tensor | None,
        lengths: Tensor | None,
        recompute: bool,
    ) -> tuple[Tensor, Tensor, Any]:
        """Norm and mixer as one op: (branch, stream before it, state); see ``Block.forward``."""
        raise NotImplementedError

    @classmethod
    def block_memory(cls, config: Any, reading: Reading, fuses: bool) -> BlockMemory | None:
        """What a block around it holds in a training step; None where nothing is said.

        Args:
            config: the sizes.
            reading: the batch, and what is recomputed.
            fuses: whether ``fused`` stands for norm and mixer.
        """
        return None


class CausalMixer(Mixer):
    """One that reads from the left, and carries a state."""

    state_type: ClassVar[type[State]]
    """What is carried from chunk to chunk."""

    @abstractmethod
    def state_shapes(self, batch: int) -> tuple[tuple[int, ...], ...]:
        """The shapes (B, ...) of the state's tensors, in their order."""

    @abstractmethod
    def initial_state(self, batch: int, device: torch.device, dtype: torch.dtype) -> State:
        """Zeros; inputs that are carried are of ``dtype``, what accumulates is at least fp32."""

    @abstractmethod
    def step(self, x: Tensor, state: Any, in_place: bool = False) -> tuple[Tensor, State]:
        """``forward`` for one position, x (B, d_model), in fewer operations.

        With ``in_place`` the state's tensors are replaced by those returned.
        """


def is_plain(module: nn.Module, kind: type[nn.Module]) -> bool:
    """True where calling the module is nothing but what ``kind`` does: no adapter, no hook."""
    hooks = (
        module._forward_hooks,
        module._forward_pre_hooks,
        module._backward_hooks,
        module._backward_pre_hooks,
    )
    return type(module) is kind and not any(hooks)


def with_parts(module: Module, **parts: nn.Module) -> Module:
    """The module with other parts under these names; it shares all else, every weight too."""
    other = copy(module)
    other._modules = {**module._modules, **parts}
    return other


def compute_dtype(x: Tensor) -> torch.dtype:
    """That in which a projection of x runs: autocast's where it is on."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
