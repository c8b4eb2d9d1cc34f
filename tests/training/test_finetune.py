"""Fine-tuning: what moves, what is logged, what a checkpoint and a test leave behind."""

import csv
import errno
import inspect
import json
import math
import os
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, distributed
from torch.distributed.fsdp._fully_shard._fsdp_state import FSDPState

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.data.labelled.examples import Fields
from dnamamba.data.labelled.labels import Labels
from dnamamba.data.labelled.splits import Split
from dnamamba.data.modules.sequences import LabelledFiles, LabelledSequenceDataModule
from dnamamba.model import LanguageModel
from dnamamba.model.heads import HEADS, HeadConfig, Regression
from dnamamba.training.adapters import LoraSettings
from dnamamba.training.callbacks import ExportModel
from dnamamba.training.finetune import ClassificationModule
from dnamamba.training.fully_sharded import FullySharded
from dnamamba.training.optim import OptimizerConfig
from dnamamba.training.tuning import TuningConfig

SIZES = MambaConfig(d_model=16, n_layers=2, d_state=4)
OPTIMIZER = OptimizerConfig(lr=1e-2, warmup_steps=2, weight_decay=0.0)
BACKBONE = "model.backbone."

Make = Callable[..., pl.Trainer]


def sequence(random: np.random.Generator, letters: bytes) -> str:
    n = int(random.integers(16, 40))
    return random.choice(np.frombuffer(letters, np.uint8), n).tobytes().decode()


RICH = {"at": b"AAAATTTTC", "gc": b"GGGGCCCCA", "purine": b"AAAAGGGGT"}


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """121 sequences, whose letters tell their class, their names and their number."""
    random = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "sequences.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "sequence", "two", "three", "names", "number"])
        for i in range(121):
            name = list(RICH)[i % 3]
            bases = sequence(random, RICH[name])
            two = "yes" if name == "gc" else "no"
            names = ";".join(n for n in RICH if n == name or bases.startswith("A"))
            writer.writerow([f"s{i}", bases, two, name, names, 30 + 10 * bases.count("G")])
    return path


def data(table: Path, label: str = "three", kind: Any = "class", **options: Any) -> Any:
    files = LabelledFiles(str(table), predict=str(table))
    fields = Fields(label=label, id="id")
    split = Split(validation=0.2, test=0.2)
    defaults: dict[str, Any] = {"global_batch_size": 8}
    return LabelledSequenceDataModule(
        files, fields, Labels(kind=kind), split, **{**defaults, **options}
    )


def module(tuning: TuningConfig = TuningConfig(), **options: Any) -> ClassificationModule:  # noqa: B008
    pl.seed_everything(5, verbose=False)
    if "pretrained" not in options:
        options["model"] = SIZES
    return ClassificationModule(tuning=tuning, optimizer=OPTIMIZER, **options)


@pytest.fixture
def make(quiet_trainer: Make, tmp_path: Path) -> Make:
    return lambda **options: quiet_trainer(**{"default_root_dir": tmp_path / "run", **options})


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("pretrained") / "model"
    return checkpoint.save(folder, LanguageModel(SIZES), Tokenizer())


def weights(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def moved(before: dict[str, torch.Tensor], net: torch.nn.Module) -> set[str]:
    after = net.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}


