"""The seam: what every backbone is to those who train, store and use it.

A family of backbones is one file with a subclass, its configuration, and one row of
``dnamamba.model.families.BACKBONES``. Nothing else in the project names a family.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dnamamba.alphabet import PAD
from dnamamba.config import BackboneConfig
from dnamamba.model.footprint import Footprint, Reading
from dnamamba.model.recompute import Recompute
from dnamamba.model.sharing import begun
from dnamamba.model.state import State
from dnamamba_kernels import pieces

__all__ = ["Backbone", "CausalBackbone"]


class Backbone(nn.Module, ABC):
    """Token ids to hidden states.

    A subclass calls its parts ``embedding`` (an ``nn.Embedding``), ``layers`` (an
    ``nn.ModuleList``) and ``norm_f``: fine-tuning counts depths by these names.

    Args:
        config: the sizes; kept as ``.config`` and never changed.

    Attributes:
        recompute: what layers compute again in the backward instead of keeping it (``Recompute``);
            "nothing" unless set. It changes memory and time, neither results nor names.
    """

    config_type: ClassVar[type[BackboneConfig]]
    """The configuration that chooses this class."""
    causal: ClassVar[bool]
    """Whether a position sees itself and what stands before it alone.

    What stands to the right of a base then changes nothing: padding needs no ``lengths``, and a
    sequence can be read in chunks, its state carried. Else a sequence is read whole."""
    symmetric: ClassVar[bool] = False
    """Whether it treats both strands alike by itself: averaging over them changes nothing."""
    embedding: nn.Embedding
    layers: nn.ModuleList
    recompute: Recompute = "nothing"

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config

    def forward(
        self,
        tokens: Tensor,
        state: State | None = None,
        resets: Tensor | None = None,
        lengths: Tensor | None = None,
        layer: int | None = None,
    ) -> tuple[Tensor, State | None]:
        """Read a batch.

        Args:
            tokens: (B, L) ids, L at least 1; uint8, int32 or int64.
            state: of a causal backbone what the chunk before returned; None at the start.
            resets: (B, L) bool, True at the first base of each packed segment: nothing crosses
                its left border, ``state`` included.
            lengths: (B,) int32 or int64 in 0..L, the real positions of each row; the padding
                stands on the right, never enters the returned state, and its hidden states mean
                nothing. None: all are real.
            layer: stop behind this layer, from 0, and return the stream there; None, or -1, is
                the whole backbone, final norm included.

        Returns:
            Hidden states, (B, L, d_model) or, of a symmetric backbone, (B, L, 2 d_model); and of a
            causal backbone the state after each row's last real position, of the layers that were
            run, else None.

        Within ``dnamamba_kernels.pieces.over`` all of it is of this process's piece: ``lengths``
        count from its start, and a causal backbone takes none. ``state`` is that of the sequence,
        and counts on the process that holds the first piece.

        Raises:
            ValueError: a shape or a dtype does not fit, or there is no such layer; of a backbone
                that is not causal a state, or padded rows without ``lengths``; names the argument.
                In pieces, a backbone or an argument that cannot be.
        """
        layer = None if layer == -1 else layer
        self._check(tokens, state, resets, lengths, layer)
        return self._run(tokens, state, resets, lengths, layer)

    @property
    def start_tokens(self) -> tuple[int, ...]:
        """Ids that are read before a sequence's first base."""
        return ()

    @property
    def pad(self) -> int | None:
        """The id that stands only behind a row's end; None: any id may stand anywhere."""
        return PAD

    @property
    def adapter_targets(self) -> tuple[str, ...]:
        """Names of the linear maps beside which low-rank adapters may stand."""
        return ()

    def footprint(self, reading: Reading) -> Footprint | None:
        """The memory that reading such a batch takes in a training step.

        As it is now: on which device, what of it trains, with which adapters. None where a family
        says nothing.
        """
        return None

    @property
    def reads_pieces(self) -> bool:
        """Whether it can read a piece of a sequence that several processes share."""
        return False

    def turned(self) -> Self:
        """With these weights, what reads sequences from their other ends, in place.

        Asked of what is not causal and reads pieces.
        """
        raise NotImplementedError

    @abstractmethod
    def _run(
        self,
        tokens: Tensor,
        state: Any,
        resets: Tensor | None,
        lengths: Tensor | None,
        layer: int | None,
    ) -> tuple[Tensor, State | None]:
        """``forward`` of arguments that are checked; ``layer`` is never -1."""

    def embedded(self, rows: Tensor) -> Tensor:
        """Rows that take the tokens' place, as they reach the embedding; see ``entrance``.

        Args:
            rows: (B, L, V) weights of the ids at each position, start tokens included.

        Returns:
            (B, L, V), or of a backbone that reads more than it is given as many rows as it reads.
        """
        return rows

    def features(self, hidden: Tensor) -> Tensor:
        """What is pooled and handed out (..., d_model), of hidden states as ``forward`` gives."""
        return hidden

    def logits(self, hidden: Tensor, weight: Tensor) -> Tensor:
        """Logits (..., V) of hidden states, by a head's weight (V, d_model)."""
        return F.linear(hidden, weight)

    def read(self, tokens: Tensor, lengths: Tensor | None) -> Tensor:
        """``features`` (B, L, d_model) of whole sequences, from their first base on.

        Args:
            tokens: (B, L) uint8 ids of the bases alone, padding on the right.
            lengths: (B,) bases of each row; None: all rows are full.
        """
        shared = pieces.current()
        begins = shared is None or shared.rank == 0
        first = [torch.full_like(tokens[:, :1], token) for token in self.start_tokens * begins]
        tokens = torch.cat([*first, tokens], 1) if first else tokens
        if lengths is not None:
            lengths = None if self.causal else lengths + len(first)
        with pieces.over(begun(shared, len(self.start_tokens))):
            hidden, _ = self(tokens, lengths=lengths)
        return self.features(hidden[:, len(first) :])

    def _check(
        self,
        tokens: Tensor,
        state: State | None,
        resets: Tensor | None,
        lengths: Tensor | None,
        layer: int | None,
    ) -> None:
        if tokens.dim() != 2 or tokens.shape[1] < 1:
            raise ValueError(f"tokens must be (B, L) with L >= 1, got {tuple(tokens.shape)}")
        if (shared := pieces.current()) is not None:
            if not self.reads_pieces:
                name = type(self).__name__
                raise ValueError(f"{name} reads a sequence whole, not in pieces over processes")
            shared.check("tokens", tokens)
        if resets is not None and (resets.shape != tokens.shape or resets.dtype != torch.bool):
            raise ValueError(
                f"resets must be bool of tokens' shape {tuple(tokens.shape)}, "
                f"got {resets.dtype} of {tuple(resets.shape)}"
            )
        if lengths is not None:
            _check_lengths(lengths, *tokens.shape)
        if layer is not None and not 0 <= layer < len(self.layers):
            raise ValueError(
                f"layer must be 0 to {len(self.layers) - 1}, the blocks of this model, or -1 for "
                f"what leaves its final norm; got {layer}"
            )
        if state is not None:
            layers = len(self.layers) if layer is None else layer + 1
            self._check_state(state, tokens.shape[0], layers)
        ignorant = not self.causal and lengths is None and self.pad is not None
        # In the capture of a graph nobody can look at them.
        looks = ignorant and not (tokens.is_cuda and torch.cuda.is_current_stream_capturing())
        if looks and bool(torch.eq(tokens, cast(int, self.pad)).any()):
            raise ValueError(
                f"tokens are padded, and {type(self).__name__} reads from the right too: "
                "lengths must say how many positions of each row are real"
            )

    def _check_state(self, state: State, batch: int, layers: int) -> None:
        raise ValueError(f"{type(self).__name__} reads a sequence whole and takes no state")


