"""Which models can be stored, what is stored of each beside its weights, and back."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.checkpoint.parts import CheckpointError, part
from dnamamba.checkpoint.sizes import check_sizes
from dnamamba.config import BackboneConfig
from dnamamba.model import LanguageModel
from dnamamba.model.classifier import Classifier, VariantClassifier
from dnamamba.model.families import config_type
from dnamamba.model.heads import HeadConfig, VariantHeadConfig
from dnamamba.model.weights import assemble

__all__ = ["KINDS", "Model", "assembled", "check_vocabulary", "described", "kind_of"]

Model = LanguageModel | Classifier | VariantClassifier
"""What can be stored."""


class Kind(NamedTuple):
    """A class of models.

    Attributes:
        model: the class, built from its sizes, and from its head's settings if there is a head.
        head: the class of these settings; None where there are none.
    """

    model: type[Model]
    head: type[HeadConfig] | None


KINDS = {
    "LanguageModel": Kind(LanguageModel, None),
    "Classifier": Kind(Classifier, HeadConfig),
    "VariantClassifier": Kind(VariantClassifier, VariantHeadConfig),
}


def kind_of(model: object) -> Kind:
    """The kind of a model.

    Raises:
        ValueError: none of those that can be stored.
    """
    kind = KINDS.get(type(model).__name__)
    if kind is None or kind.model is not type(model):
        raise ValueError(
            f"model must be one of {', '.join(KINDS)}, got {type(model).__name__}; "
            "unwrap a compiled, distributed or adapted model first"
        )
    return kind


def described(model: Model) -> dict[str, Any]:
    """What ``assembled`` has to know of a model, in plain JSON types."""
    about: dict[str, Any] = {"model": type(model).__name__, "config": asdict(model.config)}
    if not isinstance(model, LanguageModel):
        about["head"] = asdict(model.settings)
    return about


def assembled(
    content: Mapping[str, Any], weights: Mapping[str, Tensor], where: str
) -> tuple[Model, Tokenizer]:
    """The model that ``described`` speaks of, with these weights, and its tokenizer.

    Args:
        content: of ``described``, and ``tokenizer``.
        weights: tensors by the names of ``state_dict()``.
        where: the file, for errors.

    Raises:
        CheckpointError: unknown, missing or wrong parts, or weights that do not fit.
    """
    kind = KINDS.get(str(content.get("model")))
    if kind is None:
        raise CheckpointError(
            f"{where}: model must be one of {', '.join(KINDS)}, got {content.get('model')!r}"
        )
    sizes = _sizes(content.get("config"), f"{where}, config")
    letters = part(Tokenizer, content.get("tokenizer"), f"{where}, tokenizer")
    build: Any = kind.model
    if kind.head is not None:
        head = part(kind.head, content.get("head"), f"{where}, head")
        build = partial(build, head=head)
    try:
        check_vocabulary(sizes, letters)
        check_sizes(sizes, weights)
        return assemble(build, sizes, weights), letters
    except ValueError as error:
        raise CheckpointError(f"{where}: {error}") from error
    except (ArithmeticError, RuntimeError, TypeError) as error:  # of sizes beyond those of tensors
        raise CheckpointError(f"{where}: no model has such sizes: {error}") from error


def _sizes(values: object, where: str) -> BackboneConfig:
    try:
        kind = config_type(values if isinstance(values, dict) else {})
    except ValueError as error:
        raise CheckpointError(f"{where}: {error}") from error
    return part(kind, values, where)


def check_vocabulary(config: BackboneConfig, tokenizer: Tokenizer) -> None:
    """Refuse a tokenizer of another vocabulary than the model's.

    Raises:
        ValueError: names both sizes.
    """
    if config.vocab_size != tokenizer.vocab_size:
        raise ValueError(
            f"the model's vocab_size is {config.vocab_size}, but the tokenizer "
            f"{tokenizer.name!r} has {tokenizer.vocab_size} ids; they belong to different models"
        )
