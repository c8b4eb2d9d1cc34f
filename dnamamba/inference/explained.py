"""What an explanation explains: a number that a model gives of a sequence, as a function of it.

A sequence is here ``rows`` (B, L, V), the weights of the ids at each position: one-hot of tokens,
or what lies between two of them. The number is a sum of terms, which are differentiated one after
the other, so that the memory is that of one.
"""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from dnamamba.alphabet import Tokenizer
from dnamamba.arguments import switch, whole
from dnamamba.inference.models import method_of
from dnamamba.inference.settings import MASK_EVERY
from dnamamba.model.backbone import Backbone
from dnamamba.model.classifier import Classifier, VariantClassifier
from dnamamba.model.entrance import entrance
from dnamamba.model.language_model import LanguageModel

__all__ = ["Terms", "explained_number"]

Terms = Callable[[Tensor, Tensor], Iterator[Tensor]]
"""Rows (B, L, V) and the tokens (L,) they stand for -> terms (B,), whose sum is the number."""


def explained_number(
    model: nn.Module,
    tokenizer: Tokenizer,
    label: str | None = None,
    both_strands: bool | None = None,
    mask_every: int | None = MASK_EVERY,
) -> Terms:
    """The number of a fine-tuned model's label, or of a language model the log-likelihood.

    Args:
        model: a ``Classifier`` or a ``LanguageModel``.
        tokenizer: the model's.
        label: of a classifier; None where it gives one number alone.
        both_strands: the mean over both strands; None: of a classifier as it was validated, of a
            language model both.
        mask_every: see ``pseudo_likelihood``; another number than the default is refused where
            nothing is masked.

    Raises:
        ValueError: another model, no such label, or a setting that has no meaning.
    """
    if isinstance(model, VariantClassifier):
        raise ValueError(
            "a model of variants compares two sequences, and an attribution explains one: take a "
            "model fine-tuned on sequences, or mutagenesis with a language model"
        )
    if isinstance(model, Classifier):
        if mask_every != MASK_EVERY:
            raise ValueError(
                "mask_every has no meaning for a fine-tuned model, for whose label or value "
                "nothing is masked; leave it out"
            )
        both = model.settings.both_strands if both_strands is None else both_strands
        terms: Terms = partial(_of_label, model, _number_of(model, label))
    else:
        if label is not None:
            raise ValueError(f"label={label!r} is of a fine-tuned model; a language model has none")
        language_model, likelihood = method_of(
            model, tokenizer, "an attribution", causal=_likelihood, masked=_pseudo_likelihood
        )
        if language_model.backbone.causal and mask_every != MASK_EVERY:
            raise ValueError(
                "mask_every has no meaning for a causal model, which masks nothing; leave it out"
            )
        if mask_every is not None:
            whole("mask_every", mask_every, 2)
        both = True if both_strands is None else both_strands
        terms = partial(likelihood, language_model, tokenizer, mask_every)
        model = language_model
    if switch("both_strands", both) and not _reads_once(model):
        return partial(_both_strands, terms, torch.tensor(list(tokenizer.complement_table)))
    return terms


def _number_of(model: Classifier, label: str | None) -> int:
    labels = model.settings.labels
    if label is not None:
        if label not in labels:
            known = f"it has {', '.join(labels)}" if labels else "it gives a number: leave it out"
            raise ValueError(f"the model has no label {label!r}; {known}")
        return labels.index(label)
    if model.head.linear.out_features > 1:
        raise ValueError(f"which label is to be explained? label must be {' or '.join(labels)}")
    return max(0, len(labels) - 1)


def _reads_once(model: Classifier | LanguageModel) -> bool:
    return model.reads_once if isinstance(model, Classifier) else model.backbone.symmetric


def _both_strands(
    terms: Terms, complement: Tensor, rows: Tensor, tokens: Tensor
) -> Iterator[Tensor]:
    for term in terms(rows, tokens):
        yield term / 2
    # By operations that keep nothing, or a second term would find it gone with the first.
    columns = rows.flip(1).unbind(-1)
    opposite = torch.stack([columns[id] for id in complement[: len(columns)].tolist()], -1)
    for term in terms(opposite, complement.to(tokens)[tokens.long()].flip(0)):
        yield term / 2


def _of_label(model: Classifier, number: int, rows: Tensor, tokens: Tensor) -> Iterator[Tensor]:
    lengths = torch.full((len(rows),), rows.shape[1], dtype=torch.int64, device=rows.device)
    with entrance(model.backbone, rows):
        outputs = model(tokens.expand(len(rows), -1), lengths)
    yield model.head.explained(outputs, number)


def _likelihood(
    model: LanguageModel,
    tokenizer: Tokenizer,
    mask_every: int | None,
    rows: Tensor,
    tokens: Tensor,
) -> Iterator[Tensor]:
    """Of a causal model: each base, by its weights, given all before it."""
    start = len(model.backbone.start_tokens)
    if start + len(tokens) < 2:  # nothing to predict the first base from
        return
    hidden = _hidden(model.backbone, rows[:, :-1], tokens[:-1])
    log_p = model.head(hidden[:, max(0, start - 1) :]).log_softmax(-1)
    first = 0 if start else 1
    scored = _scored(tokenizer, tokens)[first:]
    yield ((rows[:, first:] * log_p).sum(-1) * scored).sum(1)


def _hidden(backbone: Backbone, rows: Tensor, tokens: Tensor) -> Tensor:
    """(B, start tokens and L, d_model), of start tokens and bases."""
    start = torch.tensor(backbone.start_tokens, dtype=tokens.dtype, device=tokens.device)
    ids = torch.cat([start, tokens]).expand(len(rows), -1)
    lengths = torch.full((len(rows),), ids.shape[1], dtype=torch.int64, device=rows.device)
    with entrance(backbone, rows):
        hidden, _ = backbone(ids, lengths=None if backbone.causal else lengths)
    return hidden


def _pseudo_likelihood(
    model: LanguageModel,
    tokenizer: Tokenizer,
    mask_every: int | None,
    rows: Tensor,
    tokens: Tensor,
) -> Iterator[Tensor]:
    """Of a model that reads both ways: each base, by its weights, masked and given all others."""
    assert tokenizer.mask is not None
    start = len(model.backbone.start_tokens)
    scored = _scored(tokenizer, tokens)
    step = len(tokens) if mask_every is None else mask_every
    masked = torch.zeros_like(rows[0, 0])
    masked[tokenizer.mask] = 1
    for first in range(min(step, len(tokens))):
        asked = torch.zeros_like(scored)
        asked[first::step] = scored[first::step]
        if not asked.any():
            continue
        read = torch.where(asked[:, None], masked, rows)
        ids = torch.where(asked, tokens.new_tensor(tokenizer.mask), tokens)
        hidden = _hidden(model.backbone, read, ids)[:, start:]
        log_p = model.head(hidden[:, asked]).log_softmax(-1)
        yield (rows[:, asked] * log_p).sum((1, 2))


def _scored(tokenizer: Tokenizer, tokens: Tensor) -> Tensor:
    return torch.tensor(tokenizer.scored, device=tokens.device)[tokens.long()]
