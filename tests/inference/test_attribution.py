"""Contributions of single bases: the axiom of completeness, and gradients against differences."""

from typing import Any

import numpy as np
import pytest
import torch
from models import opinionated, reading_both_ways
from torch import nn

from dnamamba.alphabet import Tokenizer
from dnamamba.config import BiMambaConfig, MambaConfig, SymmetricBiMambaConfig
from dnamamba.inference.attribution import METHODS, attribute
from dnamamba.inference.explained import explained_number
from dnamamba.inference.prediction import predict
from dnamamba.inference.scoring import score
from dnamamba.model.classifier import Classifier, VariantClassifier
from dnamamba.model.heads import HeadConfig, VariantHeadConfig

TOKENIZER = Tokenizer()
TEXT = "GATTACANCAGGTTTACGRACGTgacca"
LABELS = ("a", "b", "c")
SIZES: dict[str, Any] = {"d_model": 16, "n_layers": 2, "d_state": 4}
FAMILIES = {"causal": MambaConfig, "both ways": BiMambaConfig, "symmetric": SymmetricBiMambaConfig}


def _classifier(family: str, labels: tuple[str, ...] = LABELS, **head: Any) -> Classifier:
    torch.manual_seed(1)
    kind = {0: "regression", 2: "binary"}.get(len(labels), "multiclass")
    model = Classifier(FAMILIES[family](**SIZES), HeadConfig(kind=kind, labels=labels, **head))
    with torch.no_grad():
        model.backbone.embedding.weight.normal_()
        model.head.linear.weight.normal_()
        model.head.linear.bias.normal_()
    return model.eval()


def _language_model(family: str) -> nn.Module:
    if family == "causal":
        return opinionated().eval()
    return reading_both_ways(symmetric=family == "symmetric")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("baseline", ["uniform", "N"])
@pytest.mark.parametrize("both", [False, True])
def test_integrated_contributions_add_up(family: str, baseline: Any, both: bool) -> None:
    model = _classifier(family)
    how: Any = {"label": "b", "baseline": baseline, "both_strands": both}
    (found,) = attribute(model, TOKENIZER, [TEXT], steps=48, **how)
    assert abs(found.output - found.baseline) > 1e-2
    assert abs(found.gap) < 1e-3 * max(1, abs(found.output - found.baseline))
    assert found.values[[7, 18]].tolist() == [0, 0]  # the N and the R
    at = ["ACGT".find(base) for base in found.ref]
    np.testing.assert_allclose(
        found.values, [found.each[i, b] if b >= 0 else 0 for i, b in enumerate(at)]
    )


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("both", [False, True])
def test_likelihoods_add_up(family: str, both: bool) -> None:
    model = _language_model(family)
    every = 16 if family == "causal" else 4
    how: Any = {"mask_every": every}
    (found,) = attribute(model, TOKENIZER, [TEXT], steps=24, both_strands=both, **how)
    other = TOKENIZER.decode(TOKENIZER.reverse_complement(TOKENIZER.encode(TEXT)))
    read = [TEXT, other] if both else [TEXT]
    expected = score(model, TOKENIZER, read, **how).log_likelihood.mean()
    assert found.output == pytest.approx(expected, rel=1e-4)
    assert abs(found.gap) < 2e-3 * abs(found.output - found.baseline)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("of", ["label", "likelihood"])
