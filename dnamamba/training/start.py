"""Where fine-tuning starts from: a backbone, its tokenizer, and what the data says of labels."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from torch import Tensor

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.data.modules.labelled import LabelledDataModule
from dnamamba.data.modules.variants import VariantDataModule
from dnamamba.model.heads import HEADS, HeadConfig, HeadKind, VariantHeadConfig
from dnamamba.training.label_metrics import HIGHER_IS_BETTER
from dnamamba.training.parameters import typed

__all__ = ["Start", "check_figures", "check_tokenizer", "resolve_head", "starting_point"]

Settings = TypeVar("Settings", bound=HeadConfig)


class Start(NamedTuple):
    """A backbone to start from.

    Attributes:
        config: its sizes.
        tokenizer: what its ids mean.
        weights: its tensors; None: from scratch.
    """

    config: MambaConfig
    tokenizer: Tokenizer
    weights: Mapping[str, Tensor] | None


def starting_point(
    pretrained: str | None, model: MambaConfig | None, tokenizer: Tokenizer | None
) -> Start:
    """Read the pretrained model, or take the sizes as given.

    Raises:
        ValueError: neither or both, or a vocabulary that is not the tokenizer's.
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
    config = typed(MambaConfig, model)
    letters = typed(Tokenizer, tokenizer) or Tokenizer()
    if config.vocab_size != letters.vocab_size:
        raise ValueError(
            f"model.model.vocab_size is {config.vocab_size}, but the {letters.name} tokenizer has "
            f"{letters.vocab_size} ids; set it to that"
        )
    return Start(config, letters, None)


def check_tokenizer(tokenizer: Tokenizer, data: Any) -> None:
    """Refuse data that is encoded otherwise than the model reads it.

    Raises:
        ValueError: names both tokenizers.
    """
    theirs = getattr(data, "tokenizer", tokenizer)
    if theirs != tokenizer:
        raise ValueError(
            f"data.tokenizer is {theirs}, but the model reads {tokenizer}; set data.tokenizer to it"
        )


def check_figures(head: HeadConfig, monitor: str, class_weights: bool) -> None:
    """Refuse what the labels cannot give before hours are spent on it.

    Raises:
        ValueError: a figure to follow that these labels have not, or weights of no classes.
    """
    numbers = head.kind == "regression"
    if numbers and class_weights:
        raise ValueError("model.class_weights is set, but numbers have no classes; leave it out")
    of_numbers = {"pearson", "spearman", "r2", "mse"}
    there = [
        name
        for name in HIGHER_IS_BETTER
        if name == "loss"
        or (
            (name in of_numbers) == numbers and (name != "exact_match" or head.kind == "multilabel")
        )
    ]
    if monitor not in there:
        raise ValueError(
            f"model.monitor is {monitor}, which {head.kind} labels do not have; choose one of "
            f"{', '.join(there)}"
        )


def resolve_head(head: Settings, data: Any) -> Settings:
    """The head with its kind, its labels and its window from the data, where it sets none.

    Args:
        head: as the user set it.
        data: a ``LabelledDataModule``, or anything else, of which nothing is asked.

    Raises:
        ValueError: the head says otherwise than the data, or nobody says what labels there are.
    """
    codec = getattr(data, "codec", None)
    if codec is None:
        if head.kind is None:
            raise ValueError(
                "head.kind and head.labels must be set, for the data names no labels itself"
            )
        return head
    if isinstance(data, LabelledDataModule):
        _check_pair(isinstance(head, VariantHeadConfig), data)
    labels = tuple(codec.classes)
    kinds = _KINDS[codec.kind]
    kind = head.kind or kinds[0 if len(labels) == 2 else -1]
    if HEADS[kind].label_kind != codec.kind or (head.labels and head.labels != labels):
        raise ValueError(
            f"the head is for {kind} labels {', '.join(head.labels)}, but data.labels.kind is "
            f"{codec.kind}, with {', '.join(labels) or 'numbers'}; leave head.kind and head.labels "
            "unset to take those of the data"
        )
    head = replace(head, kind=kind, labels=labels)
    if isinstance(head, VariantHeadConfig) and head.length is None:
        head = replace(head, length=getattr(data, "length", None))
    return head


def _check_pair(of_variants: bool, data: LabelledDataModule) -> None:
    if of_variants != isinstance(data, VariantDataModule):
        modules = ("ClassificationModule", "VariantModule")
        raise ValueError(
            f"model is a {modules[of_variants]}, but data is a {type(data).__name__}, which goes "
            f"with {modules[not of_variants]}; change model.class_path or data.class_path"
        )


_KINDS: dict[str, tuple[HeadKind, ...]] = {
    "class": ("binary", "multiclass"),
    "multilabel": ("multilabel",),
    "number": ("regression",),
}
