"""A held-out part, measured whole: over batches, one sample, and devices."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dnamamba.data.samples.order import held_out_batches
from dnamamba.model.heads import HeadConfig, Multiclass
from dnamamba.training.held_out import HeldOut


def drawn(n: int, C: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(n + C)
    label = torch.randint(0, C, (n,), generator=random)
    outputs = torch.randn(n, C, generator=random) + 1.5 * torch.eye(C)[label]
    return outputs.double().softmax(1), label


def fed(metric: HeldOut, batch: int, rank: int = 0, world: int = 1) -> dict[str, float]:
    """The metrics of 37 samples, dealt out as the loaders do."""
    torch.manual_seed(0)
    head = HeadConfig(kind="multiclass", labels=("a", "b", "c")).build(3)
    p, y = drawn(37, 3)
    for index in held_out_batches(37, batch, rank, world):
        at = torch.from_numpy(index)
        metric.update(head, at, p[at].log().float(), y[at])
    return metric.drain("test")


@pytest.mark.parametrize("batch", [1, 4, 37, 100])
def test_metrics_do_not_depend_on_batches(batch: int) -> None:
    metric = HeldOut()
    metrics = fed(metric, batch)
    p, y = drawn(37, 3)
    expected = {f"test/{name}": value for name, value in Multiclass.metrics(p, y).items()}
    expected["test/loss"] = float(-p[torch.arange(37), y].log().mean())
    assert metrics == pytest.approx(expected, rel=1e-5)
    assert metric.last is not None
    assert metric.last.sample.tolist() == list(range(37))
    assert fed(metric, batch) == metrics


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
    outputs = torch.zeros(1, len(head.labels) or 1)
    metric.update(head.build(3), torch.tensor([0]), outputs, label)
    metrics = metric.drain("test")
    assert math.isfinite(metrics["test/loss"])
    assert metric.last is not None
    assert torch.equal(metric.last.label, label)


def test_metrics_do_not_depend_on_devices(tmp_path: Path) -> None:
    script = """
import json, os, sys
import torch.distributed as dist
sys.path.insert(0, sys.argv[1])
from dnamamba.lean import import_lightning
import_lightning()
from test_held_out import HeldOut, fed
from dnamamba.training.held_out import MeanLoss
import torch
other = os.fork()  # a start costs seconds: one serves both processes
rank = int(other == 0)
dist.init_process_group("gloo", f"file://{sys.argv[2]}/store", rank=rank, world_size=2)
metric = HeldOut()
metrics = fed(metric, 36, rank, 2)  # the second rank's only batch is nearly empty
assert len(metric.last.sample) == 37
loss = MeanLoss()
loss.update(torch.full((3,), float(rank)))
assert loss.drain("train") == {"train/loss": 0.5}
with open(f"{sys.argv[2]}/{rank}.json", "w") as file:
    json.dump(metrics, file)
dist.destroy_process_group()  # its threads would abort a process that ends before they do
if other:
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    command = [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path)]
    subprocess.run(command, check=True, timeout=120)
    alone = fed(HeldOut(), 37)
    for rank in range(2):
        metrics = json.loads((tmp_path / f"{rank}.json").read_text())
        assert metrics == pytest.approx(alone, rel=1e-6)
