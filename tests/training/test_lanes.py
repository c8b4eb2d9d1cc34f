"""Lanes: the state goes on from step to step, from checkpoint to checkpoint, and no further."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from raw_batches import marks
from torch import Tensor
from torch.nn import functional as F

from dnamamba.alphabet import BOS, Tokenizer
from dnamamba.config import BiMambaConfig, MambaConfig
from dnamamba.data import GenomeSplit, Part
from dnamamba.data.modules import GenomeDataModule
from dnamamba.training import captured
from dnamamba.training.captured import CapturedStep
from dnamamba.training.lanes import LaneStates, Share, joined
from dnamamba.training.optim import OptimizerConfig
from dnamamba.training.pretrain import PretrainModule

LENGTH, LANES = 64, 4
CONFIG = MambaConfig(d_model=8, n_layers=2, d_state=4)
Make = Callable[..., pl.Trainer]
Batch = dict[str, Tensor]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    draw = np.random.default_rng(0)
    sizes = {"a": 1100, "b": 37, "c": 700, "held": 2500, "out": 90}
    text = "".join(
        f">{name}\n{''.join(draw.choice(list('ACGT'), n, p=[0.4, 0.3, 0.2, 0.1]))}\n"
        for name, n in sizes.items()
    )
    file = tmp_path_factory.mktemp("lanes") / "g.fa"
    file.write_text(text)
    return str(file)


def data(path: str, **options: Any) -> GenomeDataModule:
    split = GenomeSplit(validation=Part(contigs=("held", "out")), guard=0)
    defaults = {"length": LENGTH, "global_batch_size": LANES, "split": split, "rows": "lanes"}
    return GenomeDataModule([path], **{**defaults, **options})


def module(lr: float = 0.02, **options: Any) -> PretrainModule:
    pl.seed_everything(5, verbose=False)
    optimizer = OptimizerConfig(lr=lr, warmup_steps=0, min_lr_ratio=1.0, weight_decay=0.0)
    net = PretrainModule(options.pop("config", CONFIG), Tokenizer(), optimizer, **options)
    with torch.no_grad():
        net.model.backbone.embedding.weight.normal_()  # with opinions: a state that is lost shows
    return net


class Losses(pl.Callback):
    """Of every training batch."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *_: Any) -> None:
        self.seen.append(outputs["loss"].detach())


class Saver(pl.Callback):
    """Saves behind every batch, or in the middle of one."""

    def __init__(self, folder: Path, at: int | None = None) -> None:
        self.folder, self.at, self.batches = folder, at, 0

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.batches += 1
        if self.at is None:
            trainer.save_checkpoint(self.folder / f"{trainer.global_step}.ckpt")

    def on_before_backward(self, trainer: pl.Trainer, *_: Any) -> None:
        if self.at == self.batches:
            raise KeyError("on purpose")

    def on_exception(self, trainer: pl.Trainer, *_: Any) -> None:
        trainer.save_checkpoint(self.folder / "exception.ckpt")


