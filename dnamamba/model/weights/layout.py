"""How a published model's tensors lie beside those of the same model here, and both ways between.

A format says it once (``Layout``): names, ties, and what is turned round. Reading and writing are
the same few lines for every format, so what one can express the other undoes bit for bit.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import torch
from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.config import BackboneConfig
from dnamamba.model.weights.assemble import mismatches, parameters_of
from dnamamba.model.weights.parts import refuse_parts

__all__ = ["Format", "Layout", "as_published", "from_layout"]

_DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)

Weights = dict[str, Tensor]

_FREE = ("dt_min", "dt_max", "bos", "pad", "tie_embeddings", "family")
"""Fields without a say in what a trained model computes from given ids, or checked by tensors."""


@dataclass(frozen=True)
class Layout:
    """One published model's, by its ``config.json``.

    Attributes:
        sizes: the model's, here.
        name: from a name of ``state_dict()`` here to theirs.
        ties: of tensors that another one stands for, by their names: copy -> original. They may
            be stored or not; where they are, they must be equal.
        buffers: tensors beside the weights, by their names; they may be stored or not.
        turn: weights by names here, as stored -> as they run here; its own inverse.
        tokenizer: what the ids stand for, where the format tells.
        remarks: what a user should know of this model, a sentence each.
    """

    sizes: BackboneConfig
    name: Callable[[str], str]
    ties: Mapping[str, str]
    buffers: Mapping[str, Tensor] = field(default_factory=dict)
    turn: Callable[[Weights], Weights] = dict
    tokenizer: Tokenizer | None = None
    remarks: tuple[str, ...] = ()


class Format(ABC):
    """A way of others to publish a model: ``config.json`` and tensors.

    Attributes:
        about: its name in a sentence.
        file: the one that holds the tensors when it is written.
        families: the configurations of this project that it can express.
    """

    about: ClassVar[str]
    file: ClassVar[str] = "model.safetensors"
    families: ClassVar[tuple[type[BackboneConfig], ...]]

    @abstractmethod
    def recognises(self, values: Mapping[str, Any]) -> bool:
        """Whether a ``config.json`` is one of this format."""

    @abstractmethod
    def layout(
        self,
        values: Mapping[str, Any],
        tensors: Mapping[str, Tensor],
        tokenizer: Tokenizer | None = None,
    ) -> Layout:
        """How the tensors of a model lie.

        Args:
            values: its ``config.json``.
            tensors: its tensors, for what only they tell; may be empty.
            tokenizer: what its ids stand for, where somebody told.

        Raises:
            ValueError: a part that there is none of here, or a setting out of range; names it.
        """

    @abstractmethod
    def describe(self, config: Any, tokenizer: Tokenizer) -> dict[str, Any]:
        """The ``config.json`` of a model of one of ``families``, with the keys published ones have.

        Raises:
            ValueError: what the format has no words for; names it.
        """

    def values(
        self, config: BackboneConfig, tokenizer: Tokenizer, source: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """The ``config.json`` to write: the one that the model came with, if it still is true.

        Raises:
            ValueError: the model has what the format cannot express; names it.
        """
        if not isinstance(config, self.families):
            raise ValueError(
                f"a model of family {config.family} has no form in {self.about}; it takes "
                f"{' and '.join(family.family for family in self.families)}"
            )
        if source is not None and not self._lost(config, source, tokenizer):
            return dict(source)
        values = self.describe(config, tokenizer)
        if lost := self._lost(config, values, tokenizer):
            raise ValueError(f"{self.about} cannot express {', '.join(lost)}")
        return values

    def _lost(
        self, config: BackboneConfig, values: Mapping[str, Any], tokenizer: Tokenizer
    ) -> list[str]:
        """What a ``config.json`` says otherwise than the model, ``name value`` each."""
        try:
            published = self.layout(values, {}, tokenizer).sizes
        except ValueError as error:
            return [str(error)]
        return _differences(config, published)


def _differences(config: BackboneConfig, published: BackboneConfig) -> list[str]:
    if type(config) is not type(published):
        return [f"family {config.family}"]
    names = [field.name for field in fields(config) if field.name not in _FREE]
    names = ["rank" if name == "dt_rank" else name for name in names]
    return [
        f"{name} {getattr(config, name)}"
        for name in names
        if getattr(config, name) != getattr(published, name)
    ]


def _same(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype and torch.equal(a, b)


def from_layout(layout: Layout, tensors: Mapping[str, Tensor]) -> Weights:
    """The weights of a published model by the names and in the form they have here.

    Returns:
        Copies, fp32, or fp64 where they are stored so.

    Raises:
        ValueError: tensors missing, unexpected, of another shape or dtype, not finite, or not tied
            where the model ties them; names them.
    """
    refuse_parts(tensors)
    expected = parameters_of(layout.sizes)
    stored = _untied(layout, tensors, {layout.name(name) for name in expected})
    if problems := mismatches({layout.name(name): t for name, t in expected.items()}, stored):
        raise ValueError(f"the tensors are not those of this configuration: {problems}")
    if odd := [f"{name} has {t.dtype}" for name, t in stored.items() if t.dtype not in _DTYPES]:
        raise ValueError(f"{odd[0]}, which is none of fp64, fp32, bf16 and fp16")
    if broken := [name for name, tensor in stored.items() if not torch.isfinite(tensor).all()]:
        raise ValueError(
            f"{broken[0]} holds values that are not finite{_more(broken)}; was the file written by "
            "a program that left tensors uninitialised?"
        )
    named = {name: stored[layout.name(name)] for name in expected}
    exact = {n: t.to(torch.promote_types(t.dtype, torch.float32)) for n, t in named.items()}
    return {name: tensor.clone() for name, tensor in layout.turn(exact).items()}


def _untied(layout: Layout, tensors: Mapping[str, Tensor], needed: set[str]) -> Weights:
    """Every tensor once, without buffers and copies; a copy that is needed stands for its original.

    Raises:
        ValueError: a copy that is none, or buffers that disagree; names them.
    """
    whole = dict(tensors)
    for name, buffer in layout.buffers.items():
        if whole.pop(name, buffer).tolist() != buffer.tolist():  # of whatever width
            raise ValueError(f"{name} is not the complement that the other tensors have")
    wrong = []
    for copy, original in layout.ties.items():
        tensor = whole.pop(copy, None)
        if original not in whole:
            continue
        if tensor is not None and not _same(tensor, whole[original]):
            wrong.append(f"{copy} differs from {original}")
        if copy in needed:
            whole[copy] = whole[original]
    if wrong:
        raise ValueError(
            f"tensors that this model ties are not equal, {wrong[0]}{_more(wrong)}; other programs "
            "lose ties in silence, so take the file as it was published"
        )
    return whole


def _more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def as_published(layout: Layout, weights: Mapping[str, Tensor]) -> Weights:
    """The tensors to publish, by their names; tied ones once, under the name that stays.

    Raises:
        ValueError: two tensors differ that the format ties; names them.
    """
    stored = {layout.name(n): t.contiguous() for n, t in layout.turn(dict(weights)).items()}
    for copy, original in layout.ties.items():
        if copy in stored and not _same(stored.pop(copy), stored[original]):
            raise ValueError(f"the format ties {copy} to {original}, and in this model they differ")
    return {**stored, **layout.buffers}
