"""The module's loss, logs and hyper-parameters."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.nn import functional as F
from weighted import Weighted

from dnamamba import checkpoint
from dnamamba.alphabet import BOS, PAD, Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.training.objectives import Example, NextBase
from dnamamba.training.optim import OptimizerConfig
from dnamamba.training.pretrain import PretrainModule
from dnamamba.training.sequence_metrics import token_losses

CONFIG = MambaConfig(d_model=8, n_layers=2, d_state=4)
OPTIMIZER = OptimizerConfig(lr=1e-2, warmup_steps=2)

Make = Callable[..., pl.Trainer]


def module(**options: Any) -> PretrainModule:
    pl.seed_everything(5, verbose=False)
    return PretrainModule(CONFIG, Tokenizer(), OPTIMIZER, **options)


def example(batch: dict[str, torch.Tensor]) -> Example:
    return NextBase().example(batch, Tokenizer())


class Recorder(pl.loggers.Logger):
    """Keeps what is logged, step by step."""

    name = version = "recorder"

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        assert step is not None
        self.rows.append((step, dict(metrics)))

    def log_hyperparams(self, *_: Any, **__: Any) -> None: ...


def test_the_loss_is_weighted_cross_entropy(toy_data: type, quiet_trainer: Make) -> None:
    """One step's gradient equals that of the formula, written out."""

    def change(i: int, sample: dict[str, torch.Tensor]) -> None:
        sample["loss_weight"] = torch.linspace(0, i, 12)

    data = toy_data(count=4, change=change)
    net = module(objective=Weighted())
    batch = next(iter(data.train_dataloader()))
    bases = batch["tokens"].long()
    before = torch.cat([torch.full((4, 1), BOS), bases[:, :-1]], 1)
    logits = net.model(before)[0].double()
    losses = F.cross_entropy(logits.transpose(1, 2), bases, reduction="none")
    expected = (losses * batch["loss_weight"]).sum() / batch["loss_weight"].sum()
    gradient = torch.autograd.grad(expected, net.model.backbone.embedding.weight)[0]

    seen: dict[str, torch.Tensor] = {}

    class Spy(pl.Callback):
        def on_before_backward(self, trainer: Any, pl_module: Any, loss: torch.Tensor) -> None:
            seen["loss"] = loss.detach().clone()

        def on_before_optimizer_step(self, *_: Any) -> None:
            grad = net.model.backbone.embedding.weight.grad
            assert grad is not None
            seen["gradient"] = grad.clone()

    quiet_trainer(max_steps=1, callbacks=[Spy()], limit_val_batches=0).fit(net, data)
    torch.testing.assert_close(seen["loss"].double(), expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(seen["gradient"], gradient.float(), rtol=1e-4, atol=1e-7)


def test_a_window_without_a_scored_base_contributes_nothing(
    toy_data: type, quiet_trainer: Make
) -> None:
    def unscored(i: int, sample: dict[str, torch.Tensor]) -> None:
        if i >= 4:
            sample["loss_weight"].zero_()

    alone, beside = (module(objective=Weighted()) for _ in range(2))
    quiet_trainer(max_steps=1, limit_val_batches=0).fit(alone, toy_data(4, change=unscored))
    quiet_trainer(max_steps=1, limit_val_batches=0).fit(
        beside, toy_data(8, batch_size=8, change=unscored)
    )
    for ours, theirs in zip(alone.parameters(), beside.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)

    # A batch of nothing else: no NaN, and no gradient either.
    only = toy_data(8, change=unscored)
    only.windows.change = lambda i, sample: sample["loss_weight"].zero_()
    loss = {}

    class Spy(pl.Callback):
        def on_before_backward(self, trainer: Any, pl_module: Any, loss_: torch.Tensor) -> None:
            loss["value"] = float(loss_.detach())

        def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
            assert all(not p.grad.any() for p in pl_module.parameters() if p.grad is not None)

    quiet_trainer(max_steps=1, limit_val_batches=0, callbacks=[Spy()]).fit(
        module(objective=Weighted()), only
    )
    assert loss["value"] == 0


def test_resets_reach_the_model(toy_data: type, quiet_trainer: Make) -> None:
    def packed(i: int, sample: dict[str, torch.Tensor]) -> None:
        sample["resets"] = torch.arange(12) == 3

    net = module()
    seen: dict[str, Any] = {}
    net.model.register_forward_pre_hook(
        lambda _, args, kwargs: seen.update(kwargs, tokens=args[0]), with_kwargs=True
    )
    quiet_trainer(max_steps=1, limit_val_batches=0).fit(net, toy_data(4, change=packed))
    assert seen["resets"].sum(1).tolist() == [1] * 4
    assert seen["tokens"][:, 3].tolist() == [BOS] * 4


def test_padding_changes_no_loss() -> None:
    net, lengths = module(), torch.tensor([12, 7, 1])
    tokens = torch.randint(4, 8, (3, 12))
    real = torch.arange(12) < lengths[:, None]
    batch = {"tokens": tokens.where(real, PAD), "lengths": lengths}
    padded = example(batch)
    assert torch.equal(padded.weight, real.float())
    with torch.no_grad():
        losses = net._losses(padded)[0]
        logits, _ = net.model(padded.tokens, lengths=lengths)
        for row, length in enumerate(lengths):
            alone = example({"tokens": tokens[row : row + 1, :length]})
            torch.testing.assert_close(losses[row, :length], net._losses(alone)[0][0])
    expected = token_losses(logits, tokens) * padded.weight
    torch.testing.assert_close(losses * padded.weight, expected)


def test_what_is_logged_and_when(toy_data: type, quiet_trainer: Make) -> None:
    recorder = Recorder()
    trainer = quiet_trainer(
        max_steps=8,
        logger=recorder,
        log_every_n_steps=2,
        val_check_interval=4,
        accumulate_grad_batches=2,
    )
    net = module()
    trainer.fit(net, toy_data(64))
    train = [(step, row) for step, row in recorder.rows if "train/loss" in row]
    assert [step for step, _ in train] == [2, 4, 6, 8]
    held_out = [(step, row) for step, row in recorder.rows if "validation/loss" in row]
    assert [step for step, _ in held_out] == [2, 4, 6, 8]
    assert set(train[0][1]) == {
        "epoch",
        "train/loss",
        "train/perplexity",
        "train/bits_per_base",
        "train/accuracy",
        "train/lr",
        "train/bases_per_second",
    }
    assert train[0][1]["train/bases_per_second"] > 0
    assert math.isclose(
        trainer.callback_metrics["validation/loss"],
        held_out[-1][1]["validation/loss"],
        rel_tol=1e-6,
    )
    # The last validation saw the final weights: its metric is that of one pass by hand.
    with torch.no_grad():
        losses = [
            F.cross_entropy(net.model(b.tokens)[0].transpose(1, 2), b.targets.long())
            for b in map(example, toy_data(64).val_dataloader())
        ]
    assert math.isclose(
        float(torch.stack(losses).mean()), held_out[-1][1]["validation/loss"], rel_tol=1e-5
    )


def test_checkpoint_round_trip(toy_data: type, quiet_trainer: Make, tmp_path: Path) -> None:
    net = module()
    trainer = quiet_trainer(max_steps=2, limit_val_batches=0)
    trainer.fit(net, toy_data())
    path = tmp_path / "a.ckpt"
    trainer.save_checkpoint(path)

    stored = torch.load(path, weights_only=True)["hyper_parameters"]
    assert json.loads(json.dumps(stored)) == stored  # plain JSON types
    assert stored["model"]["d_model"] == 8
    assert stored["tokenizer"] == {"name": "nucleotide", "iupac": "accept", "uracil": "accept"}

    again = PretrainModule.load_from_checkpoint(path)
    assert again.model.config == CONFIG
    assert again.optimizer == OPTIMIZER
    assert again.tokenizer == Tokenizer()
    for name, value in net.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name

    model, tokenizer = checkpoint.load(path)
    assert torch.equal(model.backbone.embedding.weight, net.model.backbone.embedding.weight)
    assert tokenizer == Tokenizer()


def test_another_model_is_refused_by_name(
    toy_data: type, quiet_trainer: Make, tmp_path: Path
) -> None:
    trainer = quiet_trainer(max_steps=1, limit_val_batches=0)
    trainer.fit(module(), toy_data())
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    other = PretrainModule(MambaConfig(d_model=16, n_layers=2, d_state=4), Tokenizer(iupac="error"))
    with pytest.raises(ValueError, match=r"model\.d_model is 16 here and 8 in .*tokenizer\.iupac"):
        quiet_trainer().fit(other, toy_data(), ckpt_path=tmp_path / "a.ckpt")


def test_vocabulary_must_fit() -> None:
    with pytest.raises(
        ValueError, match=r"model\.vocab_size is 16, but the byte tokenizer has 256"
    ):
        PretrainModule(CONFIG, Tokenizer("byte"))


@pytest.mark.parametrize("precision", ["bf16-mixed", "32-true"])
def test_it_learns_a_repeat(precision: Any, toy_data: type, quiet_trainer: Make) -> None:
    def repeat(i: int, sample: dict[str, torch.Tensor]) -> None:
        sample["tokens"] = torch.tensor([4, 5, 6, 7] * 3, dtype=torch.uint8)

    trainer = quiet_trainer(max_steps=60, log_every_n_steps=20, precision=precision)
    trainer.fit(module(), toy_data(64, change=repeat))
    assert trainer.callback_metrics["validation/bits_per_base"] < 1


@pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")
def test_compile_renames_nothing() -> None:
    plain, compiled = module(), module(compile=True)
    assert list(compiled.state_dict()) == list(plain.state_dict())
    assert compiled.model._compiled_call_impl is not None
    assert compiled.hparams["compile"] is True


def test_predict_gives_bits_of_each_window(toy_data: type, quiet_trainer: Make) -> None:
    net = module()
    batches = quiet_trainer().predict(net, toy_data(8))
    assert batches is not None
    assert torch.cat([b["index"] for b in batches]).tolist() == list(range(8))
    batch = example(next(iter(toy_data(8).train_dataloader())))
    with torch.no_grad():
        logits = net.model(batch.tokens)[0].transpose(1, 2)
    losses = F.cross_entropy(logits, batch.targets.long(), reduction="none")
    torch.testing.assert_close(batches[0]["bits_per_base"], losses.mean(1) / math.log(2))
