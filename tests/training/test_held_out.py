"""Figures against their formulas, written out, and over batches and devices."""

import json
import math
import sys
from pathlib import Path
from subprocess import PIPE, Popen

import pytest
import torch
from torch import Tensor

from dnamamba.data.windows.stream import held_out_batches
from dnamamba.model.heads import Head, HeadConfig
from dnamamba.training.held_out import HeldOut
from dnamamba.training.label_metrics import HIGHER_IS_BETTER, figures_of, wilson


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
    found = figures_of(p, y)
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
    assert found == pytest.approx(expected, rel=1e-5)
    assert 0.3 < found["mcc"] < 0.95


def test_a_class_that_does_not_occur_is_left_out_of_averages() -> None:
    p, y = drawn(100, 4)
    kept = y < 3
    p, y = p[kept], y[kept]
    found = figures_of(p, y)
    z = p.argmax(1)
    assert (z == 3).any()
    recall = [float((z == c)[y == c].double().mean()) for c in range(3)]
    assert math.isclose(found["balanced_accuracy"], sum(recall) / 3)
    areas = [auroc(p[:, c], y == c) for c in range(3)]
    assert math.isclose(found["auroc"], sum(areas) / 3, rel_tol=1e-5)
    one = figures_of(p[y == 0], y[y == 0])
    assert math.isnan(one["auroc"])
    assert one["accuracy"] > 0


def test_several_labels() -> None:
    random = torch.Generator().manual_seed(0)
    y = torch.rand(150, 3, generator=random) < torch.tensor([0.2, 0.5, 0.8])
    p = (y + torch.randn(150, 3, generator=random)).double().sigmoid()
    found = figures_of(p, y.float())
    z = p >= 0.5
    assert math.isclose(found["accuracy"], float((z == y).double().mean()), rel_tol=1e-6)
    assert math.isclose(found["exact_match"], float((z == y).all(1).double().mean()), rel_tol=1e-6)
    areas = [auroc(p[:, c], y[:, c]) for c in range(3)]
    assert math.isclose(found["auroc"], sum(areas) / 3, rel_tol=1e-5)
    mcc = [float(torch.corrcoef(torch.stack([z[:, c], y[:, c]]).double())[0, 1]) for c in range(3)]
    assert math.isclose(found["mcc"], sum(mcc) / 3, rel_tol=1e-5)


def test_numbers() -> None:
    random = torch.Generator().manual_seed(0)
    y = torch.randn(100, generator=random)
    value = (2 * y + torch.randn(100, generator=random)).double()
    found = figures_of(value[:, None], y)
    rank = torch.stack([value.argsort().argsort(), y.argsort().argsort()]).double()
    mse = float(((value - y) ** 2).mean())
    expected = {
        "pearson": float(torch.corrcoef(torch.stack([value, y.double()]))[0, 1]),
        "spearman": float(torch.corrcoef(rank)[0, 1]),
        "r2": 1 - mse / float(y.double().var(correction=0)),
        "mse": mse,
    }
    assert found == pytest.approx(expected, rel=1e-5)
    constant = figures_of(torch.ones(4, 1).double(), torch.arange(4.0))
    assert math.isnan(constant["pearson"])
    assert constant["mse"] == 1.5


def test_every_figure_says_which_way_is_up() -> None:
    several = figures_of(torch.rand(9, 2).double(), torch.ones(9, 2))
    found = {*figures_of(*drawn(9, 3)), *several, *figures_of(torch.rand(9, 1), torch.rand(9))}
    assert found | {"loss"} == set(HIGHER_IS_BETTER)


def test_wilson() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)


def fed(metric: HeldOut, batch: int, rank: int = 0, world: int = 1) -> dict[str, float]:
    """The figures of 37 samples, dealt out as the loaders do."""
    torch.manual_seed(0)
    head = Head.of(HeadConfig(kind="multiclass", labels=("a", "b", "c")), 3)
    p, y = drawn(37, 3)
    for index in held_out_batches(37, batch, rank, world):
        at = torch.from_numpy(index)
        metric.update(head, at, p[at].log().float(), y[at])
    return metric.drain("test")


@pytest.mark.parametrize("batch", [1, 4, 37, 100])
def test_figures_do_not_depend_on_batches(batch: int) -> None:
    metric = HeldOut()
    figures = fed(metric, batch)
    p, y = drawn(37, 3)
    expected = {f"test/{name}": value for name, value in figures_of(p, y).items()}
    expected["test/loss"] = float(-p[torch.arange(37), y].log().mean())
    assert figures == pytest.approx(expected, rel=1e-5)
    assert metric.last is not None
    assert metric.last.sample.tolist() == list(range(37))
    assert fed(metric, batch) == figures


@pytest.mark.parametrize(
    ("head", "label"),
    [
        (HeadConfig(kind="multiclass", labels=("a", "b", "c")), torch.tensor([1])),
        (HeadConfig(kind="multilabel", labels=("a",)), torch.ones(1, 1)),
        (HeadConfig(kind="regression"), torch.tensor([0.5])),
    ],
)
def test_a_part_may_hold_one_sample(head: HeadConfig, label: Tensor) -> None:
    metric = HeldOut()
    metric.update(Head.of(head, 3), torch.tensor([0]), torch.zeros(1, len(head.labels) or 1), label)
    figures = metric.drain("test")
    assert math.isfinite(figures["test/loss"])
    assert metric.last is not None
    assert torch.equal(metric.last.label, label)


def test_figures_do_not_depend_on_devices(tmp_path: Path) -> None:
    script = """
import json, sys
import torch.distributed as dist
sys.path.insert(0, sys.argv[1])
from test_held_out import HeldOut, fed
from dnamamba.training.held_out import MeanLoss
import torch
rank = int(sys.argv[3])
dist.init_process_group("gloo", f"file://{sys.argv[2]}/store", rank=rank, world_size=2)
metric = HeldOut()
figures = fed(metric, 36, rank, 2)  # the second rank's only batch is nearly empty
assert len(metric.last.sample) == 37
loss = MeanLoss()
loss.update(torch.full((3,), float(rank)))
assert loss.drain("train") == {"train/loss": 0.5}
print(json.dumps(figures))
dist.destroy_process_group()  # its threads would abort a process that ends before they do
"""
    arguments = [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path)]
    ranks = [Popen([*arguments, str(rank)], stdout=PIPE, text=True) for rank in range(2)]
    outputs = [rank.communicate(timeout=120)[0] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0]
    alone = fed(HeldOut(), 37)
    for output in outputs:
        figures = json.loads(output.splitlines()[-1])
        assert figures == pytest.approx(alone, rel=1e-6)
