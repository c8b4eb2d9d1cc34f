"""What fine-tuning refuses before it begins, and what it takes from the data."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dnamamba.model.heads import HEADS, HIGHER_IS_BETTER, HeadConfig
from dnamamba.training.agreement import check_metrics, resolve_head

CASES = {
    "multiclass": (HeadConfig("multiclass", ("a", "b", "c")), torch.arange(9) % 3, 3),
    "multilabel": (HeadConfig("multilabel", ("a", "b")), torch.ones(9, 2), 2),
    "regression": (HeadConfig("regression"), torch.rand(9), 1),
}


@pytest.mark.parametrize("kind", CASES)
def test_a_metric_that_the_labels_have_not_is_refused(kind: str) -> None:
    head, label, outputs = CASES[kind]
    probabilities = torch.rand(9, outputs).double().softmax(1)
    known = {"loss", *HEADS[kind].metrics(probabilities, label)}
    for name in HIGHER_IS_BETTER:
        if name in known:
            check_metrics(head, name, class_weights=False)
        else:
            with pytest.raises(ValueError, match=rf"model\.monitor is {name}, which {kind} labels"):
                check_metrics(head, name, class_weights=False)


def test_class_weights_of_numbers_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"model\.class_weights is set, but numbers have no classes"
    ):
        check_metrics(CASES["regression"][0], "loss", class_weights=True)


@pytest.mark.parametrize(
    ("kind", "label_kind", "labels"),
    [
        ("binary", "class", ("a", "b")),
        ("multiclass", "class", ("a", "b", "c")),
        ("multilabel", "multilabel", ("a",)),
        ("multilabel", "multilabel", ("a", "b")),
        ("regression", "number", ()),
    ],
)
def test_the_head_is_the_one_that_learns_such_labels(
    kind: str, label_kind: str, labels: tuple[str, ...]
) -> None:
    data: Any = SimpleNamespace(codec=SimpleNamespace(kind=label_kind, classes=labels))
    assert resolve_head(HeadConfig(), data) == HeadConfig(kind, labels)


def test_labels_that_no_head_learns_are_named() -> None:
    data: Any = SimpleNamespace(codec=SimpleNamespace(kind="survival", classes=()))
    with pytest.raises(ValueError, match="no head learns labels of the kind survival"):
        resolve_head(HeadConfig(), data)
