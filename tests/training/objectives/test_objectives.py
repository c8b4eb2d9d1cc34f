"""An objective is a setting: by name, from a checkpoint, or as it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.config import (
    BackboneConfig,
    BiMambaConfig,
    MambaConfig,
    SymmetricBiMambaConfig,
)
from dnamamba.training.objectives import (
    OBJECTIVES,
    Example,
    NextBase,
    Objective,
    described,
    objective_of,
)
from dnamamba.training.pretrain import PretrainModule

CONFIG = MambaConfig(d_model=8, n_layers=1, d_state=2)
Make = Callable[..., pl.Trainer]


@dataclass(frozen=True)
class SameBase(Objective):
    """Says each base again."""

    causal: ClassVar[bool] = True
    share: float = 1.0

    def example(
        self, batch: Mapping[str, Tensor], tokenizer: Tokenizer, soft_mask_weight: float = 1.0
    ) -> Example:
        bases = batch["tokens"]
        return Example(bases, bases, torch.full(bases.shape, self.share), batch.get("lengths"))


class SeesAll(SameBase):
    causal = False


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OBJECTIVES, "same_base", SameBase)


@pytest.mark.parametrize("value", [None, "next_base", {"name": "next_base"}, NextBase()])
def test_the_next_base_is_the_default_and_has_a_name(value: Any) -> None:
    assert objective_of(value) == NextBase()
    assert described(objective_of(value)) == {"name": "next_base"}


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (CONFIG, "next_base"),
        (BiMambaConfig(d_model=8, n_layers=1, d_state=2), "masked_bases"),
        (SymmetricBiMambaConfig(d_model=8, n_layers=1, d_state=2), "masked_bases"),
    ],
)
def test_the_default_is_what_the_family_is_for(config: BackboneConfig, name: str) -> None:
    module = PretrainModule(config)
    assert module.hparams["objective"]["name"] == name
    assert module.objective == objective_of(name)
    other = {"next_base": "masked_bases", "masked_bases": "next_base"}[name]
    with pytest.raises(ValueError, match=rf"model\.objective {other} trains a .* backbone, but"):
        PretrainModule(config, objective=other)


@pytest.mark.usefixtures("registered")
def test_settings_come_back() -> None:
    stored = described(SameBase(0.5))
    assert stored == {"name": "same_base", "share": 0.5}
    assert objective_of(stored) == SameBase(0.5)
    assert objective_of("same_base") == SameBase()


def test_what_is_unknown_is_refused_by_name() -> None:
    known = r"model\.objective must be one of next_base, masked_bases, got"
    with pytest.raises(ValueError, match=f"{known} 'next'"):
        PretrainModule(CONFIG, objective="next")
    with pytest.raises(ValueError, match=r"model\.objective next_base: .*'share'"):
        PretrainModule(CONFIG, objective={"name": "next_base", "share": 1})
    with pytest.raises(ValueError, match=f"{known} None"):
        PretrainModule(CONFIG, objective={"share": 1})


def test_an_objective_for_another_kind_of_backbone_is_refused() -> None:
    with pytest.raises(
        ValueError, match="SeesAll trains a bidirectional backbone, but Mamba is causal"
    ):
        PretrainModule(CONFIG, objective=SeesAll())


@pytest.mark.usefixtures("registered")
def test_a_checkpoint_keeps_the_objective(
    toy_data: type, quiet_trainer: Make, tmp_path: Path
) -> None:
    net = PretrainModule(CONFIG, objective=SameBase(0.5))
    trainer = quiet_trainer(max_steps=1, limit_val_batches=0)
    trainer.fit(net, toy_data())
    path = tmp_path / "a.ckpt"
    trainer.save_checkpoint(path)
    stored = torch.load(path, weights_only=True)["hyper_parameters"]
    assert stored["objective"] == {"name": "same_base", "share": 0.5}
    assert PretrainModule.load_from_checkpoint(path).objective == SameBase(0.5)
    checkpoint.load(path)  # a model asks for no objective
    with pytest.raises(ValueError, match=r"objective\.name is 'next_base' here and 'same_base' in"):
        quiet_trainer(max_steps=2).fit(PretrainModule(CONFIG), toy_data(), ckpt_path=path)


@pytest.mark.filterwarnings("ignore:.*dataloader is not resumable")
def test_a_checkpoint_of_before_there_were_objectives_loads_and_resumes(
    toy_data: type, quiet_trainer: Make, tmp_path: Path
) -> None:
    trainer = quiet_trainer(max_steps=2, limit_val_batches=0)
    trainer.fit(PretrainModule(CONFIG), toy_data())
    path = tmp_path / "a.ckpt"
    trainer.save_checkpoint(path)
    content = torch.load(path, weights_only=True)
    del content["hyper_parameters"]["objective"]
    torch.save(content, path)
    assert PretrainModule.load_from_checkpoint(path).objective == NextBase()
    longer = quiet_trainer(max_steps=3, limit_val_batches=0)
    longer.fit(PretrainModule(CONFIG), toy_data(), ckpt_path=path)
    assert longer.global_step == 3


def test_lower_case_weighs_what_the_data_says(toy_data: type, quiet_trainer: Make) -> None:
    def masked(i: int, sample: dict[str, Tensor]) -> None:
        sample["soft_mask"] = torch.tensor([0b10000000, 0], dtype=torch.uint8)

    seen = []

    class Spy(PretrainModule):
        def _example(self, batch: dict[str, Tensor]) -> Example:
            seen.append(super()._example(batch))
            return seen[-1]

    data, loader = toy_data(4, change=masked), toy_data(4, change=masked).train_dataloader()
    data.soft_mask_weight = 0.25
    net = Spy(CONFIG)
    quiet_trainer(max_steps=1, limit_val_batches=0).fit(net, data)
    # Without a datamodule every base counts alike.
    quiet_trainer(max_steps=1, limit_val_batches=0).fit(net, loader, loader)
    assert seen[0].weight[:, :2].tolist() == [[0.25, 1.0]] * 4
    assert seen[1].weight[:, :2].tolist() == [[1.0, 1.0]] * 4
