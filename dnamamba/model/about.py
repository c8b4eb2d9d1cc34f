"""What there is to say of a model in a few words: for its representation, and for its card."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import NamedTuple

from dnamamba.model.classifier import Classifier, VariantClassifier
from dnamamba.model.language_model import LanguageModel

__all__ = ["About", "about", "listed"]

_SIZES = ("d_model", "n_layers", "d_state")
_LISTED = 12


class About(NamedTuple):
    """A model in words and numbers.

    Attributes:
        family: of its backbone.
        causal: whether a base is seen in the light of those before it alone.
        sizes: the sizes that tell models of a family apart, by name.
        parameters: numbers that training set; a tied head's are there once.
        head: the kind of its labels, as ``multiclass``; None of a language model.
        labels: their names by number; empty for regression, and of a language model.
        reads: what it is given: ``sequences`` or ``variants``.
        dtype: of its weights, as ``float32``.
        device: where they are.
    """

    family: str
    causal: bool
    sizes: dict[str, int]
    parameters: int
    head: str | None
    labels: tuple[str, ...]
    reads: str
    dtype: str
    device: str

    @property
    def direction(self) -> str:
        """``causal`` or ``bidirectional``."""
        return "causal" if self.causal else "bidirectional"

    @property
    def gives(self) -> str:
        """What it predicts, as a sentence ends."""
        if self.head is None:
            return "the next base" if self.causal else "masked bases from both sides"
        if not self.labels:
            return f"a number for each of the {self.reads}"
        return f"labels of {self.reads}: {listed(self.labels)}"


def about(model: LanguageModel | Classifier | VariantClassifier) -> About:
    """What there is to say of a model.

    Args:
        model: any that ``checkpoint.save`` takes.
    """
    first = next(model.parameters())
    sizes = {name: size for name, size in asdict(model.config).items() if name in _SIZES}
    head = None if isinstance(model, LanguageModel) else model.settings
    return About(
        family=model.config.family,
        causal=model.backbone.causal,
        sizes={name: sizes[name] for name in _SIZES if name in sizes},
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        head=None if head is None else head.kind,
        labels=() if head is None else head.labels,
        reads="variants" if isinstance(model, VariantClassifier) else "sequences",
        dtype=str(first.dtype).removeprefix("torch."),
        device=str(first.device),
    )


def listed(names: Sequence[str]) -> str:
    """Names with commas, of many the first ones and how many more there are."""
    more = len(names) - _LISTED
    shown = ", ".join(names[:_LISTED])
    return f"{shown} and {more:,} more" if more > 0 else shown
