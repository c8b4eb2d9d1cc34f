"""A user's model: what it must be for a task, and how it is used and given back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

import torch
from torch import nn

from dnamamba.alphabet import Tokenizer
from dnamamba.device import best_device
from dnamamba.model.backbone import Backbone
from dnamamba.model.classifier import Classifier, VariantClassifier
from dnamamba.model.language_model import LanguageModel

__all__ = ["backbone_of", "causal_language_model", "evaluating", "method_of"]

Method = TypeVar("Method")


def backbone_of(model: nn.Module) -> Backbone:
    """A model's backbone: the model itself, or what it calls so.

    Raises:
        ValueError: it is none, and has none.
    """
    backbone = getattr(model, "backbone", model)
    if not isinstance(backbone, Backbone):
        raise ValueError(f"the model must have a backbone, got {type(model).__name__}")
    return backbone


def method_of(
    model: nn.Module, tokenizer: Tokenizer, task: str, *, causal: Method, masked: Method
) -> tuple[LanguageModel, Method]:
    """The model, as one that predicts bases, and that of two methods by which it does.

    Args:
        model: the user's module.
        tokenizer: the model's.
        task: what is to be done, for the error.
        causal: for a model that predicts each base from those before it.
        masked: for one that reads both ways and guesses masked bases.

    Raises:
        ValueError: the model predicts no bases, or reads both ways and there is no mask.
    """
    language_model = _language_model(model, task)
    if language_model.backbone.causal:
        return language_model, causal
    if tokenizer.mask is None:
        raise ValueError(
            f"{task} masks the bases that a {type(language_model.backbone).__name__} is to guess, "
            f"and the tokenizer {tokenizer.name!r} has no mask; if the model was trained with one, "
            "give its id in the table of tokens (mask), else embed with this model instead"
        )
    return language_model, masked


def _language_model(model: nn.Module, task: str) -> LanguageModel:
    """The model, as one that predicts bases.

    Raises:
        ValueError: it predicts none; names the task and the model's class.
    """
    if not hasattr(model, "lm_head"):
        instead = (
            "; take the model that it was fine-tuned from (predict gives its labels)"
            if isinstance(model, Classifier | VariantClassifier)
            else ""
        )
        raise ValueError(
            f"{task} needs a language model, got {type(model).__name__}, which predicts no bases"
            f"{instead}"
        )
    return cast(LanguageModel, model)


def causal_language_model(model: nn.Module, task: str) -> LanguageModel:
    """The model, as one that predicts each base from those before it.

    Raises:
        ValueError: it predicts no bases, or reads from the right too; names the task and the
            model's class.
    """
    language_model = _language_model(model, task)
    if not language_model.backbone.causal:
        raise ValueError(
            f"{task} needs a causal model, which predicts each base from those before it; "
            f"this one is a {type(language_model.backbone).__name__}, which reads both ways and "
            "guesses masked bases: take one of family mamba, and this one for embed, score, "
            "evaluate, mutagenesis and attribute"
        )
    return language_model


@contextmanager
def evaluating(
    model: nn.Module,
    tokenizer: Tokenizer,
    device: str | torch.device | None = None,
    gradients: bool = False,
) -> Iterator[torch.device]:
    """Lend a model: evaluation mode, on ``device``; afterwards all is as before.

    Args:
        model: the user's module.
        tokenizer: has to speak the model's vocabulary.
        device: where to run; None is where the model is.
        gradients: of inputs are asked for; else there are none.

    Yields:
        The device that the inputs have to be on.

    Raises:
        ValueError: no model, no such device, or the model's vocabulary is not the tokenizer's.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(
            f"model must be a module, as dnamamba.load gives, got {type(model).__name__}"
        )
    config = getattr(model, "config", None)
    vocab_size = getattr(config, "vocab_size", tokenizer.vocab_size)
    if vocab_size != tokenizer.vocab_size:
        raise ValueError(
            f"the model has a vocabulary of {vocab_size} ids, the tokenizer "
            f"{tokenizer.name!r} one of {tokenizer.vocab_size}; use the tokenizer that the "
            "model was trained with"
        )
    home = next(model.parameters()).device
    modes = [(module, module.training) for module in model.modules()]
    target = home if device is None else torch.device(best_device(device))
    try:
        model.eval().to(target)
        with torch.enable_grad() if gradients else torch.inference_mode():
            yield target
    finally:
        for module, training in modes:
            module.training = training
        model.to(home)
