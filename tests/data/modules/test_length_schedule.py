"""``GenomeDataModule`` with windows that become longer: a step reads what a plain run would."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from raw_batches import marks
from torch import Tensor

from dnamamba.alphabet import BOS
from dnamamba.data import GenomeSplit, Part, WindowConfig
from dnamamba.data.modules import GenomeDataModule
from dnamamba.data.samples.stages import StagedDataset

LENGTH, BATCH = 256, 2
SCHEDULE = [(0, 64), (3, 128), (5, 256)]
STEPS = 9  # of 512 bases; in an epoch there are fewer
ROWS = ["windows", "packed", "lanes"]
Batch = dict[str, Tensor]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    draw = np.random.default_rng(0)
    sizes = {"a": 1800, "b": 700, "c": 640, "held": 1500}
    text = "".join(
        f">{name}\n{''.join(draw.choice(list('ACGTacgt'), n))}\n" for name, n in sizes.items()
    )
    file = tmp_path_factory.mktemp("schedule") / "g.fa"
    file.write_text(text)
    return str(file)


def module(path: Any, rows: str = "windows", **options: Any) -> GenomeDataModule:
    split = GenomeSplit(validation=Part(contigs=("held",)), guard=0)
    defaults = {"length": LENGTH, "global_batch_size": BATCH, "split": split, "seed": 3}
    staged = {"length_schedule": SCHEDULE, "rows": rows, "soft_mask_weight": 0.5}
    return GenomeDataModule(path, **{**defaults, **staged, **options})


def read(data: GenomeDataModule, accumulated: int = 1) -> list[Batch]:
    """The batches of the first steps."""
    numbers = data.stages.batches(0, accumulated)
    return [data.dataset("train")[next(numbers)] for _ in range(STEPS * accumulated)]


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("shuffle", [True, False])
def test_a_step_reads_what_a_run_of_that_length_would(path: str, rows: str, shuffle: bool) -> None:
    windows = WindowConfig(shuffle=shuffle)
    staged = read(module(path, rows, windows=windows))
    assert torch.cat([batch["index"] for batch in staged]).tolist() == list(range(40))
    for length, steps in ((64, range(3)), (128, range(3, 5)), (256, range(5, STEPS))):
        options: dict[str, Any] = {"length": length, "global_batch_size": 512 // length}
        plain = read(module(path, rows, windows=windows, length_schedule=None, **options))
        for step in steps:
            ours, theirs = staged[step], plain[step]
            assert ours["tokens"].shape == (512 // length, length)
            if rows == "lanes" and step == steps[0]:
                theirs["resets"] = marks(theirs)
                theirs["resets"][:, 0], theirs["before"] = True, torch.full((512 // length,), BOS)
            assert ours.keys() == theirs.keys()
            for name in ours.keys() - {"index"}:
                assert torch.equal(ours[name], theirs[name]), (step, name)


@pytest.mark.parametrize("rows", ROWS)
def test_accumulated_batches_are_parts_of_the_steps(path: str, rows: str) -> None:
    whole, parts = read(module(path, rows)), read(module(path, rows), 2)
    for step, batch in enumerate(whole):
        joined = torch.cat([part["tokens"] for part in parts[2 * step : 2 * step + 2]])
        assert torch.equal(joined, batch["tokens"])


@pytest.mark.parametrize("rows", ROWS)
def test_an_epoch_has_the_steps_of_the_last_stage(path: str, rows: str) -> None:
    data, plain = module(path, rows), module(path, rows, length_schedule=None)
    steps = 7 if rows == "windows" else 6  # the last windows of contigs overlap those before
    assert len(data.train_dataloader()) == len(plain.train_dataloader()) == steps
    lengths = [batch["tokens"].shape[1] for batch in data.train_dataloader()]
    assert lengths == [64] * 3 + [128] * 2 + [256] * (steps - 5)


@pytest.mark.parametrize("rows", ROWS)
def test_held_out_parts_are_those_of_the_last_stage(path: str, rows: str) -> None:
    """Blocks depend on the length: another split in an early stage would train on them."""
    split = GenomeSplit(validation=Part(fraction=0.2), test=Part(fraction=0.2), guard=0)
    data, plain = (
        module(path, rows, split=split, length_schedule=schedule) for schedule in (SCHEDULE, None)
    )
    for one, other in zip(data.val_dataloader(), plain.val_dataloader(), strict=True):
        assert torch.equal(one["tokens"], other["tokens"])
    held_out = set()
    for part in ("validation", "test"):
        for _, contig, start, end in data.plans.places(part):
            held_out |= {(contig, i) for i in range(start, end)}
    for plan in data.plans.earlier:
        for contig, start, length in zip(*plan.tiling.places(np.arange(len(plan))), strict=True):
            name = data.plans.contigs.names[contig]
            assert not held_out & {(name, i) for i in range(start, start + length)}


def test_the_stride_is_in_proportion(path: str) -> None:
    data = module(path, windows=WindowConfig(stride=64))
    assert [plan.tiling.stride for plan in data.plans.earlier] == [16, 32]
    assert data.windows("train").tiling.stride == 64


def test_genomes_are_mixed_in_every_stage(tmp_path: Path, path: str) -> None:
    other = tmp_path / "other.fa"
    other.write_text(">o\n" + "ACGGT" * 600 + "\n")
    data = module({path: 3.0, str(other): 1.0}, windows=WindowConfig(reverse_complement=False))
    dataset = data.dataset("train")
    for plan, numbers in zip(data.plans.earlier, ((0, 24), (24, 32)), strict=True):
        assert plan.quota[0] == pytest.approx(3 * plan.quota[1], abs=2)
        names = dataset.names(np.arange(*numbers))
        assert any(name.startswith("other ") for name in names)
    assert "a:" in " ".join(dataset.names(np.arange(32, 40)))


def test_lanes_go_on_within_a_stage(path: str) -> None:
    batches = read(module(path, "lanes"))
    for step in range(1, STEPS):
        before, after = batches[step - 1], batches[step]
        if step in (3, 5):
            assert after["resets"][:, 0].all()
            assert (after["before"] == BOS).all()
            assert after["lane"].tolist() == list(range(len(after["lane"])))
        else:
            expected = before["tokens"][:, -1].masked_fill(marks(after)[:, 0], BOS)
            assert torch.equal(after["before"], expected)


def test_windows_are_named_across_stages(path: str) -> None:
    data = module(path)
    assert isinstance(data.dataset("train"), StagedDataset)
    sizes = []
    for name in data.describe(torch.tensor([0, 23, 24, 31, 32, 40])):
        start, end = name.partition(":")[2].partition("(")[0].split("-")
        sizes.append(int(end) - int(start))
    assert sizes == [64, 64, 128, 128, 256, 256]


def test_the_schedule_is_said(path: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        module(path).setup("fit")
    assert "lengths: a step reads 8 windows of 64 bases; from step 3 on 4 windows" in caplog.text
    for line in ("train: 50 windows of 64 bases", "train: 26 windows of 128", "train: 14 windows"):
        assert line in caplog.text


def test_a_stage_longer_than_every_contig(path: str) -> None:
    long = {"length_schedule": [(0, 2048), (3, 256)], "global_batch_size": 8}
    with pytest.raises(ValueError, match=r"the longest is 'a' .*Set data\.length_schedule\[0\]\[1"):
        module(path, **long).setup("fit")
    longer = {"length_schedule": [(0, 64), (3, 4096), (5, 256)], "global_batch_size": 16}
    with pytest.raises(ValueError, match=r"data\.length_schedule\[1\]\[1\] 4,096 is more than the"):
        module(path, "packed", **longer).setup("fit")


def trainer(**options: Any) -> pl.Trainer:
    quiet = {"enable_progress_bar": False, "enable_checkpointing": False, "logger": False}
    return pl.Trainer(accelerator="cpu", devices=1, **quiet, **options)


def test_batches_that_do_not_divide(path: str) -> None:
    data = module(path, length_schedule=[(0, 512), (3, 256)])
    data.trainer = trainer(max_steps=5, accumulate_grad_batches=2)
    with pytest.raises(ValueError, match=r"from step 0 on a step reads 1 window of 512 bases, not"):
        data.setup("fit")
    data.setup("validate")


@pytest.mark.parametrize("limit", [{"max_steps": 14}, {"max_epochs": 0}, {"max_epochs": 2}])
def test_a_run_that_never_comes_to_its_length(path: str, limit: dict[str, int]) -> None:
    """Two epochs have 14 steps."""
    data = module(path, length_schedule=[(0, 64), (14, 256)])
    data.trainer = trainer(**limit)
    with pytest.warns(UserWarning, match=r"comes to data\.length 256 at step 14, and the run ends"):
        data.setup("fit")


def test_another_schedule_is_another_stream(path: str) -> None:
    data, plain = module(path), module(path, length_schedule=None)
    assert "length_schedule" not in plain.stream()
    assert module(path, length_schedule=[(0, 256)]).stream() == plain.stream()
    state = {"samples": 0, "processed": 0, "accumulated": 1}
    for other in (plain, module(path, length_schedule=[(0, 64), (4, 128), (5, 256)])):
        with pytest.raises(ValueError, match=r"length_schedule \(.* in the checkpoint, \[\[0, 64"):
            data.load_state_dict({**state, "stream": other.stream()})
    data.load_state_dict({**state, "stream": module(path, num_workers=2).stream()})


def test_windows_of_earlier_stages_count(tmp_path: Path) -> None:
    """A share of N may leave out short windows and no long one."""
    file = tmp_path / "n.fa"
    file.write_text(">a\n" + "ACGT" * 64 + "N" * 50 + "ACGT" * 400 + "\n")
    plans = [
        module(str(file), windows=WindowConfig(max_ambiguous=share), split=GenomeSplit()).plans
        for share in (0.5, 0.9)
    ]
    assert [len(plan.earlier[0]) for plan in plans] == [29, 30]
    assert len(plans[0].of("train")) == len(plans[1].of("train"))
    assert plans[0].identity() != plans[1].identity()
