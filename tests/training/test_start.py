"""What fine-tuning refuses before it begins."""

import pytest
import torch

from dnamamba.model.heads import HeadConfig
from dnamamba.training.label_metrics import HIGHER_IS_BETTER, figures_of
from dnamamba.training.start import check_figures

HEADS = {
    "multiclass": (HeadConfig("multiclass", ("a", "b", "c")), torch.arange(9) % 3, 3),
    "multilabel": (HeadConfig("multilabel", ("a", "b")), torch.ones(9, 2), 2),
    "regression": (HeadConfig("regression"), torch.rand(9), 1),
}


@pytest.mark.parametrize("kind", HEADS)
def test_a_figure_that_the_labels_have_not_is_refused(kind: str) -> None:
    head, label, outputs = HEADS[kind]
    there = {"loss", *figures_of(torch.rand(9, outputs).double().softmax(1), label)}
    for name in HIGHER_IS_BETTER:
        if name in there:
            check_figures(head, name, class_weights=False)
        else:
            with pytest.raises(ValueError, match=rf"model\.monitor is {name}, which {kind} labels"):
                check_figures(head, name, class_weights=False)


def test_class_weights_of_numbers_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"model\.class_weights is set, but numbers have no classes"
    ):
        check_figures(HEADS["regression"][0], "loss", class_weights=True)
