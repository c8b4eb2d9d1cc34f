"""A module in shards, here of a single process, and whole again; see test_devices.py for two."""

import copy
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.trainer.states import TrainerFn
from torch import distributed, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor

from dnamamba.config import BiMambaConfig, MambaConfig
from dnamamba.training.fully_sharded import FullySharded
from dnamamba.training.optim import OptimizerConfig, make_optimizer
from dnamamba.training.pretrain import PretrainModule
from dnamamba.training.sharding import Shards, gathered, shard_state

METHODS = ("training_step",)
SIZES = {"d_model": 8, "n_layers": 2, "d_state": 2}


@pytest.fixture
def mesh() -> Iterator[DeviceMesh]:
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    distributed.destroy_process_group()


class Read(PretrainModule):
    """Without a trainer."""

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.measure(batch)[0]


def step(module: pl.LightningModule, optimizer: torch.optim.Optimizer, seed: int) -> None:
    tokens = torch.randint(4, 8, (2, 20), generator=torch.Generator().manual_seed(seed))
    batch = {"tokens": tokens.to(torch.uint8), "index": torch.arange(2)}
    module.training_step(batch, 0).backward()
    optimizer.step()
    optimizer.zero_grad()


@pytest.mark.parametrize("recompute", ["nothing", "cheap", "everything"])
@pytest.mark.parametrize("family", [MambaConfig, BiMambaConfig])
def test_a_module_is_whole_again_and_may_be_divided_anew(
    mesh: DeviceMesh, family: Any, recompute: Any
) -> None:
    torch.manual_seed(0)
    module = Read(family(**SIZES), recompute=recompute)
    plain, config = copy.deepcopy(module), OptimizerConfig(eps=1e-4)
    names = [name for name, _ in module.named_parameters()]
    other, saved = make_optimizer(plain, config), None
    for again in range(2):
        shards = Shards(module, mesh, METHODS)
        assert all(isinstance(x, DTensor) for x in module.parameters())
        assert [name for name, _ in module.named_parameters()] == names
        optimizer = make_optimizer(module, config)
        if saved is not None:
            optimizer.load_state_dict(shard_state(optimizer, saved))
        for seed in range(2):
            step(module, optimizer, 2 * again + seed)
            step(plain, other, 2 * again + seed)
        saved = gathered(optimizer.state_dict(), keep=True)
        module.seen = plain.seen = again  # what a run sets stays
        assert gathered(module.state_dict(), keep=False).keys() == plain.state_dict().keys()
        shards.join()
        assert type(module) is Read
        for (name, ours), (_, theirs) in zip(
            module.named_parameters(), plain.named_parameters(), strict=True
        ):
            assert type(ours) is nn.Parameter
            torch.testing.assert_close(ours, theirs, msg=name)
        for part, twin in zip(module.modules(), plain.modules(), strict=True):
            assert vars(part).keys() == vars(twin).keys()
            assert not part._forward_hooks
            assert not part._forward_pre_hooks
        step(copy.deepcopy(module), optimizer, 0)  # which a divided module refuses


def test_what_does_not_go_is_said(quiet_trainer: Callable[..., pl.Trainer]) -> None:
    for precision, scaler, compiled, match in (
        ("16-mixed", object(), False, "set precision bf16-mixed"),
        ("bf16-true", None, False, "in half precision, .* set precision bf16-mixed"),
        ("32-true", None, True, "set model.compile false"),
    ):
        strategy, trainer = FullySharded(), quiet_trainer()
        strategy._precision_plugin = SimpleNamespace(  # type: ignore[assignment]
            precision=precision, scaler=scaler
        )
        module = Read(MambaConfig(**SIZES))
        module.model._compiled_call_impl = object() if compiled else None
        module.trainer = trainer
        strategy.connect(module)  # which then stays whole
        trainer.state.fn = TrainerFn.FITTING
        with pytest.raises(MisconfigurationException, match=match):
            strategy.connect(module)
