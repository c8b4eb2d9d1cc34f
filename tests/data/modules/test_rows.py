"""Packed rows and lanes of ``GenomeDataModule``: what a loader gives, and what is refused."""

import logging
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from raw_batches import marks
from torch import Tensor

from dnamamba.alphabet import BOS
from dnamamba.data import GenomeSplit, Part, WindowConfig
from dnamamba.data.modules import GenomeDataModule
from dnamamba.data.samples.order import training_batches
from dnamamba.data.windows.taped import TapeDataset

LENGTH = 64


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Scaffolds, most of them shorter than a window."""
    draw = np.random.default_rng(0)
    sizes = [900, 20, 70, 100, 33, 250, 5]
    contigs = {f"s{n}": "".join(draw.choice(list("ACGT"), n)) for n in sizes}
    contigs["s900"] = contigs["s900"][:400] + "N" * 50 + contigs["s900"][450:]
    contigs["held"] = "".join(draw.choice(list("ACGT"), 1500))
    path = tmp_path_factory.mktemp("rows") / "scaffolds.fa"
    path.write_text("".join(f">{name}\n{bases}\n" for name, bases in contigs.items()))
    return str(path)


def module(path: Any, rows: str, **options: Any) -> GenomeDataModule:
    split = GenomeSplit(validation=Part(contigs=("held",)))
    defaults = {"length": LENGTH, "global_batch_size": 4, "split": split, "seed": 3}
    return GenomeDataModule(path, **{**defaults, "rows": rows, **options})


def test_packed_rows_are_full_and_nothing_is_lost(path: str) -> None:
    data = module(path, "packed")
    bases = 900 - 50 + 20 + 70 + 100 + 33 + 250 + 5
    assert data.plans.regions["train"].bases == bases
    dataset = data.dataset("train")
    assert isinstance(dataset, TapeDataset)
    assert len(dataset) == bases // LENGTH
    assert dataset.sample_shape == (LENGTH,)
    for batch in data.train_dataloader():
        assert set(batch) - {"resets"} == {"tokens", "index"}
        assert batch["tokens"].shape == (4, LENGTH)
        assert (batch["tokens"] >= 4).all()
    # Held-out windows are those of any run: figures can be compared.
    plain = module(path, "windows")
    for one, other in zip(data.val_dataloader(), plain.val_dataloader(), strict=True):
        assert torch.equal(one["tokens"], other["tokens"])


def test_the_share_of_padding_is_said(path: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        windows = WindowConfig(tail="pad", short="pad")
        module(path, "windows", windows=windows).setup("fit")
        assert "train: 25 windows of 64 bases from 1 genome(s); 3 region(s)" in caplog.text
        assert "padding: 17.9% of all positions" in caplog.text
        caplog.clear()
        module(path, "packed").setup("fit")
    assert "train: 20 windows of 64 bases from 1 genome(s), packed from 8 stretches" in caplog.text
    assert "padding: none (windows laid over each stretch by itself: 20.2%" in caplog.text


def continued(batches: list[dict[str, Tensor]]) -> None:
    """Row r of each batch goes on where row r of the one before ended."""
    for batch, after in pairwise(batches):
        assert torch.equal(batch["lane"], after["lane"])
        expected = batch["tokens"][:, -1].masked_fill(marks(after)[:, 0], BOS)
        assert torch.equal(after["before"], expected)


def test_lanes_go_on_from_step_to_step(path: str) -> None:
    data = module(path, "lanes")
    loader = data.train_dataloader()
    assert len(loader) == 1328 // (4 * LENGTH)
    batches = list(loader)
    assert batches[0]["resets"][:, 0].all()
    assert batches[0]["lane"].tolist() == [0, 1, 2, 3]
    continued(batches)
    held_out = list(data.val_dataloader())
    assert [len(batch["tokens"]) for batch in held_out] == [1] * 24
    continued(held_out)
    lengths = torch.cat([batch["lengths"] for batch in held_out])
    assert lengths.sum() == 1500


@pytest.mark.parametrize(("world", "batch"), [(1, 2), (2, 1), (2, 2), (1, 4)])
def test_lanes_belong_to_a_rank_and_a_batch(path: str, world: int, batch: int) -> None:
    """Whatever the devices and accumulated batches, a lane's windows are its own."""
    dataset = module(path, "lanes").dataset("train")
    accumulated = 4 // (world * batch)
    for rank in range(world):
        stream = training_batches(0, batch, rank, world)
        lanes = [dataset[next(stream)]["lane"].tolist() for _ in range(3 * accumulated)]
        assert lanes == lanes[:accumulated] * 3


def test_held_out_lanes_hold_sixteen_windows(path: str) -> None:
    split = GenomeSplit(validation=Part(contigs=("held", "s900")))
    data = module(path, "lanes", split=split)
    tape = data.dataset("validation").tape  # type: ignore[union-attr]
    assert (tape.lanes, tape.steps) == (2, 19)
    assert len(list(data.val_dataloader())) == 19


@pytest.mark.parametrize("rows", ["packed", "lanes"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"windows": WindowConfig(stride=10)}, r"data\.windows\.stride=10 is about windows"),
        ({"windows": WindowConfig(tail="pad", short="pad")}, "tail=pad, data.windows.short=pad"),
        ({"windows": WindowConfig(max_ambiguous=0.1)}, r"max_ambiguous=0\.1.*leave it out"),
        ({"genomes": {"a.fa": 1.0, "b.fa": 2.0}}, r"by weight.*data\.rows=windows"),
        ({"rows": "lane"}, r"data\.rows must be one of windows, packed, lanes, got 'lane'"),
    ],
)
def test_settings_that_contradict_are_refused(
    rows: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        GenomeDataModule(**{"genomes": ["a.fa"], "rows": rows, **options})


def test_more_lanes_than_windows(path: str) -> None:
    with pytest.raises(ValueError, match=r"data\.global_batch_size to 20 or less"):
        module(path, "lanes", global_batch_size=21).setup("fit")
    module(path, "lanes", global_batch_size=20).setup("fit")


def test_another_kind_of_rows_is_another_stream(path: str) -> None:
    streams = {rows: module(path, rows).stream() for rows in ("windows", "packed", "lanes")}
    assert "rows" not in streams["windows"]
    assert streams["packed"]["rows"] == "packed"
    data = module(path, "lanes")
    state = {"samples": 0, "processed": 0, "accumulated": 1, "stream": streams["packed"]}
    with pytest.raises(ValueError, match=r"rows \(packed in the checkpoint, lanes now\)"):
        data.load_state_dict(state)
    other = module(path, "lanes", global_batch_size=2).stream()
    with pytest.raises(ValueError, match=r"global_batch_size \(2 in the checkpoint, 4 now\)"):
        data.load_state_dict({**state, "stream": other})