KINDS = {
    "binary": ("two", "class", ("no", "yes"), "accuracy", 0.8),
    "multiclass": ("three", "class", ("at", "gc", "purine"), "accuracy", 0.7),
    "multilabel": ("names", "multilabel", ("at", "gc", "purine"), "auroc", 0.8),
    "regression": ("number", "number", (), "pearson", 0.8),
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_every_kind_of_label(kind: str, table: Path, make: Make, tmp_path: Path) -> None:
    label, labels, names, metric, enough = KINDS[kind]
    net, source = module(), data(table, label, labels)
    trainer = make(max_steps=60, callbacks=[ExportModel(tmp_path / "model")])
    trainer.fit(net, source)
    assert (net.head.kind, net.head.labels) == (kind, names)
    assert trainer.callback_metrics[f"validation/{metric}"] > enough
    assert trainer.callback_metrics["validation/loss"] < 0.65
    metrics = trainer.test(net, source, verbose=False)[0]
    assert metrics[f"test/{metric}"] > 0.5

    model, tokenizer = checkpoint.load(tmp_path / "model")
    batch = next(iter(source.test_dataloader()))
    net.eval()
    with torch.no_grad():
        assert torch.equal(model(batch["tokens"], batch["lengths"]), net(batch))
    assert model.settings == net.head
    assert tokenizer == Tokenizer()


class Counts(Regression):
    """Numbers that are counts: the logarithm of a Poisson's rate."""

    higher_is_better: ClassVar[dict[str, bool]] = {"deviance": False}
    plots = ()
    scales_labels = False

    def losses(self, outputs: Tensor, label: Tensor, weight: Tensor | None = None) -> Tensor:
        return torch.nn.functional.poisson_nll_loss(outputs[:, 0], label, reduction="none")

    def probabilities(self, outputs: Tensor) -> Tensor:
        return outputs.exp()

    @classmethod
    def metrics(cls, probabilities: Tensor, label: Tensor) -> dict[str, float]:
        terms = torch.xlogy(label, label / probabilities[:, 0]) - label + probabilities[:, 0]
        return {"deviance": float(2 * terms.mean())}


def test_another_kind_of_label_is_one_class_and_one_row(
    table: Path, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(HEADS, "counts", Counts)
    net, source = module(head=HeadConfig("counts")), data(table, "number", "number")
    make(max_steps=2, callbacks=[ExportModel(tmp_path / "model")]).fit(net, source)
    metrics = make().test(net, source, verbose=False)[0]
    assert set(metrics) == {"test/loss", "test/deviance"}
    assert json.loads((tmp_path / "run" / "test.json").read_text())["deviance"] > 0
    assert isinstance(checkpoint.load(tmp_path / "model")[0].head, Counts)  # type: ignore[union-attr]
    with pytest.raises(
        ValueError, match=r"mcc, which counts labels do not have; .* loss, deviance"
    ):
        make().fit(module(head=HeadConfig("counts"), monitor="mcc"), source)


def test_it_starts_from_a_pretrained_backbone(pretrained: Path, table: Path, make: Make) -> None:
    net = module(pretrained=str(pretrained))
    make(max_steps=0).fit(net, data(table))
    language_model, _ = checkpoint.load(pretrained)
    for name, value in language_model.backbone.state_dict().items():
        assert torch.equal(net.state_dict()[BACKBONE + name], value), name
    assert net.start.config == SIZES


def test_a_frozen_backbone_stays(pretrained: Path, table: Path, make: Make) -> None:
    net, source = module(TuningConfig(freeze=True), pretrained=str(pretrained)), data(table)
    make(max_steps=0).fit(net, source)
    before = weights(net)
    make(max_steps=3).fit(net, source)
    head = {f"model.head.{name}" for name in ("linear.weight", "linear.bias", "center", "scale")}
    assert moved(before, net) == head


def test_gradual_unfreezing_moves_one_depth_more_each_time(table: Path, make: Make) -> None:
    net = module(TuningConfig(unfreeze_every=2))
    depths: list[set[int]] = []

    class Spy(pl.Callback):
        def on_train_batch_start(self, *_: Any) -> None:
            self.before = weights(net)

        def on_train_batch_end(self, *_: Any) -> None:
            names = moved(self.before, net)
            depths.append({_depth(name) for name in names if name.startswith("model.")})

    make(max_steps=8, callbacks=[Spy()], limit_val_batches=0).fit(net, data(table))
    assert depths == [{3}] * 2 + [{2, 3}] * 2 + [{1, 2, 3}] * 2 + [{0, 1, 2, 3}] * 2


def _depth(name: str) -> int:
    if ".layers." in name:
        return int(name.split(".layers.")[1][0]) + 1
    return 0 if "embedding" in name else 3


def test_deeper_layers_learn_more_slowly(table: Path, make: Make) -> None:
    net = module(TuningConfig(layer_decay=0.5))
    trainer = make(max_steps=1, limit_val_batches=0)
    trainer.fit(net, data(table))
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    peak = {
        names[id(parameter)]: group["initial_lr"]
        for group in trainer.optimizers[0].param_groups
        for parameter in group["params"]
    }
    assert set(peak) == set(names.values())
    for name, rate in peak.items():
        assert math.isclose(rate, 1e-2 * 0.5 ** (3 - _depth(name))), name


@pytest.mark.parametrize("accumulate", [1, 2])
def test_class_weights_make_classes_count_the_same(
    accumulate: int, table: Path, make: Make
) -> None:
    net, source = module(class_weights=True), data(table, "two")
    losses = []

    class Spy(pl.Callback):
        def on_before_backward(self, trainer: Any, pl_module: Any, loss: torch.Tensor) -> None:
            losses.append(float(loss.detach()))

        def on_train_batch_start(self, trainer: Any, m: Any, batch: Any, batch_idx: int) -> None:
            seen.append((deepcopy(net.model), batch))

    seen: list[Any] = []
    make(
        max_steps=1, limit_val_batches=0, callbacks=[Spy()], accumulate_grad_batches=accumulate
    ).fit(net, source)
    weight = source.class_weights
    counts = np.bincount(source.train_targets())
    torch.testing.assert_close(weight, torch.tensor(counts.sum() / (2 * counts)).float())
    twin, batch = seen[0]
    probability = twin(batch["tokens"], batch["lengths"]).detach().sigmoid()[:, 0]
    label = batch["label"]
    chosen = torch.where(label == 1, probability, 1 - probability)
    expected = -(chosen.log() * weight[label]).mean() / accumulate
    assert math.isclose(losses[0], float(expected), rel_tol=1e-5)


@pytest.mark.parametrize("tuning", [TuningConfig(), TuningConfig(freeze=True)])
def test_recomputed_it_is_the_same(tuning: TuningConfig, table: Path, make: Make) -> None:
    trained = {}
    for recompute in ("nothing", "everything"):
        net = module(tuning, recompute=recompute)
        make(max_steps=3, limit_val_batches=0).fit(net, data(table))
        assert net.model.backbone.recompute == recompute
        trained[recompute] = weights(net)
    torch.testing.assert_close(trained["everything"], trained["nothing"])


def test_what_to_recompute_is_checked_first() -> None:
    with pytest.raises(ValueError, match="recompute must be one of nothing, cheap, everything"):
        module(recompute="all")


def test_the_head_s_inputs_are_standardised_once(table: Path, make: Make, tmp_path: Path) -> None:
    net, source = module(), data(table)
    before: list[torch.Tensor] = []

    class Spy(pl.Callback):
        def on_train_batch_start(self, trainer: Any, m: Any, batch: Any, batch_idx: int) -> None:
            if not before:
                with torch.no_grad():
                    parts = source.dataset("train")[np.arange(len(source.dataset("train")))]
                    x = net.model.features(parts["tokens"], parts["lengths"])
                before.append((x - net.model.head.center) * net.model.head.scale)

    trainer = make(max_steps=2, limit_val_batches=0, callbacks=[Spy()])
    trainer.fit(net, source)
    torch.testing.assert_close(before[0].mean(0), torch.zeros(16), atol=1e-4, rtol=0)
    torch.testing.assert_close(before[0].std(0), torch.ones(16), atol=1e-3, rtol=0)
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    center = net.model.head.center.clone()
    make(max_steps=4, limit_val_batches=0).fit(net, source, ckpt_path=tmp_path / "a.ckpt")
    assert torch.equal(net.model.head.center, center)


def test_in_shards_it_is_the_same(table: Path, make: Make) -> None:
    """Of one process; what reads the model has an argument, as PyTorch 2.11 wants on a GPU."""
    one, sharded = module(), module()
    make(max_steps=3, limit_val_batches=0).fit(one, data(table))
    strategy: Any = FullySharded(process_group_backend="gloo")
    for name in strategy.methods:
        assert len(inspect.signature(getattr(one, name)).parameters) > 0, name
    enter = FSDPState._root_pre_forward

    def with_arguments(state: Any, of: Any, args: Any, kwargs: Any) -> Any:
        assert args or kwargs
        return enter(state, of, args, kwargs)

    with (
        patch.dict(os.environ),  # in which Lightning leaves what started processes are told
        patch.object(FSDPState, "_root_pre_forward", with_arguments),
    ):
        try:
            make(max_steps=3, limit_val_batches=0, strategy=strategy).fit(sharded, data(table))
        finally:
            distributed.destroy_process_group()
    assert one.model.head.center.abs().max() > 0
    for name, value in one.state_dict().items():
        torch.testing.assert_close(sharded.state_dict()[name], value)


def test_held_out_metrics_do_not_depend_on_batches(table: Path, make: Make) -> None:
    metrics = []
    for batch in (1, 5, 8, 64):  # 24 samples: the last batch is filled up with empty rows
        net, source = module(), data(table, global_batch_size=batch)
        metrics.append(make().validate(net, source, verbose=False)[0])
    for other in metrics[1:]:
        assert other == pytest.approx(metrics[0], rel=1e-5, abs=1e-7)


def test_both_strands_count_in_evaluation_only(table: Path, make: Make) -> None:
    source = data(table)
    net = module(head=HeadConfig(both_strands=True))
    make(max_steps=0).fit(net, source)
    batch = next(iter(source.test_dataloader()))
    net.train()
    one = net(batch)
    net.eval()
    both = net(batch)
    assert not torch.allclose(one, both)
    turned = dict(batch)
    turned["tokens"] = torch.stack(
        [
            torch.cat([torch.tensor(Tokenizer().reverse_complement(t[:n].numpy()).copy()), t[n:]])
            for t, n in zip(batch["tokens"], batch["lengths"], strict=True)
        ]
    )
    torch.testing.assert_close(net(turned), both)


def test_a_checkpoint_needs_nothing_else(
    pretrained: Path, table: Path, make: Make, tmp_path: Path
) -> None:
    path = tmp_path / "a.ckpt"
    copied = checkpoint.save(tmp_path / "gone", checkpoint.load(pretrained)[0], Tokenizer())
    net = module(pretrained=str(copied), head=HeadConfig(pooling="attention"))
    trainer = make(max_steps=2, limit_val_batches=0)
    trainer.fit(net, data(table))
    trainer.save_checkpoint(path)
    for file in copied.iterdir():
        file.unlink()

    stored = torch.load(path, weights_only=True)["hyper_parameters"]
    assert json.loads(json.dumps(stored)) == stored  # plain JSON types
    assert stored["started_from"] == str(copied)
    again = ClassificationModule.load_from_checkpoint(path, weights_only=True)
    assert again.head == net.head
    assert (again.tuning, again.optimizer) == (net.tuning, net.optimizer)
    for name, value in net.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    model, _ = checkpoint.load(path)
    assert model.settings == net.head  # type: ignore[union-attr]
    assert make().test(again, data(table), verbose=False)


@pytest.mark.parametrize(
    "tuning", [TuningConfig(), TuningConfig(unfreeze_every=2), TuningConfig(lora=LoraSettings())]
)
def test_a_resumed_run_ends_as_the_uninterrupted_one(
    tuning: TuningConfig, table: Path, make: Make, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"head": HeadConfig(dropout=0.2), "tuning": tuning}
    whole = module(**settings)
    make(max_steps=7).fit(whole, data(table))
    half = module(**settings)

    class Stop(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
            if trainer.global_step == 3:
                trainer.save_checkpoint(tmp_path / "half.ckpt")
                trainer.should_stop = True

    make(max_steps=7, callbacks=[Stop()]).fit(half, data(table))
    pl.seed_everything(99, verbose=False)
    resumed = ClassificationModule(model=SIZES, optimizer=OPTIMIZER, **settings)
    make(max_steps=7).fit(resumed, data(table), ckpt_path=tmp_path / "half.ckpt")
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_a_full_disk_leaves_what_the_test_before_left(
    table: Path, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, source = module(), data(table)
    make(max_steps=1).fit(net, source)
    make().test(net, source, verbose=False)
    names = ("predictions.parquet", "test.json", "confusion.png", "roc.png", "pr.png")
    files = [tmp_path / "run" / name for name in names]
    before = [path.read_bytes() for path in files]
    make(max_steps=3).fit(net, source)  # from where it stands
    sync = os.fsync

    def full(descriptor: int) -> None:
        if "/.pr.png." in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"no room to write .*pr\.png"):
            make().test(net, source, verbose=False)
    assert [path.read_bytes() for path in files] == before
    make().test(net, source, verbose=False)
    assert files[0].read_bytes() != before[0]


@pytest.mark.parametrize("label", ["two", "names", "number"])
def test_what_a_test_leaves_behind(label: str, table: Path, make: Make, tmp_path: Path) -> None:
    kind: Any = {"two": "class", "names": "multilabel", "number": "number"}[label]
    net, source = module(), data(table, label, kind)
    make(max_steps=5).fit(net, source)
    run = tmp_path / "run"
    metrics = make().test(net, source, verbose=False)[0]
    import pyarrow.parquet as pq

    rows = pq.read_table(run / "predictions.parquet").to_pylist()
    test = source.dataset("test").records
    with table.open(newline="") as file:
        written = {row["id"]: row[label] for row in csv.DictReader(file)}
    assert [row["id"] for row in rows] == test.ids
    for row in rows:
        label_is = float(written[row["id"]]) if kind == "number" else written[row["id"]]
        assert row["label"] == label_is
    stored = json.loads((run / "test.json").read_text())
    assert stored["samples"] == len(test.ids)
    for name in ("loss", "mse" if kind == "number" else "accuracy"):
        assert math.isclose(stored[name], metrics[f"test/{name}"], rel_tol=1e-5)
    if label == "two":
        hits = sum(row["label"] == row["predicted"] for row in rows)
        assert math.isclose(stored["accuracy"], hits / len(rows))
        for row in rows:
            assert math.isclose(row["probability_no"] + row["probability_yes"], 1, abs_tol=1e-5)
    pictures = {
        "two": {"confusion.png", "roc.png", "pr.png"},
        "names": {"roc.png", "pr.png"},
        "number": {"scatter.png"},
    }
    assert {path.name for path in run.glob("*.png")} == pictures[label]
    for picture in run.glob("*.png"):
        assert picture.read_bytes().startswith(b"\x89PNG")


def test_predict_gives_probabilities(table: Path, make: Make) -> None:
    net, source = module(), data(table)
    make(max_steps=2).fit(net, source)
    batches = make().predict(net, source)
    assert batches is not None
    index = torch.cat([b["index"] for b in batches])
    assert index[index >= 0].tolist() == list(range(121))
    total = sum(batches[0][name] for name in ("at", "gc", "purine"))
    torch.testing.assert_close(total, torch.ones(8))


def test_settings_that_do_not_fit_are_named(pretrained: Path, table: Path, make: Make) -> None:
    for options, message in (
        ({}, r"either model\.pretrained.* or model\.model.*got neither"),
        ({"model": SIZES, "pretrained": str(pretrained)}, "got both"),
        ({"model": SIZES, "tokenizer": Tokenizer("byte")}, "byte tokenizer has 256 ids"),
        ({"pretrained": str(pretrained), "tokenizer": Tokenizer("byte")}, r"model\.tokenizer is"),
        ({"pretrained": str(table)}, "no training checkpoint"),
        ({"model": SIZES, "monitor": "f2"}, r"model\.monitor must be one of loss, accuracy"),
    ):
        with pytest.raises(ValueError, match=message):
            ClassificationModule(**options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"data\.tokenizer is .*error.*set data\.tokenizer"):
        make().fit(module(), data(table, tokenizer=Tokenizer(iupac="error")))
    with pytest.raises(ValueError, match=r"regression labels .*data\.labels\.kind is class"):
        make().fit(module(head=HeadConfig(kind="regression")), data(table))
    with pytest.raises(ValueError, match="the head is for binary labels b, a"):
        make().fit(module(head=HeadConfig(kind="binary", labels=("b", "a"))), data(table, "two"))


def test_weights_of_another_head_are_refused_by_name(
    table: Path, make: Make, tmp_path: Path
) -> None:
    trainer = make(max_steps=1, limit_val_batches=0)
    trainer.fit(module(), data(table))
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    other = module(head=HeadConfig(pooling="max"))
    with pytest.raises(ValueError, match=r"head\.pooling is 'max' here and 'mean' in the check"):
        make().fit(other, data(table), ckpt_path=tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match=r"head\.labels is \['no', 'yes'\] here"):
        make().fit(module(), data(table, "two"), ckpt_path=tmp_path / "a.ckpt")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"freeze": True, "lora": LoraSettings()}, "tuning.freeze and tuning.lora exclude"),
        ({"unfreeze_every": 0}, "unfreeze_every must be at least 1"),
        ({"layer_decay": 0.0}, r"layer_decay must be in \(0, 1\]"),
        ({"lora": {"rank": 0}}, "rank must be at least 1"),
        ({"lora": {"alpha": 0}}, "alpha must be positive"),
        ({"lora": {"dropout": 1.0}}, "dropout must be in"),
    ],
)
def test_ways_of_tuning_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TuningConfig(**options)
