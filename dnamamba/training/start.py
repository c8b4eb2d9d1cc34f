"""Where fine-tuning starts from: a backbone and its tokenizer."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.config import BackboneConfig
from dnamamba.settings import typed
from dnamamba.training.agreement import check_complement, sizes_for

__all__ = ["Start", "starting_point"]


class Start(NamedTuple):
    """A backbone to start from.

    Attributes:
        config: its sizes.
        tokenizer: what its ids mean.
        weights: its tensors; None: from scratch.
    """

    config: BackboneConfig
    tokenizer: Tokenizer
    weights: Mapping[str, Tensor] | None


def starting_point(
    pretrained: str | None, model: BackboneConfig | None, tokenizer: Tokenizer | None
) -> Start:
    """Read the pretrained model, or take the sizes as given.

    Raises:
        ValueError: neither or both, or a vocabulary or complement that is not the tokenizer's.
        CheckpointError: ``pretrained`` holds no model.
    """
    if (pretrained is None) == (model is None):
        raise ValueError(
            "give either model.pretrained, a model's folder to start from, or model.model, the "
            f"sizes of a new one; got {'neither' if model is None else 'both'}"
        )
    if pretrained is not None:
        trained, letters = checkpoint.load(pretrained)
        if tokenizer is not None and typed(Tokenizer, tokenizer) != letters:
            raise ValueError(f"model.tokenizer is {tokenizer}, that of {pretrained} is {letters}")
        return Start(trained.config, letters, trained.backbone.state_dict())
    assert model is not None
    letters = typed(Tokenizer, tokenizer)
    config = sizes_for(model, letters)
    if config.vocab_size != letters.vocab_size:
        raise ValueError(
            f"model.model.vocab_size is {config.vocab_size}, but the {letters.name} tokenizer has "
            f"{letters.vocab_size} ids; set it to that"
        )
    check_complement(config, letters)
    return Start(config, letters, None)
