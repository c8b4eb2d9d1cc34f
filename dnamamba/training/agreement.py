"""Whether a head and the data that it is to learn speak of the same labels."""

from dataclasses import replace
from typing import Any, TypeVar

from dnamamba.alphabet import MASK, PAD, Tokenizer
from dnamamba.config import BackboneConfig
from dnamamba.data.modules.labelled import LabelledDataModule
from dnamamba.data.modules.variants import VariantDataModule
from dnamamba.model.backbone import Backbone
from dnamamba.model.families import sizes_of
from dnamamba.model.heads import HEADS, HeadConfig, VariantHeadConfig, kind_for
from dnamamba.training.objectives import Objective, described

__all__ = [
    "check_carries_state",
    "check_complement",
    "check_metrics",
    "check_objective",
    "check_reads_pieces",
    "check_tokenizer",
    "check_unlabelled",
    "check_vocabulary",
    "resolve_head",
    "sizes_for",
]

Settings = TypeVar("Settings", bound=HeadConfig)


def check_tokenizer(tokenizer: Tokenizer, data: Any) -> None:
    """Refuse data that is encoded otherwise than the model reads it.

    Raises:
        ValueError: names both tokenizers.
    """
    theirs = getattr(data, "tokenizer", tokenizer)
    if theirs != tokenizer:
        raise ValueError(
            f"data.tokenizer is {theirs}, but the model reads {tokenizer}; set data.tokenizer to "
            f"it (data.init_args.tokenizer.name: {tokenizer.name})"
        )


def check_vocabulary(config: BackboneConfig, tokenizer: Tokenizer) -> None:
    """Refuse a model of other ids than the tokenizer has.

    Raises:
        ValueError: names both numbers.
    """
    if config.vocab_size != tokenizer.vocab_size:
        raise ValueError(
            f"model.vocab_size is {config.vocab_size}, but the {tokenizer.name} "
            f"tokenizer has {tokenizer.vocab_size} ids; set it to that"
        )


def check_unlabelled(data: Any) -> None:
    """Refuse data with labels, which pretraining does not learn.

    Raises:
        ValueError: names it, and what goes with it.
    """
    if isinstance(data, LabelledDataModule):
        raise ValueError(
            f"data is a {type(data).__name__}, whose labels PretrainModule does not learn; "
            "set model.class_path as in configs/finetune-sequence.yaml"
        )


def sizes_for(values: Any, tokenizer: Tokenizer) -> BackboneConfig:
    """``sizes_of``, with the tokenizer's complement where a symmetric family's is left out.

    Raises:
        ValueError: as ``sizes_of``.
    """
    config = sizes_of(values)
    given = values if isinstance(values, dict) else vars(values)
    if not hasattr(config, "complement") or given.get("complement") is not None:
        return config
    pairs = tokenizer.complement_table[: config.vocab_size]
    known = [pair if pair < len(pairs) else token for token, pair in enumerate(pairs)]
    return replace(config, complement=tuple(known))  # type: ignore[call-arg]


def check_complement(config: BackboneConfig, tokenizer: Tokenizer) -> None:
    """Refuse a model that pairs other ids than the bases that they stand for do.

    Args:
        config: sizes of a new model; only that of a symmetric one has a ``complement``.
        tokenizer: with as many ids.

    Raises:
        ValueError: names the first id that is paired otherwise.
    """
    pairs, theirs = getattr(config, "complement", None), tokenizer.complement_table
    if pairs is None:
        return
    # Of letters that the tokenizer refuses it has no complement, and none is ever read.
    read = {token for byte, token in enumerate(tokenizer.table) if tokenizer.accepts(byte)}
    for token in sorted(read | {PAD, MASK}):
        if pairs[token] != theirs[token]:
            raise ValueError(
                f"model.complement pairs id {token} with {pairs[token]}, the {tokenizer.name} "
                f"tokenizer with {theirs[token]}; leave model.complement out to take the "
                "tokenizer's"
            )


def check_objective(objective: Objective, backbone: Backbone) -> None:
    """Refuse an objective that trains the other kind of backbone.

    Raises:
        ValueError: names both.
    """
    if backbone.causal != objective.causal:
        kinds = ("bidirectional", "causal")
        raise ValueError(
            f"model.objective {described(objective)['name']} trains a "
            f"{kinds[objective.causal]} backbone, but {type(backbone).__name__} is "
            f"{kinds[backbone.causal]}; leave model.objective out to take what it is for"
        )


def check_carries_state(backbone: Backbone) -> None:
    """Refuse lanes of a backbone that has no state to carry along them.

    Raises:
        ValueError: names it, and what goes with it.
    """
    if not backbone.causal:
        raise ValueError(
            "data.rows=lanes carries a model's state from step to step, and a "
            f"{type(backbone).__name__} reads every row whole and has none; set "
            "data.rows=packed, or train a causal model (model.model.family mamba)"
        )


def check_reads_pieces(backbone: Backbone, objective: Objective, compiled: bool) -> None:
    """Refuse a pretraining of which devices cannot share rows.

    Raises:
        ValueError: names what reads whole rows, and a remedy.
    """
    whole = [type(part).__name__ for part in (backbone, objective) if not part.reads_pieces]
    if whole:
        raise ValueError(
            f"{' and '.join(whole)} cannot read pieces of sequences, which devices would share; "
            "set trainer.strategy to ddp"
        )
    if compiled:
        raise ValueError(
            "model.compile fuses a model that reads whole sequences, and devices that share one "
            "exchange states within it; set model.compile to false, or trainer.strategy to ddp"
        )


def check_metrics(head: HeadConfig, monitor: str, class_weights: bool) -> None:
    """Refuse what the labels cannot give before hours are spent on it.

    Args:
        head: its kind and labels known.
        monitor: the metric to follow.
        class_weights: whether classes are weighed.

    Raises:
        ValueError: a metric that these labels do not have, or weights of no classes.
    """
    assert head.kind is not None
    if class_weights and not head.labels:
        raise ValueError("model.class_weights is set, but numbers have no classes; leave it out")
    known = ["loss", *HEADS[head.kind].higher_is_better]
    if monitor not in known:
        raise ValueError(
            f"model.monitor is {monitor}, which {head.kind} labels do not have; choose one of "
            f"{', '.join(known)}"
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
    kind = head.kind or kind_for(codec.kind, labels)
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
