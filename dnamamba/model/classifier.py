"""A backbone with a head: for sequences, and for the two alleles of a variant.

Both label ``Windows`` of whatever can be read: a padded batch in training, sources that are
streamed in ``dnamamba.inference.prediction``. How windows are read is handed in; which of them go
together, from where on they are pooled, and what the other strand is, is said here alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from dnamamba.config import BackboneConfig
from dnamamba.model.backbone import Backbone
from dnamamba.model.families import build
from dnamamba.model.heads import Head, HeadConfig, VariantHeadConfig
from dnamamba.model.pooling import POOLINGS
from dnamamba.model.strand import reverse_complement

__all__ = ["Classifier", "VariantClassifier", "Windows"]

Rows = TypeVar("Rows")


class Windows(NamedTuple, Generic[Rows]):
    """What n samples are read from.

    Attributes:
        rows: a window a sample; of variants two, REF before ALT.
        position: (n,) int64 of variants the place of the first base in both windows.
        right: (n,) int64 of variants the bases behind it, the same in both windows.
    """

    rows: Rows
    position: Tensor | None = None
    right: Tensor | None = None


Read = Callable[[Rows, Tensor | None], Tensor]
"""Rows, and from which base (rows,) on each is pooled (None: all) -> (rows, d_model) fp32."""


@dataclass(frozen=True)
class _Padded:
    """Windows as a batch: tokens (rows, L) uint8, padding on the right, and lengths (rows,)."""

    tokens: Tensor
    lengths: Tensor

    def opposite(self, complement: Tensor) -> "_Padded":
        return _Padded(reverse_complement(self.tokens, self.lengths, complement), self.lengths)


class _Classifier(nn.Module, ABC):
    """What both share: a backbone that reads bases, pooling over bases, a head.

    Args:
        config: sizes of the backbone; kept as ``.config``. Its family chooses the backbone.
        head: kind and labels known; kept as ``.settings``.
    """

    vectors: ClassVar[int]
    """Vectors of d_model side by side that the head reads."""

    backbone: Backbone
    head: Head

    def __init__(self, config: BackboneConfig, head: HeadConfig) -> None:
        super().__init__()
        self.config = config
        self.settings = head
        self.backbone = build(config)
        self.pooling = POOLINGS[head.pooling](config.d_model)
        self.head = head.build(self.vectors * config.d_model)

    @abstractmethod
    def features_of(self, windows: Windows[Rows], read: Read[Rows]) -> Tensor:
        """What the head reads (n, vectors * d_model), fp32, of windows that ``read`` reads."""

    def outputs_of(self, windows: Windows[Rows], read: Read[Rows]) -> Tensor:
        """Outputs of the head (n, outputs) fp32, from the strand as it is."""
        outputs: Tensor = self.head(self.features_of(windows, read))
        return outputs

    @property
    def reads_once(self) -> bool:
        """Whether the opposite strand gives the same, so that there is no need to read it."""
        return self.backbone.symmetric and self.pooling.symmetric

    def averaged(
        self, windows: Windows[Rows], read: Read[Rows], opposite: Callable[[Rows], Rows]
    ) -> Tensor:
        """``outputs_of`` averaged over the two strands; ``opposite`` gives rows' other strand."""
        return self._averaged(self.outputs_of, windows, read, opposite)

    def averaged_features(
        self, windows: Windows[Rows], read: Read[Rows], opposite: Callable[[Rows], Rows]
    ) -> Tensor:
        """``features_of`` averaged over the two strands; arguments as of ``averaged``."""
        return self._averaged(self.features_of, windows, read, opposite)

    def _averaged(
        self,
        made: Callable[[Windows[Rows], Read[Rows]], Tensor],
        windows: Windows[Rows],
        read: Read[Rows],
        opposite: Callable[[Rows], Rows],
    ) -> Tensor:
        if self.reads_once:
            return made(windows, read)
        # Of the other strand what lay behind the variant lies before it.
        turned = Windows(opposite(windows.rows), windows.right, windows.position)
        return (made(windows, read) + made(turned, read)) / 2

    def _pooled(self, rows: _Padded, first: Tensor | None) -> Tensor:
        hidden = self.backbone.read(rows.tokens, rows.lengths)
        at = torch.arange(hidden.shape[1], device=hidden.device)
        counts = at < rows.lengths[:, None]
        if first is not None:
            counts &= at >= first[:, None]
        vector: Tensor = self.pooling(hidden, counts)
        return vector


