"""Data parallelism with parameters, gradients and optimiser in shards over all devices."""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.trainer.states import TrainerFn
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.optim import Optimizer

from dnamamba.training.optim import averages
from dnamamba.training.sharding import Shards, gathered, shard_state

__all__ = ["FullySharded"]

_HALF = ("bf16-true", "16-true")


class FullySharded(DDPStrategy):
    """As DDP, but while it trains no device holds the whole model: see ``sharding``.

    On GPUs and on a CPU, on one device and on any number of nodes. Steps are those of DDP, within
    rounding. A checkpoint is that of a single device: the whole of it, put together and written by
    the first process, so that it opens anywhere, and a run goes on from it with any strategy.
    Behind ``fit`` the module is whole; ``validate``, ``test`` and ``predict`` take it so.
    """

    methods = ("training_step", "validation_step", "test_step", "predict_step", "vectors")
    """Those of a module that read the model, each of a batch: PyTorch 2.11 wants one to move."""

    gathers_checkpoints = True
    """Whether a checkpoint is put together by all processes, and held by the first alone."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._shards: Shards | None = None
        self._broken = False  # an exception ends the run

    def connect(self, model: pl.LightningModule) -> None:
        """Raises:
        MisconfigurationException: it is to be trained with float16's loss scaling, with weights
            in half precision, compiled, or to a mean of its weights.
        """
        super().connect(model)
        if model.trainer.state.fn != TrainerFn.FITTING:
            return  # the module stays whole
        if getattr(self.precision_plugin, "scaler", None) is not None:
            raise MisconfigurationException(
                "strategy fsdp does not go with float16, whose losses are scaled; set precision "
                "bf16-mixed (--trainer.precision bf16-mixed)."
            )
        if str(self.precision_plugin.precision) in _HALF:
            raise MisconfigurationException(
                "strategy fsdp does not go with weights in half precision, of which some stay in "
                "float32; set precision bf16-mixed (--trainer.precision bf16-mixed), or strategy "
                "ddp."
            )
        if averages(model):
            raise MisconfigurationException(
                "strategy fsdp does not go with a mean of the weights; set model.optimizer.average "
                "0, or strategy ddp."
            )
        if any(part._compiled_call_impl for part in model.modules()):
            raise MisconfigurationException(
                "strategy fsdp does not go with a compiled model; set model.compile false, or "
                "strategy ddp."
            )

    def configure_ddp(self) -> None:
        module = self.lightning_module
        assert module is not None
        for tensor in module.state_dict().values():
            if isinstance(tensor, torch.Tensor):
                distributed.broadcast(tensor, 0)
        self._broken = False
        mesh = init_device_mesh(self.root_device.type, (self.world_size,))
        methods = [name for name in self.methods if hasattr(module, name)]
        self._shards = Shards(module, mesh, methods)

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """The whole state in the first process; elsewhere none."""
        whole = self._gathered(super().lightning_module_state_dict())
        return whole if self.is_global_zero or self._shards is None else {}

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """The whole state in the first process; elsewhere none."""
        whole = self._gathered(super().optimizer_state(optimizer))
        return whole if self.is_global_zero or self._shards is None else {}

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        states = checkpoint["optimizer_states"]
        if self._shards is not None:
            pairs = zip(self.optimizers, states, strict=True)
            states = [shard_state(optimizer, state) for optimizer, state in pairs]
        super().load_optimizer_state_dict({**checkpoint, "optimizer_states": states})

    def on_exception(self, exception: BaseException) -> None:
        self._broken = True
        super().on_exception(exception)

    def teardown(self) -> None:
        shards, self._shards = self._shards, None
        if shards is not None:
            self.optimizers = []  # of the shards
            if not self._broken:
                shards.join()
                super().teardown()
                return
            # The others may not be there any more: the shards stay where they are.
            self.precision_plugin.teardown()
            assert self.accelerator is not None
            self.accelerator.teardown()
            self.checkpoint_io.teardown()
            return
        super().teardown()

    def _gathered(self, tree: dict[str, Any]) -> Any:
        return tree if self._shards is None else gathered(tree, self.is_global_zero)
