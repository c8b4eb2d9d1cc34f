"""Low-rank adapters: they learn, they matter, and merged into the weights they say the same."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.model import LanguageModel, Mamba
from dnamamba.model.heads import HeadConfig
from dnamamba.training.adapters import LoraSettings, add_lora
from dnamamba.training.callbacks import ExportModel
from dnamamba.training.finetune import ClassificationModule
from dnamamba.training.optim import OptimizerConfig
from dnamamba.training.tuning import TuningConfig

SIZES = MambaConfig(d_model=16, n_layers=2, d_state=4)
LORA = LoraSettings(rank=2, alpha=6.0)
TARGETS = ("in_proj", "x_proj", "dt_proj", "out_proj")

Make = Callable[..., pl.Trainer]


class Data(pl.LightningDataModule):
    """Is there more A than C?"""

    def train_dataloader(self) -> Any:
        random = torch.Generator().manual_seed(0)
        for start in range(0, 160, 16):
            tokens = torch.randint(4, 8, (16, 30), generator=random, dtype=torch.uint8)
            yield {
                "tokens": tokens,
                "lengths": torch.full((16,), 30),
                "index": torch.arange(start, start + 16),
                "label": ((tokens == 4).sum(1) > (tokens == 5).sum(1)).long(),
            }

    val_dataloader = train_dataloader


def adapted(pretrained: str) -> ClassificationModule:
    pl.seed_everything(1, verbose=False)
    return ClassificationModule(
        pretrained=pretrained,
        head=HeadConfig(kind="binary", labels=("no", "yes")),
        tuning=TuningConfig(lora=LORA),
        optimizer=OptimizerConfig(lr=1e-2, warmup_steps=0),
    )


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("pretrained") / "model"
    return str(checkpoint.save(folder, LanguageModel(SIZES), Tokenizer()))


@pytest.fixture
def make(quiet_trainer: Make, tmp_path: Path) -> Make:
    return lambda **options: quiet_trainer(
        **{"default_root_dir": tmp_path, "limit_val_batches": 0, **options}
    )


def test_at_first_nothing_changes() -> None:
    torch.manual_seed(0)
    backbone = Mamba(SIZES)
    tokens = torch.randint(4, 8, (2, 20))
    with torch.no_grad():
        before, _ = backbone(tokens)
        add_lora(backbone, LORA)
        torch.testing.assert_close(backbone(tokens)[0], before)
    trained = {name for name, p in backbone.named_parameters() if p.requires_grad}
    assert trained == {
        f"layers.{i}.mixer.{target}.lora_{part}.default.weight"
        for i in range(2)
        for target in TARGETS
        for part in "AB"
    }


def test_every_adapter_has_a_gradient_and_changes_the_outputs(pretrained: str, make: Make) -> None:
    net = adapted(pretrained)
    batch = next(iter(Data().train_dataloader()))
    gradients: dict[str, list[bool]] = {}

    class Spy(pl.Callback):
        def on_before_optimizer_step(self, *_: Any) -> None:
            for name, parameter in net.named_parameters():
                assert (parameter.grad is not None) == parameter.requires_grad
                if parameter.grad is not None:
                    gradients.setdefault(name, []).append(bool(parameter.grad.any()))

    with torch.no_grad():
        before = net.eval()(batch)
    net.train()
    make(max_steps=2, callbacks=[Spy()]).fit(net, Data())
    for name, seen in gradients.items():
        # B is zero at first: what A is worth shows in the second step.
        assert seen == [".lora_A." not in name, True], name
    assert sum(".lora_" in name for name in gradients) == 2 * len(TARGETS) * 2
    with torch.no_grad():
        after = net.eval()(batch)
        for target in TARGETS:
            muted = adapted(pretrained)
            state = net.state_dict()
            for name in state:
                if f".{target}.lora_B." in name:
                    state[name] = torch.zeros_like(state[name])
            muted.load_state_dict(state)
            assert not torch.equal(muted.eval()(batch), after), target
    assert not torch.allclose(before, after)


def test_merged_weights_give_the_same_outputs(pretrained: str, make: Make, tmp_path: Path) -> None:
    from peft.tuners.lora import LoraLayer

    net = adapted(pretrained)
    trainer = make(max_steps=10, callbacks=[ExportModel(tmp_path / "model")])
    trainer.fit(net, Data())
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    batch = next(iter(Data().train_dataloader()))
    arguments = batch["tokens"], batch["lengths"]
    with torch.no_grad():
        expected = net.eval()(batch)
        for path in (tmp_path / "model", tmp_path / "a.ckpt"):
            merged, _ = checkpoint.load(path)
            assert not any("lora" in name for name in merged.state_dict())
            torch.testing.assert_close(merged(*arguments), expected, rtol=1e-4, atol=1e-5)
        original, _ = checkpoint.load(pretrained)
        mixer, before = merged.backbone.layers[0].mixer, original.backbone.layers[0].mixer
        assert not torch.allclose(mixer.in_proj.weight, before.in_proj.weight)  # type: ignore[union-attr, arg-type]
        # The library's own merging, of the same module.
        for layer in net.modules():
            if isinstance(layer, LoraLayer):
                layer.merge()  # type: ignore[attr-defined]
        torch.testing.assert_close(net(batch), expected, rtol=1e-4, atol=1e-5)
        for name, value in merged.backbone.state_dict().items():
            theirs = net.model.backbone.state_dict()
            found = name if name in theirs else "{}.base_layer.{}".format(*name.rsplit(".", 1))
            torch.testing.assert_close(theirs[found], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("targets", [("conv1d",), ()])
def test_targets_are_the_backbones(targets: tuple[str, ...]) -> None:
    some = ", ".join(targets) or "none"
    with pytest.raises(ValueError, match=rf"targets must be of in_proj, .* got {some}"):
        add_lora(Mamba(SIZES), LoraSettings(targets=targets))


def test_without_peft_the_extra_is_named(pretrained: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'dnamamba\[finetune\]'"):
        adapted(pretrained)
