"""Bases hidden in fine-tuning: which, how many, and that held-out samples keep theirs."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from dnamamba.alphabet import PAD, Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.data.modules.sequences import LabelledFiles, LabelledSequenceDataModule
from dnamamba.model.heads import HeadConfig, VariantHeadConfig
from dnamamba.training.finetune import ClassificationModule, VariantModule
from dnamamba.training.hiding import Hiding

TOKENIZER = Tokenizer()
MASK = TOKENIZER.mask
SIZES = MambaConfig(d_model=8, n_layers=1, d_state=2)


def ids(text: str) -> Tensor:
    return torch.from_numpy(np.array(TOKENIZER.encode(text.encode())))


def sequences(rows: int = 64, length: int = 96) -> dict[str, Tensor]:
    drawn = torch.randint(4, 9, (rows, length), generator=torch.Generator().manual_seed(0))
    lengths = torch.arange(rows) % length + 1
    tokens = drawn.to(torch.uint8)
    tokens[torch.arange(length) >= lengths[:, None]] = PAD
    return {"tokens": tokens, "lengths": lengths, "index": torch.arange(rows)}


def test_a_share_of_the_bases_and_nothing_else() -> None:
    batch = sequences(512)
    before = batch["tokens"].clone()
    tokens = Hiding(0.15, TOKENIZER).hidden(batch)
    changed = tokens != before
    bases = torch.tensor(TOKENIZER.scored)[before.long()]
    assert torch.equal(batch["tokens"], before)
    assert (tokens[changed] == MASK).all()
    assert not (changed & ~bases).any()
    count = int(bases.sum())
    assert abs(int(changed.sum()) / count - 0.15) < 4 * (0.15 * 0.85 / count) ** 0.5


def test_others_each_time_and_the_same_for_the_same_sample() -> None:
    batch, hiding = sequences(), Hiding(0.3, TOKENIZER)
    again = {**batch, "index": batch["index"] + len(batch["index"])}  # the next epoch
    assert torch.equal(hiding.hidden(batch), hiding.hidden(batch))
    assert not torch.equal(hiding.hidden(batch), hiding.hidden(again))
    backwards = {name: value.flip(0) for name, value in batch.items()}
    assert torch.equal(hiding.hidden(backwards).flip(0), hiding.hidden(batch))


@pytest.mark.parametrize("alt", ["G", "GTT", ""], ids=["substitution", "insertion", "deletion"])
def test_alleles_are_never_hidden_and_flanks_alike(alt: str) -> None:
    left, ref, right = "ACGTACGTAC", "AC", "TTGCATTGCAGG"
    windows = [left + allele + right for allele in (ref, alt)]
    longest = max(map(len, windows))
    rows = 200
    pair = torch.full((2, longest), PAD, dtype=torch.uint8)
    for row, window in zip(pair, windows, strict=True):
        row[: len(window)] = ids(window)
    batch = {
        "tokens": pair.expand(rows, 2, longest),
        "lengths": torch.tensor([len(window) for window in windows]).expand(rows, 2),
        "position": torch.full((rows,), len(left)),
        "right": torch.full((rows,), len(right)),
        "index": torch.arange(rows),
    }
    hidden = Hiding(0.4, TOKENIZER).hidden(batch) == MASK
    of_ref, of_alt = (hidden[:, i, : len(window)] for i, window in enumerate(windows))
    for one, allele in ((of_ref, ref), (of_alt, alt)):
        assert not one[:, len(left) : len(left) + len(allele)].any()
    assert torch.equal(of_ref[:, : len(left)], of_alt[:, : len(left)])
    assert torch.equal(of_ref[:, -len(right) :], of_alt[:, -len(right) :])
    share = float(of_ref[:, : len(left)].float().mean())
    assert 0.3 < share < 0.5
    assert not hidden[batch["tokens"] == PAD].any()


@pytest.mark.parametrize("share", [-0.1, 1.0, 2, True])
def test_a_share_out_of_range(share: Any) -> None:
    with pytest.raises(ValueError, match=r"model\.hide must be a share from 0 to below 1"):
        Hiding(share, TOKENIZER)


def test_only_training_hides(
    quiet_trainer: Callable[..., pl.Trainer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "table.csv"
    letters = str.maketrans("01", "AC")
    rows = [[f"{'ACGT' * 6}{i:b}".translate(letters), i % 2] for i in range(60)]
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([["sequence", "label"], *rows])
    read: dict[bool, list[Tensor]] = {True: [], False: []}
    net = ClassificationModule(model=SIZES, head=HeadConfig(both_strands=True), hide=0.2)
    original = ClassificationModule._inputs

    def watched(self: Any, batch: Any, both_strands: bool = False) -> tuple[Tensor, ...]:
        read[self.training].append(batch["tokens"])
        return original(self, batch, both_strands)

    monkeypatch.setattr(ClassificationModule, "_inputs", watched)
    data = LabelledSequenceDataModule(LabelledFiles(str(table)), global_batch_size=8)
    quiet_trainer(max_steps=12).fit(net, data)
    assert any((tokens == MASK).any() for tokens in read[True])
    assert read[False]
    assert not any((tokens == MASK).any() for tokens in read[False])
    assert net.hparams["hide"] == 0.2


def test_variants_take_it_too() -> None:
    net = VariantModule(model=SIZES, head=VariantHeadConfig(), hide=0.1)
    assert net.hiding is not None
    assert VariantModule(model=SIZES).hiding is None
