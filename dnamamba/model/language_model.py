"""The language model: a backbone and a linear head over token ids."""

from torch import Tensor, nn

from dnamamba.config import BackboneConfig
from dnamamba.model.backbone import Backbone, CausalBackbone
from dnamamba.model.families import build
from dnamamba.model.state import State

__all__ = ["LanguageModel"]


class LanguageModel(nn.Module):
    """Says of every position which token is likely; which one is the training objective's affair.

    A causal backbone predicts the token after each token. With ``tie_embeddings`` the head is the
    embedding's own matrix, and ``lm_head`` is None.

    Args:
        config: the sizes; kept as ``.config``. Its family chooses the backbone.
    """

    backbone: Backbone

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = build(config)
        self.lm_head = (
            None
            if config.tie_embeddings
            else nn.Linear(config.d_model, config.vocab_size, bias=False)
        )

    def forward(
        self,
        tokens: Tensor,
        state: State | None = None,
        resets: Tensor | None = None,
        lengths: Tensor | None = None,
    ) -> tuple[Tensor, State | None]:
        """Logits (B, L, V) at each of ``tokens`` (B, L), and the state after them.

        Arguments and errors are those of ``Backbone.forward``.
        """
        hidden, state = self.backbone(tokens, state, resets, lengths)
        return self.head(hidden), state

    def step(self, tokens: Tensor, state: State, in_place: bool = False) -> tuple[Tensor, State]:
        """Logits (B, V) of the next token after one token a row (B,), and the new state.

        Arguments and errors are those of ``CausalBackbone.step``.

        Raises:
            ValueError: the backbone is not causal, too.
        """
        if not isinstance(self.backbone, CausalBackbone):
            raise ValueError(f"a {type(self.backbone).__name__} reads a sequence whole: no steps")
        hidden, state = self.backbone.step(tokens, state, in_place)
        return self.head(hidden), state

    def head(self, hidden: Tensor) -> Tensor:
        """Logits (..., V) of hidden states as the backbone gives them."""
        if self.lm_head is None:
            return self.backbone.logits(hidden, self.backbone.embedding.weight)
        return self.backbone.logits(hidden, self.lm_head.weight)