def test_gradients_are_those_of_differences(family: str, of: str) -> None:
    """In fp64, of every id at some positions; the opposite strand is a part of them."""
    label = "c" if of == "label" else None
    model = (_classifier(family) if label else _language_model(family)).double()
    masked = [] if label or family == "causal" else [4]
    terms = explained_number(model, TOKENIZER, label, True, *masked)
    tokens = torch.from_numpy(TOKENIZER.encode(TEXT[:12]).copy())
    weight: Any = model.backbone.embedding.weight
    torch.manual_seed(2)
    rows = torch.rand(1, len(tokens), len(weight), dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(sum(term.sum() for term in terms(rows, tokens)), rows)
    step = 3e-2 if label else 1e-5  # the head gives fp32
    for at in (0, len(tokens) - 1):
        moves = torch.zeros(2, len(weight), *rows.shape[1:], dtype=torch.float64)
        for id in range(len(weight)):
            moves[0, id, at, id], moves[1, id, at, id] = step, -step
        with torch.no_grad():
            up, down = (sum(t.double() for t in terms(rows + move, tokens)) for move in moves)
        difference = (up - down) / (2 * step)
        close: Any = {"rtol": 2e-2, "atol": 2e-3} if label else {"rtol": 1e-5, "atol": 1e-7}
        torch.testing.assert_close(gradient[0, at].double(), difference, **close)
        assert gradient[0, at].abs().max() > 1e-4


def test_substitutions_are_what_the_model_says_of_them() -> None:
    model = _classifier("both ways", ("no", "yes"))
    (found,) = attribute(model, TOKENIZER, ["GATTAC"], method="substitution", max_bases=20)
    texts = [f"GA{base}TAC" for base in "ACGT"]
    p = predict(model, TOKENIZER, texts).probabilities.astype(np.float64)
    odds = np.log(p[:, 1] / p[:, 0])
    np.testing.assert_allclose(found.each[2], odds - odds.mean(), rtol=1e-3, atol=1e-4)
    assert found.values[2] == found.each[2, 3]
    assert found.output == pytest.approx(odds[3], rel=1e-4)


def test_a_small_step_of_the_gradient_is_a_substitution() -> None:
    """Where a model is nearly linear all methods agree."""
    model = _classifier("causal", ())
    with torch.no_grad():
        model.backbone.embedding.weight.mul_(1e-2).add_(torch.randn(SIZES["d_model"]))
    how: Any = {"baseline": "uniform"}
    values = [
        attribute(model, TOKENIZER, [TEXT], method=method, **how)[0].each
        for method in ("gradient", "integrated", "substitution")
    ]
    np.testing.assert_allclose(values[0], values[1], rtol=0.05, atol=0.05 * abs(values[1]).max())
    np.testing.assert_allclose(values[2], values[1], rtol=0.05, atol=0.05 * abs(values[1]).max())


def test_a_strand_symmetric_model_explains_both_strands_alike() -> None:
    model = _classifier("symmetric")
    text = "GATTACACAGGTTTACG"
    other = TOKENIZER.decode(TOKENIZER.reverse_complement(TOKENIZER.encode(text)))
    first, second = attribute(model, TOKENIZER, [text, other], label="a", steps=8)
    np.testing.assert_allclose(first.values, second.values[::-1], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(first.each, second.each[::-1, ::-1], rtol=1e-3, atol=1e-4)


def test_neither_batches_nor_the_model_are_changed() -> None:
    model = _classifier("causal").train()
    expected = attribute(model, TOKENIZER, [TEXT, "ACGT"], label="a", steps=8)
    one = attribute(model, TOKENIZER, ["ACGT"], label="a", steps=8, max_bases=1)
    np.testing.assert_allclose(one[0].values, expected[1].values, rtol=1e-4, atol=1e-5)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.backbone.embedding._forward_hooks


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", METHODS)
def test_of_what_is_not_scored_nothing_is_said(family: str, method: Any) -> None:
    how: Any = {"method": method} | ({"steps": 4} if method == "integrated" else {})
    found = attribute(_language_model(family), TOKENIZER, ["NNNNN", "A"], **how)
    assert found[0].values.tolist() == [0] * 5
    assert found[0].output == 0
    assert np.isfinite(found[1].values).all()


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({}, "which label is to be explained\\? label must be a or b or c"),
        ({"label": "x"}, "the model has no label 'x'; it has a, b, c"),
        ({"label": "a", "method": "captum"}, "method must be integrated or gradient or"),
        ({"label": "a", "baseline": "n"}, "baseline must be uniform or N, got 'n'"),
        ({"label": "a", "method": "substitution", "baseline": "N"}, "has no meaning for method"),
        ({"label": "a", "steps": 0}, "steps must be at least 1"),
        ({"label": "a", "steps": "8"}, "steps must be a whole number, got '8'"),
        ({"method": "gradient", "steps": 64}, "steps has no meaning for method=gradient, .* out"),
        ({"method": "substitution", "steps": 8}, "steps has no meaning .* method=integrated"),
    ],
)
def test_what_is_refused(settings: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        attribute(_classifier("causal"), TOKENIZER, [TEXT], **settings)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("every", [8, None])
def test_where_nothing_is_masked_mask_every_is_refused(family: str, every: int | None) -> None:
    with pytest.raises(ValueError, match="mask_every has no meaning for a fine-tuned model"):
        attribute(_classifier(family), TOKENIZER, [TEXT], label="a", mask_every=every)
    if family == "causal":
        with pytest.raises(ValueError, match="mask_every has no meaning for a causal model"):
            attribute(_language_model(family), TOKENIZER, [TEXT], mask_every=every)


def test_without_steps_there_are_64() -> None:
    model = _classifier("causal", ("no", "yes"))
    (expected,), (found,) = (attribute(model, TOKENIZER, [TEXT], steps=n) for n in (64, None))
    assert found.values.tolist() == expected.values.tolist()


def test_other_models_are_refused() -> None:
    variants = VariantClassifier(
        MambaConfig(**SIZES), VariantHeadConfig(kind="binary", labels=("a", "b"), length=8)
    )
    with pytest.raises(ValueError, match="compares two sequences"):
        attribute(variants, TOKENIZER, [TEXT])
    with pytest.raises(ValueError, match="label='a' is of a fine-tuned model"):
        attribute(opinionated(), TOKENIZER, [TEXT], label="a")
    with pytest.raises(ValueError, match="needs a language model, got Mamba"):
        attribute(opinionated().backbone, TOKENIZER, [TEXT])
