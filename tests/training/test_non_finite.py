"""NaN and infinity stop the run before they cost anything."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.precision import MixedPrecision
from weighted import Weighted

from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.training.callbacks import LastCheckpoint, NonFiniteError
from dnamamba.training.optim import OptimizerConfig
from dnamamba.training.pretrain import PretrainModule

Make = Callable[..., pl.Trainer]
CONFIG = MambaConfig(d_model=8, n_layers=1, d_state=2)


class Fused(PretrainModule):
    """With the optimiser of a GPU, which leaves a bad step out by itself and is not waited for."""

    def configure_optimizers(self) -> Any:
        made: Any = super().configure_optimizers()
        for group in made["optimizer"].param_groups:
            group["fused"] = True
        return made


def module(lr: float = 1e-3, fused: bool = False) -> PretrainModule:
    pl.seed_everything(5, verbose=False)
    kind = Fused if fused else PretrainModule
    optimizer = OptimizerConfig(lr=lr, warmup_steps=0)
    return kind(CONFIG, Tokenizer(), optimizer, objective=Weighted())


def spoil(window: int, value: float) -> Callable[[int, dict[str, torch.Tensor]], None]:
    """A loss weight that makes the loss of one window, and so of its batch, not finite."""

    def change(i: int, sample: dict[str, torch.Tensor]) -> None:
        if i == window:
            sample["loss_weight"][3] = value

    return change


def saving(folder: Path) -> list[pl.Callback]:
    return [ModelCheckpoint(folder, "{step}", every_n_train_steps=1, save_top_k=-1, save_last=True)]


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_bad_loss_stops_before_its_step(
    value: float, fused: bool, toy_data: type, quiet_trainer: Make, tmp_path: Path
) -> None:
    net = module(fused=fused)
    trainer = quiet_trainer(
        max_steps=8,
        limit_val_batches=0,
        enable_checkpointing=True,
        callbacks=saving(tmp_path),
    )
    # Four windows a batch: window 9 stands in the third, step 2.
    with pytest.raises(NonFiniteError) as caught:
        trainer.fit(net, toy_data(32, change=spoil(9, value)))
    message = str(caught.value)
    assert "the loss is nan at step 2 " in message
    assert "toy chr1:96-108(+), toy chr1:108-120(+), toy chr1:120-132(+)" in message
    assert f"The last good checkpoint is {tmp_path / 'last.ckpt'}" in message
    assert "optimizer.lr" in message
    assert all(torch.isfinite(p).all() for p in net.parameters())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["last.ckpt", "step=1.ckpt", "step=2.ckpt"]
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(saved[name], value) for name, value in net.state_dict().items())


@pytest.mark.parametrize(
    "end", [{"max_steps": 8}, {"max_steps": 3}, {"max_steps": 8, "val_check_interval": 3}]
)
def test_a_step_that_is_not_waited_for_leaves_the_weights(
    end: dict[str, int], toy_data: type, quiet_trainer: Make
) -> None:
    """The error comes with the next step, the end of the run or a validation."""
    net, after = module(fused=True), []

    class Watch(pl.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            after.append({name: x.clone() for name, x in net.state_dict().items()})

    trainer = quiet_trainer(**end, callbacks=[Watch()])
    with pytest.raises(NonFiniteError, match=r"the loss is nan at step 2 .*The step was not taken"):
        trainer.fit(net, toy_data(32, change=spoil(9, float("nan"))))
    assert len(after) == 3
    for state in (after[2], net.state_dict()):
        torch.testing.assert_close(state, after[1], rtol=0, atol=0)


def test_a_bad_step_is_not_logged(toy_data: type, quiet_trainer: Make) -> None:
    net, logged = module(fused=True), []
    trainer = quiet_trainer(max_steps=8, limit_val_batches=0, log_every_n_steps=1)

    class Watch(pl.Callback):
        def on_before_zero_grad(self, *_: Any) -> None:
            logged.append(float(trainer.callback_metrics.get("train/loss", 0.0)))

    trainer.callbacks.append(Watch())
    with pytest.raises(NonFiniteError, match="at step 2 "):
        trainer.fit(net, toy_data(32, change=spoil(9, float("nan"))))
    assert math.isfinite(sum(logged))
    assert math.isfinite(trainer.callback_metrics["train/loss"])


def test_the_last_checkpoint_is_named_where_another_was_about_to_be_written(
    toy_data: type, quiet_trainer: Make, tmp_path: Path
) -> None:
    keeping = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=1, save_top_k=-1)
    trainer = quiet_trainer(
        max_steps=8, limit_val_batches=0, enable_checkpointing=True, callbacks=[keeping]
    )
    with pytest.raises(NonFiniteError) as caught:
        trainer.fit(module(fused=True), toy_data(32, change=spoil(9, float("nan"))))
    assert f"The last good checkpoint is {tmp_path / 'step=2.ckpt'}" in str(caught.value)


def test_what_ends_a_run_stays_the_reason_where_its_last_step_was_bad(
    toy_data: type, quiet_trainer: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Stop(pl.Callback):
        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            if trainer.global_step == 3:
                raise RuntimeError("stopped by hand")

    trainer = quiet_trainer(
        max_steps=8,
        limit_val_batches=0,
        enable_checkpointing=True,
        callbacks=[LastCheckpoint(str(tmp_path), 1), Stop()],
    )
    net = module(fused=True)
    with pytest.raises(RuntimeError, match="stopped by hand"):
        trainer.fit(net, toy_data(32, change=spoil(9, float("nan"))))
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 2
    # And a trainer that goes on does not stop for what an earlier run left open.
    trainer = quiet_trainer(max_steps=2, limit_val_batches=0)
    trainer.fit(net, toy_data(32))


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_on_a_gpu(precision: str, toy_data: type, quiet_trainer: Make) -> None:
    """Clipped, for which Lightning has reservations about fused optimisers."""
    options: dict[str, Any] = {
        "accelerator": "gpu",
        "precision": precision,
        "gradient_clip_val": 1.0,
        "max_steps": 8,
        "limit_val_batches": 0,
    }
    quiet_trainer(**options).fit(module(), toy_data(32))
    net = module()
    with pytest.raises(NonFiniteError, match="the loss is nan at step 2 "):
        quiet_trainer(**options).fit(net, toy_data(32, change=spoil(9, float("nan"))))
    assert all(torch.isfinite(p).all() for p in net.parameters())


def test_of_accumulated_batches_the_bad_one_is_named(toy_data: type, quiet_trainer: Make) -> None:
    trainer = quiet_trainer(max_steps=8, limit_val_batches=0, accumulate_grad_batches=4)
    with pytest.raises(
        NonFiniteError, match=r"step 0 .*its 4 windows: toy chr1:96-.*No checkpoint"
    ):
        trainer.fit(module(), toy_data(32, change=spoil(9, float("nan"))))


def test_a_bad_gradient_stops_too(toy_data: type, quiet_trainer: Make) -> None:
    net = module()
    net.model.backbone.norm_f.weight.register_hook(lambda grad: grad * float("inf"))
    trainer = quiet_trainer(limit_val_batches=0)
    with pytest.raises(NonFiniteError, match="a gradient is NaN or infinite at step 0"):
        trainer.fit(net, toy_data())


def test_weights_that_a_step_broke_are_not_saved(
    toy_data: type, quiet_trainer: Make, tmp_path: Path
) -> None:
    net = module()

    class Break(pl.Callback):
        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            if trainer.global_step == 2:
                net.model.backbone.norm_f.weight.data[0] = float("nan")

    trainer = quiet_trainer(
        limit_val_batches=0,
        enable_checkpointing=True,
        callbacks=[Break(), *saving(tmp_path)],
    )
    with pytest.raises(NonFiniteError, match=r"step 2 made model\.backbone\.norm_f\.weight NaN"):
        trainer.fit(net, toy_data())
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 1


def test_a_step_that_loss_scaling_skips_is_no_error(toy_data: type, quiet_trainer: Make) -> None:
    """fp16's scaler, which Lightning uses on GPUs only, finds an overflow and goes on."""
    plugin = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=2.0**8))
    net = module()
    weight = net.model.backbone.norm_f.weight
    calls, after = [], []

    def overflow_second(grad: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return grad * float("inf") if len(calls) == 2 else grad

    class Watch(pl.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            after.append(weight.detach().clone())

    weight.register_hook(overflow_second)
    trainer = quiet_trainer(max_steps=3, limit_val_batches=0, plugins=[plugin], callbacks=[Watch()])
    trainer.fit(net, toy_data())
    assert torch.equal(after[0], after[1])
    assert not torch.equal(after[1], after[2])
    assert plugin.scaler is not None
    assert plugin.scaler.get_scale() == 2.0**7
