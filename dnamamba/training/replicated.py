"""DDP: the whole model on each device."""

from typing import Any

from pytorch_lightning.strategies import DDPStrategy
from torch import nn
from torch.nn.parallel import DistributedDataParallel

__all__ = ["Replicated"]


class Replicated(DDPStrategy):
    """Lightning's, but for where gradients lie and on which stream of a GPU they are added up.

    They lie where they are exchanged, instead of in two places. Lightning makes DDP on a stream of
    its own, for those who capture all of DDP as a CUDA graph; then every parameter's gradient waits
    for the other stream, and PyTorch warns of it. Here nothing that is exchanged is captured.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"gradient_as_bucket_view": True, **options})

    def _setup_model(self, model: nn.Module) -> DistributedDataParallel:
        devices = self.determine_ddp_device_ids()
        return DistributedDataParallel(model, device_ids=devices, **self._ddp_kwargs)
