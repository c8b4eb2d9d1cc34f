"""The metrics of heads against their formulas, written out."""

import math

import pytest
import torch
from torch import Tensor

from dnamamba.model.heads import HEADS, HIGHER_IS_BETTER, Multiclass, Multilabel, Regression


def drawn(n: int, C: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(n + C)
    label = torch.randint(0, C, (n,), generator=random)
    outputs = torch.randn(n, C, generator=random) + 1.5 * torch.eye(C)[label]
    return outputs.double().softmax(1), label


def auroc(score: Tensor, holds: Tensor) -> float:
    """The share of pairs in the right order (Mann and Whitney)."""
    above, below = score[holds][:, None], score[~holds][None]
    return float(((above > below).double() + 0.5 * (above == below).double()).mean())


def auprc(score: Tensor, holds: Tensor) -> float:
    """Average precision: mean over the positives of the precision down to each."""
    total = 0.0
    for threshold in score[holds]:
        chosen = score >= threshold
        total += float(holds[chosen].double().mean())
    return total / int(holds.sum())


def ece(probabilities: Tensor, label: Tensor) -> float:
    confidence, predicted = probabilities.max(1)
    total = 0.0
    for i in range(15):
        inside = (confidence >= i / 15) & (confidence < (i + 1) / 15)
        if inside.any():
            gap = (predicted == label)[inside].double().mean() - confidence[inside].mean()
            total += float(gap.abs() * inside.double().mean())
    return total


@pytest.mark.parametrize("C", [2, 3, 5])
def test_classes(C: int) -> None:
    p, y = drawn(200, C)
    z = p.argmax(1)
    measured = Multiclass.metrics(p, y)
    recall = [float((z == c)[y == c].double().mean()) for c in range(C)]
    precision = [float((y == c)[z == c].double().mean()) for c in range(C)]
    f1 = [2 * a * b / (a + b) for a, b in zip(recall, precision, strict=True)]
    # Gorodkin 2004: the correlation of the two indicator matrices.
    Y, Z = torch.eye(C)[y].double(), torch.eye(C)[z].double()
    Y, Z = Y - Y.mean(0), Z - Z.mean(0)
    ranked = [1] if C == 2 else range(C)
    expected = {
        "accuracy": float((z == y).double().mean()),
        "balanced_accuracy": sum(recall) / C,
        "macro_f1": sum(f1) / C,
        "mcc": float((Y * Z).sum() / ((Y * Y).sum() * (Z * Z).sum()).sqrt()),
        "auroc": sum(auroc(p[:, c], y == c) for c in ranked) / len(ranked),
        "auprc": sum(auprc(p[:, c], y == c) for c in ranked) / len(ranked),
        "calibration_error": ece(p, y),
    }
    assert measured == pytest.approx(expected, rel=1e-5)
    assert 0.3 < measured["mcc"] < 0.95


def test_a_class_that_does_not_occur_is_left_out_of_averages() -> None:
    p, y = drawn(100, 4)
    kept = y < 3
    p, y = p[kept], y[kept]
    measured = Multiclass.metrics(p, y)
    z = p.argmax(1)
    assert (z == 3).any()
    recall = [float((z == c)[y == c].double().mean()) for c in range(3)]
    assert math.isclose(measured["balanced_accuracy"], sum(recall) / 3)
    areas = [auroc(p[:, c], y == c) for c in range(3)]
    assert math.isclose(measured["auroc"], sum(areas) / 3, rel_tol=1e-5)
    one = Multiclass.metrics(p[y == 0], y[y == 0])
    assert math.isnan(one["auroc"])
    assert one["accuracy"] > 0


def test_several_labels() -> None:
    random = torch.Generator().manual_seed(0)
    y = torch.rand(150, 3, generator=random) < torch.tensor([0.2, 0.5, 0.8])
    p = (y + torch.randn(150, 3, generator=random)).double().sigmoid()
    measured = Multilabel.metrics(p, y.float())
    z = p >= 0.5
    assert math.isclose(measured["accuracy"], float((z == y).double().mean()), rel_tol=1e-6)
    assert math.isclose(
        measured["exact_match"], float((z == y).all(1).double().mean()), rel_tol=1e-6
    )
    areas = [auroc(p[:, c], y[:, c]) for c in range(3)]
    assert math.isclose(measured["auroc"], sum(areas) / 3, rel_tol=1e-5)
    mcc = [float(torch.corrcoef(torch.stack([z[:, c], y[:, c]]).double())[0, 1]) for c in range(3)]
    assert math.isclose(measured["mcc"], sum(mcc) / 3, rel_tol=1e-5)


def test_numbers() -> None:
    random = torch.Generator().manual_seed(0)
    y = torch.randn(100, generator=random)
    value = (2 * y + torch.randn(100, generator=random)).double()
    measured = Regression.metrics(value[:, None], y)
    rank = torch.stack([value.argsort().argsort(), y.argsort().argsort()]).double()
    mse = float(((value - y) ** 2).mean())
    expected = {
        "pearson": float(torch.corrcoef(torch.stack([value, y.double()]))[0, 1]),
        "spearman": float(torch.corrcoef(rank)[0, 1]),
        "r2": 1 - mse / float(y.double().var(correction=0)),
        "mse": mse,
    }
    assert measured == pytest.approx(expected, rel=1e-5)
    constant = Regression.metrics(torch.ones(4, 1).double(), torch.arange(4.0))
    assert math.isnan(constant["pearson"])
    assert constant["mse"] == 1.5


def test_every_metric_says_which_way_is_up() -> None:
    several = Multilabel.metrics(torch.rand(9, 2).double(), torch.ones(9, 2))
    measured = {
        "binary": Multiclass.metrics(*drawn(9, 2)),
        "multiclass": Multiclass.metrics(*drawn(9, 3)),
        "multilabel": several,
        "regression": Regression.metrics(torch.rand(9, 1), torch.rand(9)),
    }
    for kind, head in HEADS.items():
        assert [*measured[kind]] == [*head.higher_is_better]
        assert head.higher_is_better.items() <= HIGHER_IS_BETTER.items()
    assert {name for metrics in measured.values() for name in metrics} | {"loss"} == set(
        HIGHER_IS_BETTER
    )
