"""Heads: losses by their formulas, decisions, and settings that do not fit."""

import math

import pytest
import torch
from torch.nn import functional as F

from dnamamba.model.heads import (
    HEADS,
    Head,
    HeadConfig,
    Regression,
    VariantHeadConfig,
    prediction_columns,
)

LABELS = {
    "binary": ("no", "yes"),
    "multiclass": ("a", "b", "c"),
    "multilabel": ("x", "y"),
    "regression": (),
}


def head(kind: str) -> Head:
    torch.manual_seed(0)
    made = HeadConfig(kind=kind, labels=LABELS[kind]).build(4)
    torch.nn.init.normal_(made.linear.weight)
    return made


VECTORS = torch.randn(5, 4, generator=torch.Generator().manual_seed(2))


def test_binary() -> None:
    binary = head("binary")
    outputs, label = binary(VECTORS), torch.tensor([0, 1, 1, 0, 1])
    p = 1 / (1 + (-outputs[:, 0]).exp())
    chosen = torch.where(label == 1, p, 1 - p)
    torch.testing.assert_close(binary.losses(outputs, label), -chosen.log())
    weight = torch.tensor([3.0, 0.5])
    torch.testing.assert_close(binary.losses(outputs, label, weight), -chosen.log() * weight[label])
    probabilities = binary.probabilities(outputs)
    torch.testing.assert_close(probabilities, torch.stack([1 - p, p], 1))
    names = ["yes" if x > 0.5 else "no" for x in p]
    assert binary.decide(probabilities, LABELS["binary"]) == names
    assert len(set(names)) == 2


def test_multiclass() -> None:
    multiclass = head("multiclass")
    outputs, label = multiclass(VECTORS), torch.tensor([0, 1, 2, 0, 1])
    p = outputs.exp() / outputs.exp().sum(1, keepdim=True)
    losses = -p[torch.arange(5), label].log()
    torch.testing.assert_close(multiclass.losses(outputs, label), losses)
    weight = torch.tensor([3.0, 0.5, 1.0])
    torch.testing.assert_close(multiclass.losses(outputs, label, weight), losses * weight[label])
    torch.testing.assert_close(multiclass.probabilities(outputs), p)
    assert multiclass.decide(p, LABELS["multiclass"]) == ["abc"[i] for i in p.argmax(1)]


def test_multilabel() -> None:
    multilabel = head("multilabel")
    outputs = multilabel(VECTORS)
    label = torch.tensor([[0, 1], [1, 1], [0, 0], [1, 0], [0, 1]]).float()
    p = outputs.sigmoid()
    weight = torch.tensor([3.0, 0.5])
    terms = -(weight * label * p.log() + (1 - label) * (1 - p).log())
    torch.testing.assert_close(multilabel.losses(outputs, label, weight), terms.mean(1))
    decided = multilabel.decide(label, LABELS["multilabel"])
    assert decided == [("y",), ("x", "y"), (), ("x",), ("y",)]
    columns = prediction_columns(decided, LABELS["multilabel"], label)
    assert columns["predicted"][:3] == ["y", "x;y", ""]
    assert columns["probability_y"][:3] == [1, 1, 0]


def test_regression_is_in_the_labels_units() -> None:
    regression = head("regression")
    assert isinstance(regression, Regression)
    label = torch.tensor([100.0, 130.0, 90.0, 110.0, 70.0])
    regression.standardise(label)
    outputs = regression(VECTORS)
    values = regression.probabilities(outputs)
    torch.testing.assert_close(values[:, 0], outputs[:, 0] * 20 + 100)
    expected = ((values[:, 0] - label) / 20) ** 2
    torch.testing.assert_close(regression.losses(outputs, label), expected, rtol=1e-4, atol=1e-5)
    decided = regression.decide(values, ())
    assert prediction_columns(decided, (), values) == {"predicted": values[:, 0].tolist()}
    with pytest.raises(ValueError, match="all the same number"):
        regression.standardise(torch.full((4,), 3.0))


def test_at_first_every_class_is_about_as_likely() -> None:
    for kind, labels in LABELS.items():
        torch.manual_seed(0)
        fresh = HeadConfig(kind=kind, labels=labels).build(4)
        label = torch.zeros(5, len(labels)) if kind == "multilabel" else torch.zeros(5).long()
        if kind != "regression":
            loss = fresh.losses(fresh(VECTORS), label).mean().detach()
            assert abs(float(loss) - math.log(max(2, len(labels)))) < 0.5


def test_standardised_inputs() -> None:
    torch.manual_seed(0)
    spread = torch.tensor([1e-3, 5.0, 2.0, 3.0])
    vectors = torch.randn(50, 4) * spread + 100
    multiclass = head("multiclass")
    multiclass.standardise_inputs(vectors[:1])  # too few to say anything
    assert not multiclass.center.any()
    multiclass.standardise_inputs(vectors)
    standard = (vectors - multiclass.center) * multiclass.scale
    torch.testing.assert_close(standard.std(0)[1:], torch.ones(3))
    assert float(standard.std(0)[0]) < 0.05  # hardly varies: it is not blown up
    torch.testing.assert_close(multiclass(vectors), multiclass.linear(standard))
    multiclass.standardise_inputs(torch.ones(3, 4))  # nothing varies
    assert multiclass(vectors).isfinite().all()


def test_dropout_only_in_training() -> None:
    torch.manual_seed(0)
    dropped = HeadConfig(kind="binary", labels=("a", "b"), dropout=0.5).build(4)
    assert not torch.equal(dropped(VECTORS), dropped(VECTORS))
    dropped.eval()
    assert torch.equal(dropped(VECTORS), dropped(VECTORS))


def test_half_precision_gives_fp32_outputs() -> None:
    binary = head("binary").bfloat16()
    assert binary(VECTORS).dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        full = head("binary")
        expected = F.linear(VECTORS.double(), full.linear.weight.double()).float()
        torch.testing.assert_close(full(VECTORS), expected)


BAD = {
    "kind": ({"kind": "ordinal"}, r"head\.kind must be one of binary, multiclass.*'ordinal'"),
    "pooling": ({"pooling": "cls"}, r"head\.pooling must be one of mean, max, last.*'cls'"),
    "dropout": ({"dropout": 1.0}, r"head\.dropout must be in \[0, 1\), got 1\.0"),
    "dropout text": ({"dropout": "x"}, r"head\.dropout must be in \[0, 1\), got 'x'"),
    "strands": ({"both_strands": 1}, "both_strands must be true or false, got 1"),
    "label twice": ({"labels": ["a", "a"]}, "names a class twice: a, a"),
    "label number": ({"labels": [1, 2]}, "labels must be names"),
    "binary of three": ({"kind": "binary", "labels": "abc"}, "needs 2 labels, got 3"),
    "multiclass of one": ({"kind": "multiclass", "labels": "a"}, "at least 2 labels, got 1"),
    "multilabel of none": ({"kind": "multilabel"}, "at least 1 label, got none"),
    "regression of two": ({"kind": "regression", "labels": "ab"}, "has no labels, got a, b"),
    "region": ({"region": "exon"}, r"head\.region must be 'variant' or 'window'"),
    "length": ({"length": 1}, r"head\.length must be at least 2 bases, got 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_settings_that_do_not_fit_are_named(name: str) -> None:
    settings, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        VariantHeadConfig(**settings)  # type: ignore[arg-type]


def test_a_head_of_unknown_kind_is_not_built() -> None:
    with pytest.raises(ValueError, match=r"head\.kind is not set"):
        HeadConfig().build(4)
    assert set(HEADS) == set(LABELS)