def uncut(batches: list[Batch]) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, bases and resets (lanes, windows * L) of lanes, read in one go."""
    tokens = torch.cat([batch["tokens"] for batch in batches], 1).long()
    resets = torch.cat([marks(batch) for batch in batches], 1)
    inputs = F.pad(tokens[:, :-1], (1, 0), value=BOS).masked_fill(resets, BOS)
    return inputs, tokens, resets


def losses_of(net: PretrainModule, batches: list[Batch]) -> Tensor:
    """(lanes, windows * L) of whole lanes."""
    inputs, tokens, resets = uncut(batches)
    with torch.no_grad():
        logits = net.model(inputs, resets=resets)[0]
    return F.cross_entropy(logits.transpose(1, 2), tokens, reduction="none")


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("way", ["autograd", "captured"])
def test_windows_of_lanes_lose_what_whole_lanes_lose(
    path: str, quiet_trainer: Make, monkeypatch: pytest.MonkeyPatch, accumulate: int, way: str
) -> None:
    """Over the end of an epoch, too; a learning rate of almost 0 leaves the model as it is."""
    monkeypatch.setattr(CapturedStep, "_is_small", lambda self, batch: way == "captured")
    monkeypatch.setattr(CapturedStep, "_capture", lambda *_: None)
    net, seen = module(lr=1e-30), Losses()
    quiet_trainer(
        max_steps=12, callbacks=[seen], limit_val_batches=0, accumulate_grad_batches=accumulate
    ).fit(net, data(path))
    dataset = data(path).dataset("train")
    batches = [dataset[np.arange(LANES * step, LANES * (step + 1))] for step in range(12)]
    assert sum(int(marks(batch).sum()) for batch in batches) > 2 * LANES
    whole = losses_of(net, batches).view(LANES, 12, LENGTH).mean(-1)
    expected = whole.view(accumulate, LANES // accumulate, 12).mean(1).T.flatten()
    torch.testing.assert_close(torch.stack(seen.seen) * accumulate, expected)
    from_nothing = torch.stack([losses_of(net, [batch]).mean() for batch in batches[1:7]])
    assert (from_nothing - whole.mean(0)[1:7]).abs().max() > 0.01


def test_no_gradient_flows_into_the_step_before(path: str, quiet_trainer: Make) -> None:
    net, by_hand = module(), module()
    quiet_trainer(max_steps=3, limit_val_batches=0, gradient_clip_val=None).fit(net, data(path))
    optimizer = torch.optim.AdamW(by_hand.model.parameters(), lr=0.02, weight_decay=0.0,
                                  betas=net.optimizer.betas, eps=net.optimizer.eps)  # fmt: skip
    dataset, state = data(path).dataset("train"), None
    for step in range(3):
        batch = dataset[np.arange(LANES * step, LANES * (step + 1))]
        inputs = torch.cat([batch["before"][:, None], batch["tokens"][:, :-1]], 1)
        inputs = inputs.masked_fill(marks(batch), BOS)
        logits, state = by_hand.model(inputs, state, marks(batch))
        loss = F.cross_entropy(logits.transpose(1, 2), batch["tokens"].long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        state = state.detach()
    for ours, theirs in zip(net.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def same_weights(one: PretrainModule, other: PretrainModule) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("validated", [False, True])
def test_a_resumed_run_is_the_run(
    path: str, quiet_trainer: Make, tmp_path: Path, validated: bool
) -> None:
    options: dict[str, Any] = {"max_steps": 9, "limit_val_batches": 0}
    if validated:
        options |= {"limit_val_batches": 3, "val_check_interval": 3}
    whole = module()
    quiet_trainer(**options, callbacks=[Saver(tmp_path)]).fit(whole, data(path))
    for step in (1, 3, 6, 8):
        saved = torch.load(tmp_path / f"{step}.ckpt", weights_only=True)["lanes"]
        assert saved[0]["lane"].tolist() == [0, 1, 2, 3]
        resumed = module()
        quiet_trainer(**options).fit(resumed, data(path), ckpt_path=tmp_path / f"{step}.ckpt")
        assert same_weights(whole, resumed), step


@pytest.mark.parametrize("at", [4, 5, 6, 7])
def test_a_step_that_is_broken_off_begins_again(
    path: str, quiet_trainer: Make, tmp_path: Path, at: int
) -> None:
    """Each of its batches from the state that its lanes had before the step."""
    options: dict[str, Any] = {
        "max_steps": 6, "limit_val_batches": 0, "accumulate_grad_batches": 2
    }  # fmt: skip
    whole, resumed = module(), module()
    quiet_trainer(**options).fit(whole, data(path))
    with pytest.raises(KeyError, match="on purpose"):
        quiet_trainer(**options, callbacks=[Saver(tmp_path, at)]).fit(module(), data(path))
    quiet_trainer(**options).fit(resumed, data(path), ckpt_path=tmp_path / "exception.ckpt")
    assert same_weights(whole, resumed)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 4), (4, 1)])
def test_lanes_are_dealt_out_anew(
    path: str, quiet_trainer: Make, tmp_path: Path, before: int, after: int
) -> None:
    options: dict[str, Any] = {"max_steps": 6, "limit_val_batches": 0}
    whole, resumed = module(), module()
    quiet_trainer(**options).fit(whole, data(path))
    first = {**options, "accumulate_grad_batches": before, "max_steps": 3}
    quiet_trainer(**first, callbacks=[Saver(tmp_path)]).fit(module(), data(path))
    second = {**options, "accumulate_grad_batches": after}
    quiet_trainer(**second).fit(resumed, data(path), ckpt_path=tmp_path / "3.ckpt")
    for ours, theirs in zip(whole.parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_a_validation_carries_states_of_its_own(path: str, quiet_trainer: Make) -> None:
    """From nothing each time, and alike however many lanes are read side by side."""
    net, batches = module(lr=1e-30), list(data(path).val_dataloader())
    losses = losses_of(net, batches)
    real = torch.cat([torch.arange(LENGTH) < b["lengths"][:, None] for b in batches], 1)
    assert len(batches[0]["tokens"]) == 2
    assert real.sum() == 2590
    expected = (losses * real).sum() / real.sum()
    for accumulate in (1, 4):
        trainer = quiet_trainer(
            max_steps=4, val_check_interval=2 * accumulate, accumulate_grad_batches=accumulate
        )
        trainer.fit(net, data(path))
        torch.testing.assert_close(trainer.callback_metrics["validation/loss"], expected)
        (said,) = quiet_trainer().validate(net, data(path), verbose=False)
        torch.testing.assert_close(torch.tensor(said["validation/loss"]), expected)


def test_each_process_keeps_its_lanes() -> None:
    """Two processes and two batches a step: eight lanes, saved and given to one process."""
    backbone, share = module().model.backbone, [Share(rank, 2, 2) for rank in range(2)]
    assert share[1].lanes(2).tolist() == [2, 3, 6, 7]
    states = [LaneStates(backbone) for _ in share]
    for rank in range(2):
        for lanes in share[rank].lanes(2).view(2, 2):
            batch = states[rank].enter({"lane": lanes}, share[rank])
            assert all(not x.any() for name, x in batch.items() if name != "lane")
            after = [x + lanes.view(1, 2, 1, 1) for x in list(batch.values())[1:]]
            states[rank].leave(batch, share[rank], after)
    whole = LaneStates(backbone)
    whole.restore(joined([state.saved() for state in states]))
    batch = whole.enter({"lane": torch.arange(8)}, Share(0, 1, 1))
    assert batch["state.1"][1, :, 0, 0].tolist() == list(range(8))
    part = LaneStates(backbone)
    part.restore(states[0].saved())
    with pytest.warns(UserWarning, match=r"no state of 4 lane\(s\)"):
        batch = part.enter({"lane": torch.arange(8)}, Share(0, 1, 1))
    assert batch["state.0"][0, :, 0, 0].tolist() == [0, 1, 0, 0, 4, 5, 0, 0]


def test_a_model_without_a_state_is_refused_before_any_work(quiet_trainer: Make) -> None:
    net = module(config=BiMambaConfig(d_model=8, n_layers=1, d_state=2))
    with pytest.raises(ValueError, match=r"BiMamba reads every row whole.*set data\.rows=packed"):
        quiet_trainer().fit(net, data("there is no such file"))


@pytest.mark.gpu
def test_on_a_gpu_a_graph_takes_the_states_in_and_gives_them_out(
    path: str, quiet_trainer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever it is captured: so a run may be resumed anywhere."""
    trained = []
    for seen in (1, 4, 100):
        monkeypatch.setattr(captured, "_SEEN", seen)
        net = module()
        quiet_trainer(
            accelerator="gpu", precision="bf16-mixed", max_steps=8, accumulate_grad_batches=2,
            gradient_clip_val=1.0, limit_val_batches=2, val_check_interval=4,
        ).fit(net, data(path))  # fmt: skip
        trained.append(net.cpu())
    assert same_weights(trained[0], trained[1])
    assert same_weights(trained[0], trained[2])