class Classifier(_Classifier):
    """Reads the bases of a sequence, pools over them, applies a head."""

    vectors = 1

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Outputs of the head, from the strand as given.

        Args:
            tokens: (B, L) uint8 ids of the bases, padding on the right.
            lengths: (B,) int64 bases of each row; what a row of none gives means nothing.

        Returns:
            (B, outputs) fp32: see ``dnamamba.model.heads``.
        """
        return self.outputs_of(Windows(_Padded(tokens, lengths)), self._pooled)

    def features(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """What the head reads: the pooled vectors (B, d_model) fp32; arguments of ``forward``."""
        return self.features_of(Windows(_Padded(tokens, lengths)), self._pooled)

    def both_strands(
        self,
        tokens: Tensor,
        lengths: Tensor,
        complement: Tensor,
        opposite: Tensor | None = None,
    ) -> Tensor:
        """``forward`` averaged over the two strands, the same for either of them.

        Exactly; to rounding where ``reads_once``.

        Args:
            tokens: (B, L) uint8.
            lengths: (B,) int64.
            complement: (256,) uint8, the tokenizer's complement table.
            opposite: (B, L) uint8, of pieces those of the rows' opposite strands, which cannot be
                made of a piece.
        """
        windows = Windows(_Padded(tokens, lengths))

        def turned(rows: _Padded) -> _Padded:
            return rows.opposite(complement) if opposite is None else _Padded(opposite, lengths)

        return self.averaged(windows, self._pooled, turned)

    def features_of(self, windows: Windows[Rows], read: Read[Rows]) -> Tensor:
        return read(windows.rows, None)


class VariantClassifier(_Classifier):
    """Reads a window with the reference allele and one with the alternative, and compares.

    The head sees the reference's vector, the difference of the two and their product.
    """

    vectors = 3
    settings: VariantHeadConfig

    def __init__(self, config: BackboneConfig, head: VariantHeadConfig) -> None:
        super().__init__(config, head)

    @property
    def reads_once(self) -> bool:
        # From the variant on, each strand pools what the other one does not.
        return super().reads_once and self.settings.region == "window"

    def forward(self, tokens: Tensor, lengths: Tensor, position: Tensor) -> Tensor:
        """Outputs of the head, from the strand as given.

        Args:
            tokens: (B, 2, L) uint8 ids of the bases of both windows, REF first, padding on the
                right.
            lengths: (B, 2) int64 bases of each window.
            position: (B,) int64, place of the variant's first base in both windows.

        Returns:
            (B, outputs) fp32: see ``dnamamba.model.heads``.
        """
        return self.outputs_of(Windows(_pairs(tokens, lengths), position), self._pooled)

    def features(self, tokens: Tensor, lengths: Tensor, position: Tensor) -> Tensor:
        """What the head reads (B, 3 d_model), fp32; arguments of ``forward``."""
        return self.features_of(Windows(_pairs(tokens, lengths), position), self._pooled)

    def both_strands(
        self, tokens: Tensor, lengths: Tensor, position: Tensor, right: Tensor, complement: Tensor
    ) -> Tensor:
        """``forward`` averaged over the two strands.

        Args:
            tokens: (B, 2, L) uint8.
            lengths: (B, 2) int64.
            position: (B,) int64.
            right: (B,) int64, bases behind the variant, the same in both windows.
            complement: (256,) uint8, the tokenizer's complement table.
        """
        windows = Windows(_pairs(tokens, lengths), position, right)
        return self.averaged(windows, self._pooled, lambda rows: rows.opposite(complement))

    def features_of(self, windows: Windows[Rows], read: Read[Rows]) -> Tensor:
        first = None
        if self.settings.region == "variant":
            assert windows.position is not None
            first = windows.position.repeat_interleave(2)
        vectors = read(windows.rows, first)
        ref, alt = vectors.view(len(vectors) // 2, 2, -1).unbind(1)
        return torch.cat([ref, alt - ref, alt * ref], 1)


def _pairs(tokens: Tensor, lengths: Tensor) -> _Padded:
    """Two rows a variant: tokens (B, 2, L), lengths (B, 2)."""
    return _Padded(tokens.flatten(0, 1), lengths.flatten())
