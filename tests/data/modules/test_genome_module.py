"""``GenomeDataModule`` under a Trainer: parts, state, hyper-parameters and errors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.data import GenomeSplit, Part, WindowConfig
from dnamamba.data.modules import GenomeDataModule
from dnamamba.training.objectives import NextBase, base_weights

LENGTH = 64


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder, draw = tmp_path_factory.mktemp("genomes"), np.random.default_rng(0)
    contents = {"one": {"a": 1300, "held": 300, "test": 200}, "two": {"b": 640}}
    for name, contigs in contents.items():
        text = "".join(
            f">{contig}\n{''.join(draw.choice(list('ACGTacgtN'), n))}\n"
            for contig, n in contigs.items()
        )
        (folder / f"{name}.fa").write_text(text)
    return [str(folder / f"{name}.fa") for name in contents]


def module(paths: Any, **options: Any) -> GenomeDataModule:
    split = GenomeSplit(validation=Part(contigs=("held",)), test=Part(contigs=("test",)))
    return GenomeDataModule(
        paths, **{"length": LENGTH, "global_batch_size": 8, "split": split, **options}
    )


def weights(batch: dict[str, Tensor]) -> Tensor:
    return base_weights(batch, Tokenizer(), soft_mask_weight=0.5)


class Watcher(pl.LightningModule):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: dict[str, list[dict[str, Tensor]]] = {}

    def keep(self, stage: str, batch: dict[str, Tensor]) -> Tensor:
        self.seen.setdefault(stage, []).append(batch)
        return self.weight * weights(batch).sum()

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        return self.keep("train", batch)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self.keep("validation", batch)

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self.keep("test", batch)

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        return batch["index"]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(folder: Path, **options: Any) -> pl.Trainer:
    return pl.Trainer(
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
        **options,
    )


def test_a_trainer_gets_every_part(tmp_path: Path, paths: list[str]) -> None:
    data, watcher = module(paths, soft_mask_weight=0.5), Watcher()
    run = trainer(tmp_path, max_epochs=1)
    run.fit(watcher, data)
    train = watcher.seen["train"]
    assert len(train) == len(data.windows("train")) // 8 == 3
    assert torch.cat([batch["index"] for batch in train]).tolist() == list(range(24))
    assert set(torch.cat(list(map(weights, train))).unique().tolist()) == {0.0, 0.5, 1.0}
    validation = watcher.seen["validation"]
    assert [batch["tokens"].shape[0] for batch in validation] == [5]
    assert set(torch.cat(list(map(weights, validation))).unique().tolist()) == {0.0, 1.0}
    run.test(watcher, data)
    scored = sum(sum(base in b"ACGTacgt" for base in window) for window in data.bases("test"))
    assert sum(weights(batch).sum() for batch in watcher.seen["test"]) == scored
    predictions = run.predict(watcher, data)
    assert predictions is not None
    n = len(data.windows("predict"))
    assert torch.cat(predictions).tolist() == list(range(n))  # type: ignore[arg-type]


def test_bases_are_those_that_training_reads(paths: list[str]) -> None:
    """What a baseline is fitted on is what the model sees, strand aside."""
    data = module(paths, windows=WindowConfig(stride=40, tail="pad", short="pad"))
    tokenizer = Tokenizer()
    given = sorted(bytes(tokenizer.encode(bases)) for bases in data.bases("train"))
    data.setup("fit")
    source = data.train_dataloader().dataset
    batch = source[np.arange(len(source))]
    read = []
    for row, length in zip(batch["tokens"].numpy(), batch["lengths"].tolist(), strict=True):
        read.append(row[:length])
    flipped = source.plan.samples(np.arange(len(source))).reverse
    plus = [
        bytes(tokenizer.reverse_complement(row) if flip else row)
        for row, flip in zip(read, flipped, strict=True)
    ]
    assert sorted(plus) == given


def test_describe_names_the_bases_of_a_batch(paths: list[str]) -> None:
    data = module(paths)
    batch = next(iter(data.train_dataloader()))
    for row, where in zip(batch["tokens"].numpy(), data.describe(batch["index"]), strict=True):
        name, place = where.split()
        contig, span = place[:-3].split(":")
        start, end = map(int, span.split("-"))
        strand = place[-2]
        assert strand in "+-"
        bases = data.genomes[name].fetch(contig, start, end, strand)  # type: ignore[arg-type]
        np.testing.assert_array_equal(Tokenizer().encode(bases), row)


def test_hyper_parameters_are_plain_and_build_the_same_module(paths: list[str]) -> None:
    data = module(
        dict.fromkeys(paths, 1.0), windows=WindowConfig(short="pad"), tokenizer=Tokenizer("byte")
    )
    stored = json.loads(json.dumps(dict(data.hparams)))
    again = GenomeDataModule(**stored)
    assert dict(again.hparams) == dict(data.hparams) == stored
    assert again.split == data.split
    assert again.window_config == data.window_config
    assert again.tokenizer == data.tokenizer
    assert again.state_dict() == data.state_dict()


def test_a_checkpoint_loads_without_code(tmp_path: Path, paths: list[str]) -> None:
    run, data = trainer(tmp_path, max_steps=2), module(paths)
    run.fit(Watcher(), data)
    run.save_checkpoint(tmp_path / "x.ckpt")
    checkpoint = torch.load(tmp_path / "x.ckpt", weights_only=True)
    assert checkpoint["GenomeDataModule"]["samples"] == 16
    assert checkpoint["datamodule_hyper_parameters"]["length"] == LENGTH


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"seed": 1}, "seed (0 in the checkpoint, 1 now)"),
        ({"length": 128}, "length (64 in the checkpoint, 128 now)"),
        ({"global_batch_size": 16}, "global_batch_size (8 in the checkpoint, 16 now)"),
        ({"windows": WindowConfig(stride=32)}, "places of the windows, which"),
        ({"windows": WindowConfig(shuffle=False)}, "shuffle (True in the checkpoint, False now)"),
        ({"windows": WindowConfig(reverse_complement=False)}, "reverse_complement (True"),
        ({"split": GenomeSplit(validation=Part(contigs=("a",)))}, "places of the windows, which"),
        ({"tokenizer": Tokenizer("byte")}, "tokenizer ("),
        ({"weights": True}, "samples of each genome ([31] in the checkpoint, [16, 15] now)"),
        ({"only": 0}, "bases of the genomes ("),
    ],
)
def test_another_stream_is_not_resumed(
    tmp_path: Path, paths: list[str], changed: dict[str, Any], named: str
) -> None:
    first = trainer(tmp_path, max_steps=2)
    first.fit(Watcher(), module(paths))
    first.save_checkpoint(tmp_path / "x.ckpt")
    given: Any = paths
    if changed.pop("weights", None):
        given = dict.fromkeys(paths, 1.0)
    if "only" in changed:
        given = [paths[changed.pop("only")]]
    other = module(given, **changed)
    with pytest.raises(ValueError, match="cannot resume") as error:
        trainer(tmp_path, max_steps=4).fit(Watcher(), other, ckpt_path=tmp_path / "x.ckpt")
    assert named in str(error.value)
    # What was trained may be tested on anything.
    split = GenomeSplit(test=Part(contigs=("test",)))
    elsewhere = module(given, **{**changed, "split": split})
    trainer(tmp_path).test(Watcher(), elsewhere, ckpt_path=tmp_path / "x.ckpt")


def test_moved_files_and_other_workers_are_the_same_stream(
    tmp_path: Path, paths: list[str]
) -> None:
    copies = []
    for path in paths:
        copies.append(str(tmp_path / Path(path).name))
        Path(copies[-1]).write_bytes(Path(path).read_bytes())
    assert module(copies, num_workers=2).state_dict() == module(paths).state_dict()


def test_a_global_batch_that_does_not_divide(tmp_path: Path, paths: list[str]) -> None:
    run = trainer(tmp_path, max_steps=1, accumulate_grad_batches=3)
    with pytest.raises(ValueError, match=r"global_batch_size 8 .* 1 device\(s\) x 3 acc.* of 3"):
        run.fit(Watcher(), module(paths))


def test_fewer_windows_than_a_batch_repeat(tmp_path: Path, paths: list[str]) -> None:
    watcher = Watcher()
    trainer(tmp_path, max_epochs=2).fit(watcher, module(paths, global_batch_size=64))
    read = torch.cat([batch["index"] for batch in watcher.seen["train"]])
    assert read.tolist() == list(range(128))


def test_the_report_is_said_once(
    tmp_path: Path, paths: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    data = module(paths)
    with caplog.at_level("INFO"):
        data.setup("fit")
        data.setup("test")
    assert caplog.text.count("train: 31 windows of 64 bases from 2 genome(s)") == 1


def test_letters_that_the_tokenizer_refuses_are_found_at_once(tmp_path: Path) -> None:
    path = tmp_path / "odd.fa"
    path.write_text(">a\n" + "ACGT" * 32 + "\n>b\n" + "ACGR" * 32 + "\n")
    strict = Tokenizer(iupac="error")
    with pytest.raises(ValueError, match=r"b, position 3 .*IUPAC code; set tokenizer\.iupac"):
        GenomeDataModule(str(path), strict, length=64).setup()
    only_a = tmp_path / "a.bed"
    only_a.write_text("a\t0\t128\n")
    GenomeDataModule(
        str(path), strict, length=64, windows=WindowConfig(include=str(only_a))
    ).setup()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"global_batch_size": 0}, "data.global_batch_size must be at least 1, got 0"),
        ({"soft_mask_weight": 1.5}, "data.soft_mask_weight must be 0 to 1, got 1.5"),
        ({"seed": -1}, "data.seed must be 0 to 2"),
        ({"num_workers": -1}, "data.num_workers must be 0 or more, got -1"),
    ],
)
def test_settings_check_themselves(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GenomeDataModule("x.fa", **options)


def test_errors_of_set_up(paths: list[str]) -> None:
    with pytest.raises(ValueError, match="no genome given"):
        GenomeDataModule([]).setup()
    with pytest.raises(ValueError, match=r"none\.fa"):
        GenomeDataModule("none.fa").setup()
    with pytest.raises(ValueError, match=r"nothing is held out for test; set data\.split\.test"):
        GenomeDataModule(paths, length=64).test_dataloader()
    with pytest.raises(ValueError, match=r"nothing is held out for validation; set data\.split"):
        GenomeDataModule(paths, length=64).val_dataloader()


def test_a_genome_in_lower_case_that_counts_for_nothing(tmp_path: Path) -> None:
    fasta = tmp_path / "masked.fa"
    fasta.write_text(">a\n" + "acgtnN" * 100 + "\n")

    def ready(weight: float) -> None:
        data = GenomeDataModule(
            [str(fasta)], length=LENGTH, global_batch_size=8, soft_mask_weight=weight
        )
        data.setup("fit")

    with pytest.raises(ValueError, match=r"masked\.fa: every base .*soft_mask_weight 0"):
        ready(0.0)
    ready(0.1)
    fasta.write_text(">a\n" + "acgtnN" * 100 + "ACGT" * 50 + "\n")
    ready(0.0)


def test_a_run_without_a_validation_part(tmp_path: Path, paths: list[str]) -> None:
    watcher = Watcher()
    trainer(tmp_path, max_epochs=2).fit(watcher, GenomeDataModule(paths, length=64))
    assert "validation" not in watcher.seen
    assert len(watcher.seen["train"]) == 2


@pytest.mark.parametrize("length", [64, 65, 4_194_304])
def test_the_shortest_and_the_longest_window(tmp_path: Path, length: int) -> None:
    bases = np.frombuffer(b"ACGT", np.uint8)[np.random.default_rng(1).integers(0, 4, 4_200_000)]
    path = tmp_path / "long.fa"
    path.write_bytes(b">c\n" + bases.tobytes() + b"\n")
    data = GenomeDataModule(str(path), length=length, global_batch_size=1)
    batch = next(iter(data.train_dataloader()))
    (where,) = data.describe(batch["index"])
    start, strand = int(where.split(":")[1].split("-")[0]), where[-2]
    expected = data.genomes["long"].fetch("c", start, start + length, strand)  # type: ignore[arg-type]
    np.testing.assert_array_equal(batch["tokens"][0].numpy(), Tokenizer().encode(expected))


@pytest.mark.gpu
def test_batches_travel_as_bytes_and_examples_are_made_on_the_device(
    tmp_path: Path, paths: list[str]
) -> None:
    watcher, data = Watcher(), module(paths, soft_mask_weight=0.5)
    run = pl.Trainer(
        accelerator="gpu",
        devices=1,
        max_steps=3,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    run.fit(watcher, data)
    on_cpu = module(paths, soft_mask_weight=0.5)
    loader = on_cpu.train_dataloader()
    for batch, raw in zip(watcher.seen["train"], loader, strict=True):
        assert {name: x.dtype for name, x in batch.items()} == {n: x.dtype for n, x in raw.items()}
        made, expected = (NextBase().example(x, Tokenizer(), 0.5) for x in (batch, raw))
        for tensor, on_host in zip(made[:3], expected[:3], strict=True):
            assert tensor.device.type == "cuda"
            assert torch.equal(tensor.cpu(), on_host)


def test_references_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paths: list[str]
) -> None:
    monkeypatch.setenv("DNAMAMBA_CACHE", str(tmp_path))
    named = {"sacCer3": 1.0, paths[1]: 2.0}
    with pytest.raises(ValueError, match="run `dnamamba genome sacCer3`"):
        module(named).prepare_data()
    (tmp_path / "genomes").mkdir()
    (tmp_path / "genomes" / "sacCer3.fa").write_text(Path(paths[0]).read_text())
    data = module(named)
    data.setup("fit")
    assert list(data.genomes) == ["sacCer3", "two"]
    assert data.hparams["genomes"] == named
