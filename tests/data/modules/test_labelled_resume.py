"""Labelled data under Lightning: exact resume at any step, settings from YAML, ranks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import yaml
from jsonargparse import ArgumentParser

from dnamamba.data import GenomeSplit, Part
from dnamamba.data.labelled import Split
from dnamamba.data.modules.labelled import LabelledDataModule
from dnamamba.data.modules.sequences import LabelledFiles, LabelledSequenceDataModule
from dnamamba.data.modules.species import SpeciesDataModule
from dnamamba.data.modules.variants import VariantDataModule, VariantFiles
from dnamamba.data.samples.order import held_out_batches
from dnamamba.data.variants.labels import VariantFields

N, BATCH = 22, 4  # samples in an epoch, which the batch does not divide
BASES = "".join("ACGT"[i] for i in np.random.default_rng(3).integers(0, 4, N * 64))


def sequences(folder: Path) -> LabelledDataModule:
    rows = "".join(f"{BASES[64 * i : 64 * i + 30 + i]},{'ab'[i % 2]}\n" for i in range(N))
    (folder / "t.csv").write_text("sequence,label\n" + rows)
    files = LabelledFiles(str(folder / "t.csv"))
    return LabelledSequenceDataModule(
        files, split=Split(validation=0, test=0), global_batch_size=BATCH, reverse_complement=True
    )


def species(folder: Path) -> LabelledDataModule:
    for name, bases in (("a", BASES[: 64 * 10]), ("b", BASES[64 * 10 :])):
        (folder / f"{name}.fa").write_text(f">{name}\n{bases}\n")
    files = {name: str(folder / f"{name}.fa") for name in "ab"}
    return SpeciesDataModule(files, length=64, global_batch_size=BATCH, balanced=True)


def variants(folder: Path) -> LabelledDataModule:
    (folder / "g.fa").write_text(f">c\n{BASES}\n")
    rows = "".join(
        f"c\t{50 * i + 1}\t.\t{BASES[50 * i]}\t{BASES[50 * i]}AC\t.\t.\tS={i % 2}\n"
        for i in range(N)
    )
    (folder / "v.vcf").write_text(
        '##fileformat=VCFv4.2\n##INFO=<ID=S,Number=1,Type=String,Description="s">\n'
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + rows
    )
    files = VariantFiles(str(folder / "g.fa"), str(folder / "v.vcf"))
    return VariantDataModule(
        files, VariantFields("S"), length=32, global_batch_size=BATCH, reverse_complement=True
    )


MAKERS = [sequences, species, variants]
Maker = Callable[[Path], LabelledDataModule]


class Recorder(pl.LightningModule):
    """Trains nothing; writes down what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[list[Any]] = []

    def training_step(self, batch: dict[str, torch.Tensor], step: int) -> torch.Tensor:
        self.seen.append([batch[name].tolist() for name in sorted(batch)])
        return self.weight * 1.0

    def validation_step(self, batch: dict[str, torch.Tensor], step: int) -> None: ...

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class EveryStep(pl.Callback):
    """A checkpoint after each training step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        trainer.save_checkpoint(self.folder / f"{trainer.global_step}.ckpt")


def fit(data: LabelledDataModule, folder: Path, resume: Path | None = None) -> list[list[Any]]:
    """What three epochs see."""
    model = Recorder()
    trainer = pl.Trainer(
        accelerator="cpu", devices=1, max_epochs=3, logger=False, default_root_dir=folder,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
        callbacks=[] if resume else [EveryStep(folder)],
    )  # fmt: skip
    trainer.fit(model, datamodule=data, ckpt_path=resume)
    return model.seen


@pytest.mark.parametrize("make", MAKERS)
def test_a_resumed_run_sees_what_the_uninterrupted_one_saw(make: Maker, tmp_path: Path) -> None:
    whole = fit(make(tmp_path), tmp_path)
    steps = N // BATCH
    assert len(whole) == 3 * steps
    for stop in (1, steps, steps + 2):  # mid-epoch, an epoch's last step, in the next one
        resumed = fit(make(tmp_path), tmp_path, tmp_path / f"{stop}.ckpt")
        assert resumed == whole[stop:]


@pytest.mark.parametrize("make", MAKERS)
def test_samples_do_not_repeat_before_all_have_come(make: Maker, tmp_path: Path) -> None:
    """The rest of an epoch that the batch does not divide comes first in the next one."""
    data = make(tmp_path)
    data.setup()
    index = [i for batch in fit(data, tmp_path) for i in batch[0]]
    assert index == list(range(3 * (N // BATCH) * BATCH))
    if not isinstance(data, SpeciesDataModule):  # balanced, its small species comes round earlier
        assert len(set(data.describe(index[:N]))) == N


@pytest.mark.parametrize("make", MAKERS)
def test_another_stream_is_refused_at_resume(make: Maker, tmp_path: Path) -> None:
    fit(make(tmp_path), tmp_path)
    other = type(data := make(tmp_path))(**{**data.hparams, "seed": 1})
    with pytest.raises(ValueError, match=r"cannot resume.*seed \(0 in the checkpoint, 1 now\)"):
        fit(other, tmp_path, tmp_path / "2.ckpt")


@pytest.mark.parametrize("make", MAKERS)
def test_hyper_parameters_are_plain_and_make_the_same_data(make: Maker, tmp_path: Path) -> None:
    data = make(tmp_path)
    plain = yaml.safe_load(yaml.safe_dump(dict(data.hparams)))
    again = type(data)(**plain)
    assert again.stream() == data.stream()
    assert dict(again.hparams) == dict(data.hparams)


@pytest.mark.parametrize("make", MAKERS)
def test_ranks_share_the_global_batch(make: Maker, tmp_path: Path) -> None:
    """What two processes read together is what one reads, whole rows of it."""
    data = make(tmp_path)
    data.setup()
    dataset = data.dataset("train")
    whole = dataset[np.arange(8, 8 + BATCH)]
    halves = [dataset[np.arange(8 + 2 * rank, 10 + 2 * rank)] for rank in (0, 1)]
    for name in ("label", "lengths", "index"):
        assert torch.cat([half[name] for half in halves]).tolist() == whole[name].tolist()


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_change_nothing(workers: int, tmp_path: Path) -> None:
    data = variants(tmp_path)
    data.num_workers = workers
    data.setup()
    found = [batch["tokens"].tolist() for batch in data.train_dataloader()]
    dataset = data.dataset("train")
    numbers = np.arange(N // BATCH * BATCH).reshape(-1, BATCH)
    assert found == [dataset[index]["tokens"].tolist() for index in numbers]


def test_held_out_batches_mix_the_classes(tmp_path: Path) -> None:
    """What a few batches measure is of all of them, the same on one device and on two."""
    small = [(f"{name}.fa", name, 64 * 40) for name in "abc"]
    for file, name, bases in small:
        (tmp_path / file).write_text(f">{name}\n{(BASES * 2)[:bases]}\n")
    data = SpeciesDataModule(
        {name: str(tmp_path / file) for file, name, _ in small},
        length=64,
        global_batch_size=12,
        split=GenomeSplit(validation=Part(fraction=0.5), guard=0),
    )
    data.setup()
    batches = list(data.val_dataloader())
    n = len(data.dataset("validation"))
    assert all(len(set(batch["label"].tolist())) == 3 for batch in batches)
    index = torch.cat([batch["index"] for batch in batches])
    assert index[index >= 0].sort().values.tolist() == list(range(n))
    halves = [list(held_out_batches(n, 6, rank, 2)) for rank in (0, 1)]
    for batch, *parts in zip(batches, *halves, strict=True):
        whole = [int(i) for i in batch["index"] if i >= 0]
        assert [int(i) for part in parts for i in part if i >= 0] == whole


def test_what_is_predicted_comes_in_order(tmp_path: Path) -> None:
    data = sequences(tmp_path)
    data.files = LabelledFiles(data.files.train, predict=data.files.train)
    data.setup()
    index = [int(i) for batch in data.predict_dataloader() for i in batch["index"] if i >= 0]
    assert index == list(range(N))


YAML = {
    LabelledSequenceDataModule: r"""