def _check_lengths(lengths: Tensor, rows: int, length: int) -> None:
    if lengths.shape != (rows,) or lengths.dtype not in (torch.int32, torch.int64):
        raise ValueError(
            f"lengths must be int32 or int64 of shape {(rows,)}, "
            f"got {lengths.dtype} of {tuple(lengths.shape)}"
        )
    # On a GPU to look at them would be to wait for them.
    if lengths.device.type == "cpu" and rows and not torch.compiler.is_compiling():
        low, high = lengths.aminmax()
        if low < 0 or high > length:
            raise ValueError(
                f"lengths must be 0 to {length}, the positions of a row, got {int(low)} to "
                f"{int(high)}"
            )


class CausalBackbone(Backbone):
    """One that reads from the left, in chunks of any size down to single tokens.

    Cut anywhere, the state carried, a sequence gives what it gives uncut, within rounding.
    """

    causal = True

    @abstractmethod
    def initial_state(
        self,
        batch: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> State:
        """Zeros: the state before the first token.

        Args:
            batch: B.
            device: of the tensors; None is the model's.
            dtype: of the inputs that are carried; None is the model's. What accumulates is fp32,
                or fp64 beside fp64.
        """

    @abstractmethod
    def step(self, tokens: Tensor, state: Any, in_place: bool = False) -> tuple[Tensor, State]:
        """``forward`` for one token a row, in fewer operations: recurrent decoding.

        Args:
            tokens: (B,) ids; uint8, int32 or int64.
            state: what came before; ``initial_state`` at the start.
            in_place: replace ``state`` by the new state; where no gradient is asked for, and in
                the dtype in which the projections run. Else it is left as it is.

        Returns:
            Hidden states (B, d_model) and the new state.

        Raises:
            ValueError: a shape does not fit; names the argument.
        """
