"""A backbone with a head: for sequences, and for the two alleles of a variant."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from dnamamba.alphabet import BOS
from dnamamba.config import MambaConfig
from dnamamba.model.heads import HeadConfig, VariantHeadConfig
from dnamamba.model.mamba import Mamba
from dnamamba.model.pooling import POOLINGS
from dnamamba.model.strand import reverse_complement

__all__ = ["Classifier", "VariantClassifier"]


class _Classifier(nn.Module):
    """What both share: a backbone that reads BOS and bases, pooling over bases, a head."""

    vectors: ClassVar[int]
    """Vectors of d_model side by side that the head reads."""

    def __init__(self, config: MambaConfig, head: HeadConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Mamba(config)
        self.pooling = POOLINGS[head.pooling](config.d_model)
        self.head = head.build(self.vectors * config.d_model)

    def _pooled(self, tokens: Tensor, lengths: Tensor, first: Tensor | None = None) -> Tensor:
        """(B, d_model) fp32 of ids (B, L), pooled from base ``first`` (B,) on; None: over all."""
        start = torch.full_like(tokens[:, :1], BOS)
        hidden, _ = self.backbone(torch.cat([start, tokens], 1))
        at = torch.arange(tokens.shape[1], device=tokens.device)
        counts = at < lengths[:, None]
        if first is not None:
            counts &= at >= first[:, None]
        vector: Tensor = self.pooling(hidden[:, 1:], counts)
        return vector


class Classifier(_Classifier):
    """Reads BOS and the bases of a sequence, pools over the bases, applies a head.

    Args:
        config: sizes of the backbone; kept as ``.config``.
        head: kind and labels known; kept as ``.settings``.
    """

    vectors = 1

    def __init__(self, config: MambaConfig, head: HeadConfig) -> None:
        super().__init__(config, head)
        self.settings = head

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Outputs of the head, from the strand as given.

        Args:
            tokens: (B, L) uint8 ids of the bases, without BOS, padding on the right.
            lengths: (B,) int64 bases of each row; what a row of none gives means nothing.

        Returns:
            (B, outputs) fp32: see ``dnamamba.model.heads``.
        """
        outputs: Tensor = self.head(self.features(tokens, lengths))
        return outputs

    def features(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """What the head reads: the pooled vectors (B, d_model) fp32; arguments of ``forward``."""
        return self._pooled(tokens, lengths)

    def both_strands(self, tokens: Tensor, lengths: Tensor, complement: Tensor) -> Tensor:
        """``forward`` averaged over the two strands, exactly the same for either of them.

        Args:
            tokens: (B, L) uint8.
            lengths: (B,) int64.
            complement: (256,) uint8, the tokenizer's complement table.
        """
        opposite = reverse_complement(tokens, lengths, complement)
        outputs: Tensor = (self(tokens, lengths) + self(opposite, lengths)) / 2
        return outputs


class VariantClassifier(_Classifier):
    """Reads a window with the reference allele and one with the alternative, and compares.

    The head sees the reference's vector, the difference of the two and their product.

    Args:
        config: sizes of the backbone; kept as ``.config``.
        head: kind and labels known; kept as ``.settings``.
    """

    vectors = 3

    def __init__(self, config: MambaConfig, head: VariantHeadConfig) -> None:
        super().__init__(config, head)
        self.settings = head

    def forward(self, tokens: Tensor, lengths: Tensor, position: Tensor) -> Tensor:
        """Outputs of the head, from the strand as given.

        Args:
            tokens: (B, 2, L) uint8 ids of the bases of both windows, REF first, without BOS,
                padding on the right.
            lengths: (B, 2) int64 bases of each window.
            position: (B,) int64, place of the variant's first base in both windows.

        Returns:
            (B, outputs) fp32: see ``dnamamba.model.heads``.
        """
        outputs: Tensor = self.head(self.features(tokens, lengths, position))
        return outputs

    def features(self, tokens: Tensor, lengths: Tensor, position: Tensor) -> Tensor:
        """What the head reads (B, 3 d_model), fp32; arguments of ``forward``."""
        B, _, L = tokens.shape
        first = position.repeat_interleave(2) if self.settings.region == "variant" else None
        vectors = self._pooled(tokens.reshape(2 * B, L), lengths.reshape(2 * B), first)
        return self.compared(*vectors.view(B, 2, -1).unbind(1))

    @staticmethod
    def compared(ref: Tensor, alt: Tensor) -> Tensor:
        """What the head reads (B, 3 d_model) of the vectors (B, d_model) of both windows."""
        return torch.cat([ref, alt - ref, alt * ref], 1)

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
        opposite = reverse_complement(tokens, lengths, complement)
        outputs: Tensor = (self(tokens, lengths, position) + self(opposite, lengths, right)) / 2
        return outputs