files: {train: {fish: a.fa, bird: b.fa}, predict: [x.csv, y.csv]}
fields: {header: 'class=(?P<label>\w+)', group: family}
labels: {classes: [1, 0], mapping: {fish: 1, bird: 0}}
split: {folds: 5, fold: 1}
length: {maximum: 100, longer: random}
tokenizer: {name: byte}
""",
    SpeciesDataModule: """
species: {a: x.fa, b: y.fa}
split: {test: {fraction: 0.1}, validation: {contigs: [q]}}
windows: {stride: 10}
balanced: true
predict: [z.fa]
""",
    VariantDataModule: """
files: {genome: g.fa, train: v.vcf, test: [a.vcf, b.vcf]}
fields: {table: t.tsv, key: [id]}
labels: {mapping: {Pathogenic: p, Benign: b}, classes: [b, p]}
split: {test: {fraction: 0.1}, block: 100}
checks: {contig_names: {'17': chr17}, kinds: [snv], mismatch: skip}
""",
}


@pytest.mark.parametrize("kind", YAML)
def test_settings_come_from_yaml(kind: type[LabelledDataModule]) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(kind, "data")
    written = yaml.safe_load(YAML[kind])
    data = parser.instantiate(parser.parse_object({"data": written})).data
    for name, value in written.items():
        kept = data.hparams[name]
        for key in value if isinstance(value, dict) and name not in ("species",) else ():
            assert key in kept
    assert data.hparams["num_workers"] == 0
