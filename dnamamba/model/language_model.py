"""The causal language model: a Mamba and a linear head over token ids."""

from torch import Tensor, nn
from torch.nn import functional as F

from dnamamba.config import MambaConfig
from dnamamba.model.mamba import Mamba, State

__all__ = ["LanguageModel"]


class LanguageModel(nn.Module):
    """Predicts the token after each token.

    With ``tie_embeddings`` the head is the embedding's own matrix, and ``lm_head`` is None.

    Args:
        config: the sizes; kept as ``.config``.
    """

    def __init__(self, config: MambaConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Mamba(config)
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
    ) -> tuple[Tensor, State]:
        """Logits (B, L, V) of the token after each of ``tokens`` (B, L), and the state after them.

        Arguments and errors are those of ``Mamba.forward``.
        """
        hidden, state = self.backbone(tokens, state, resets, lengths)
        return self.head(hidden), state

    def step(self, tokens: Tensor, state: State, in_place: bool = False) -> tuple[Tensor, State]:
        """Logits (B, V) of the next token after one token a row (B,), and the new state.

        Arguments and errors are those of ``Mamba.step``.
        """
        hidden, state = self.backbone.step(tokens, state, in_place)
        return self.head(hidden), state

    def head(self, hidden: Tensor) -> Tensor:
        """Logits (..., V) of the token after each hidden state (..., d_model)."""
        if self.lm_head is None:
            return F.linear(hidden, self.backbone.embedding.weight)
        return self.lm_head(hidden)
