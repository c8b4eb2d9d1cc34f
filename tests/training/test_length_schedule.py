"""Windows that become longer: a resumed run is the run, and the log says where it was."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from dnamamba.alphabet import Tokenizer
from dnamamba.config import BackboneConfig, BiMambaConfig, MambaConfig
from dnamamba.data import GenomeSplit, Part
from dnamamba.data.modules import GenomeDataModule
from dnamamba.training import captured
from dnamamba.training.callbacks.memory_forecast import MemoryForecast
from dnamamba.training.captured import CapturedStep
from dnamamba.training.lanes import LaneStates, Share, joined
from dnamamba.training.metrics_file import MetricsFile
from dnamamba.training.optim import OptimizerConfig
from dnamamba.training.pretrain import PretrainModule

Make = Callable[..., pl.Trainer]
STEPS = 8
SCHEDULE = [(0, 64), (3, 128), (5, 256)]
SIZES = {"d_model": 8, "n_layers": 1, "d_state": 2}
CONFIGS: dict[str, BackboneConfig] = {
    "windows": MambaConfig(**SIZES),
    "packed": BiMambaConfig(**SIZES),
    "lanes": MambaConfig(**SIZES),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    draw = np.random.default_rng(0)
    sizes = {"a": 3400, "b": 700, "c": 640, "held": 1500}
    text = "".join(
        f">{name}\n{''.join(draw.choice(list('ACGT'), n, p=[0.4, 0.3, 0.2, 0.1]))}\n"
        for name, n in sizes.items()
    )
    file = tmp_path_factory.mktemp("schedule") / "g.fa"
    file.write_text(text)
    return str(file)


def data(path: str, rows: str = "windows", **options: Any) -> GenomeDataModule:
    split = GenomeSplit(validation=Part(contigs=("held",)), guard=0)
    defaults = {"length": 256, "global_batch_size": 2, "split": split, "seed": 3}
    return GenomeDataModule(
        path, **{**defaults, "rows": rows, "length_schedule": SCHEDULE, **options}
    )


def module(rows: str = "windows") -> PretrainModule:
    pl.seed_everything(5, verbose=False)
    optimizer = OptimizerConfig(lr=0.02, warmup_steps=0, min_lr_ratio=1.0)
    net = PretrainModule(CONFIGS[rows], Tokenizer(), optimizer)
    with torch.no_grad():
        net.model.backbone.embedding.weight.normal_()  # with opinions: a state that is lost shows
    return net


class Watcher(pl.Callback):
    """Sees every training batch, and where told to, saves behind every step or breaks one off."""

    def __init__(self, folder: Path | None = None, break_at: int | None = None) -> None:
        self.folder, self.break_at = folder, break_at
        self.shapes: list[tuple[int, ...]] = []
        self.losses: list[torch.Tensor] = []

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, *_: Any) -> None:
        self.shapes.append(tuple(batch["tokens"].shape))
        if len(self.shapes) - 1 == self.break_at:
            raise KeyError("on purpose")

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, *_: Any) -> None:
        self.losses.append(outputs["loss"].detach())
        if self.folder is not None:
            trainer.save_checkpoint(self.folder / f"{len(self.shapes)}.ckpt")


def same_weights(one: PretrainModule, other: PretrainModule) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    ("rows", "accumulated"), [("windows", 1), ("packed", 1), ("lanes", 1), ("lanes", 2)]
)
def test_a_resumed_run_is_the_run(
    path: str, quiet_trainer: Make, tmp_path: Path, rows: str, accumulated: int
) -> None:
    """Bit for bit: from before and at each border, behind it, and from the middle of a step."""
    options: dict[str, Any] = {
        "max_steps": STEPS, "accumulate_grad_batches": accumulated, "limit_val_batches": 2,
        "val_check_interval": 4,
    }  # fmt: skip
    whole, watcher = module(rows), Watcher(tmp_path)
    quiet_trainer(**options, callbacks=[watcher]).fit(whole, data(path, rows))
    expected = [(8, 64)] * 3 + [(4, 128)] * 2 + [(2, 256)] * 3
    each = [(n // accumulated, length) for n, length in expected for _ in range(accumulated)]
    assert watcher.shapes == each
    stops = (2, 3, 4, 5, 7) if accumulated == 1 else (5, 6, 7, 9, 10)
    for batch in stops:
        resumed, again = module(rows), Watcher()
        quiet_trainer(**options, callbacks=[again]).fit(
            resumed, data(path, rows), ckpt_path=tmp_path / f"{batch}.ckpt"
        )
        assert again.shapes == each[batch // accumulated * accumulated :]
        assert same_weights(whole, resumed), batch


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_a_resume_may_accumulate_otherwise(
    path: str, quiet_trainer: Make, tmp_path: Path, before: int, after: int
) -> None:
    options: dict[str, Any] = {"max_steps": STEPS, "limit_val_batches": 0}
    whole, resumed = module("lanes"), module("lanes")
    quiet_trainer(**options).fit(whole, data(path, "lanes"))
    first = {**options, "accumulate_grad_batches": before, "max_steps": 6}
    quiet_trainer(**first, callbacks=[Watcher(tmp_path)]).fit(module("lanes"), data(path, "lanes"))
    second = {**options, "accumulate_grad_batches": after}
    saved = tmp_path / f"{4 * before}.ckpt"
    quiet_trainer(**second).fit(resumed, data(path, "lanes"), ckpt_path=saved)
    for ours, theirs in zip(whole.parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_epochs_end_as_in_a_run_of_one_length(path: str, quiet_trainer: Make) -> None:
    """Borders fall where they do; the schedule of the learning rate ends with the run."""
    ends = []
    for schedule in (SCHEDULE, None):
        trainer = quiet_trainer(max_steps=-1, max_epochs=2, limit_val_batches=0)
        net = module()
        trainer.fit(net, data(path, length_schedule=schedule))
        ends.append((trainer.global_step, trainer.estimated_stepping_batches))
    assert ends == [(20, 20)] * 2


def test_lanes_begin_a_stage_with_nothing(path: str, quiet_trainer: Make) -> None:
    """What the stage before has left in them changes nothing; within a stage it does."""
    losses = []
    for forgets in (False, True):
        pl.seed_everything(5, verbose=False)
        net, watcher = module("lanes"), Watcher()
        net.optimizer = OptimizerConfig(lr=1e-30, warmup_steps=0)
        if forgets:

            class Forgetful(Watcher):
                def on_train_batch_start(self, trainer: Any, module: Any, *rest: Any) -> None:
                    super().on_train_batch_start(trainer, module, *rest)
                    module.lane_states = LaneStates(module.model.backbone)

            watcher = Forgetful()
        quiet_trainer(max_steps=STEPS, limit_val_batches=0, callbacks=[watcher]).fit(
            net, data(path, "lanes")
        )
        losses.append(torch.stack(watcher.losses))
    same = (losses[0] == losses[1]).nonzero().flatten().tolist()
    assert same == [0, 3, 5]


def test_other_lanes_have_no_state_of_before() -> None:
    """Two processes: the lanes of one were another's in the stage before."""
    backbone, shares = module("lanes").model.backbone, [Share(rank, 2, 1) for rank in range(2)]
    states = [LaneStates(backbone) for _ in shares]

    def filled(rows: int) -> bool:
        some = False
        for state, share in zip(states, shares, strict=True):
            lane = share.lanes(rows)
            batch = state.enter({"lane": lane}, share)
            some |= any(bool(x.any()) for name, x in batch.items() if name != "lane")
            state.leave(batch, share, [torch.ones_like(x) for x in list(batch.values())[1:]])
        return some

    assert not filled(4)
    assert filled(4)
    assert not filled(2)
    assert filled(2)
    saved = joined([state.saved() for state in states])
    for rows, kept in ((2, True), (1, False)):
        for state in states:
            state.restore(saved)
        assert filled(rows) == kept


def test_the_log_says_the_length(path: str, quiet_trainer: Make, tmp_path: Path) -> None:
    options: dict[str, Any] = {"max_steps": STEPS, "val_check_interval": 4, "log_every_n_steps": 1}
    trainer = quiet_trainer(**options, logger=MetricsFile(tmp_path))
    trainer.fit(module(), data(path))
    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    column = lines[0].split(",").index("train/length")
    values = [line.split(",")[column] for line in lines[1:]]
    assert values == ["64"] * 3 + ["128", "", "128"] + ["256"] * 3 + [""]
    assert trainer.progress_bar_metrics["train/length"] == 256
    quiet_trainer(**options, logger=MetricsFile(tmp_path / "plain")).fit(
        module(), data(path, length_schedule=None)
    )
    assert "length" not in (tmp_path / "plain" / "metrics.csv").read_text()


@pytest.mark.parametrize("schedule", [[(0, 64), (2, 256)], [(0, 512), (2, 64), (3, 256)]])
def test_the_forecast_is_of_the_stage_that_needs_most(
    path: str, quiet_trainer: Make, capsys: pytest.CaptureFixture[str], schedule: Any
) -> None:
    """And batches are accumulated only where every stage can be."""
    options: dict[str, Any] = {"global_batch_size": 4, "length_schedule": schedule}
    source, forecast = data(path, **options), MemoryForecast()
    quiet_trainer(max_steps=4, limit_val_batches=0, callbacks=[forecast]).fit(module(), source)
    needs = {}
    for _, length in schedule:
        alone = MemoryForecast()
        sizes = {"length": length, "global_batch_size": 1024 // length, "length_schedule": None}
        quiet_trainer(max_steps=1, limit_val_batches=0, callbacks=[alone]).fit(
            module(), data(path, **sizes)
        )
        assert alone._forecast is not None
        needs[length] = alone._forecast.of(alone._forecast.step).total  # type: ignore[union-attr]
    assert forecast._forecast is not None
    step = forecast._forecast.step
    assert forecast._forecast.of(step).total == max(needs.values())  # type: ignore[union-attr]
    fewest = min(1024 // length for _, length in schedule)
    assert step.samples == fewest
    assert step.reading.rows * step.length == 1024
    assert f"({step.reading.rows} x {step.length} bases, nothing" in capsys.readouterr().err
    accumulated = forecast._forecast._accumulated(step, 1e12)[0].accumulated
    assert fewest % accumulated == 0
    assert forecast._forecast.length_setting == "data.length and the last of data.length_schedule"


@pytest.mark.parametrize("rows", ["windows", "lanes"])
def test_a_captured_step_sees_another_shape(
    path: str, quiet_trainer: Make, monkeypatch: pytest.MonkeyPatch, rows: str
) -> None:
    """Here launch by launch: as without capture."""
    seen: list[Any] = []
    monkeypatch.setattr(CapturedStep, "_capture", lambda self, key, *_: seen.append(key[0]))
    monkeypatch.setattr(captured, "_SEEN", 1)
    trained = []
    for small in (False, True):
        monkeypatch.setattr(CapturedStep, "_is_small", lambda self, batch, is_small=small: is_small)
        net = module(rows)
        quiet_trainer(max_steps=STEPS, limit_val_batches=0).fit(net, data(path, rows))
        trained.append(net)
    shapes = [{name: tuple(shape) for name, shape, _ in key}["tokens"] for key in seen]
    assert shapes == [(8, 64), (4, 128), (2, 256)]
    for ours, theirs in zip(trained[0].parameters(), trained[1].parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.parametrize("rows", ["windows", "lanes"])
def test_on_a_gpu_every_stage_has_a_graph(
    path: str, quiet_trainer: Make, monkeypatch: pytest.MonkeyPatch, rows: str
) -> None:
    """Whenever it is captured: the same bits."""
    trained = []
    for seen in (1, 2, 100):
        monkeypatch.setattr(captured, "_SEEN", seen)
        net = module(rows)
        schedule = [(0, 64), (4, 128), (8, 256)]
        quiet_trainer(
            accelerator="gpu", precision="bf16-mixed", max_steps=12, gradient_clip_val=1.0,
            limit_val_batches=2, val_check_interval=4,
        ).fit(net, data(path, rows, length_schedule=schedule))  # fmt: skip
        trained.append(net.cpu())
    assert same_weights(trained[0], trained[1])
    assert same_weights(trained[0], trained[2])
