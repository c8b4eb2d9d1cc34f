"""Running means of the weights, in whose place they are validated, saved and kept."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor, nn

from dnamamba.training.lightning_private import steps_of_run

__all__ = ["AverageWeights"]

_KEY = "trained_weights"


class AverageWeights(pl.Callback):
    """An exponential moving average of the trained weights (Polyak and Juditsky 1992).

    Training goes on from the weights themselves. A validation, the weights of a checkpoint, and
    the module once training is over are those of the mean; a checkpoint holds the weights
    themselves beside them, from which a resumed run goes on exactly.

    Lightning's own callback copies the module before its ``setup``, in which the head is built,
    and averages integer buffers in floating point.

    Args:
        share: of the run's steps over which the mean reaches back, 0 to below 1; 0: there is none.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self._mean: dict[str, Tensor] = {}  # by name; while swapped the weights themselves
        self._swapped = False
        self._step = 0

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.state.fn != TrainerFn.FITTING or _KEY not in checkpoint:
            return
        self._step = checkpoint["global_step"]
        parameters = _trained(pl_module)
        for name, weights in checkpoint[_KEY].items():
            if name not in parameters:
                continue  # what trains is another choice, which the optimiser refuses
            if self.share:
                mean = checkpoint["state_dict"][name]
                self._mean[name] = mean.to(parameters[name].device, copy=True)
            parameters[name].detach().copy_(weights)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._step = trainer.global_step
        if self.share:
            self._prepare(pl_module)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any
    ) -> None:
        self._catch_up(trainer, pl_module)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == TrainerFn.FITTING and self.share:
            self._prepare(pl_module)
            self._catch_up(trainer, pl_module)
            self._swap(pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._swapped:
            self._swap(pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._mean and not self._swapped:
            self._catch_up(trainer, pl_module)
            self._swap(pl_module)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._mean, self._swapped = {}, False  # the module stays the mean

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if not self._mean:
            return
        self._catch_up(trainer, pl_module)
        weights = {name: x.detach() for name, x in _trained(pl_module).items()}
        mean, trained = (weights, self._mean) if self._swapped else (self._mean, weights)
        for name in self._mean:
            checkpoint["state_dict"][name] = mean[name].clone()
        checkpoint[_KEY] = {name: trained[name].clone() for name in self._mean}

    def _catch_up(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Take the last step's weights into the mean.

        Before whatever comes next: another callback may save a checkpoint right behind a step.
        """
        if not self._mean or trainer.global_step == self._step:
            return
        self._step = trainer.global_step
        reach = max(1.0, self.share * steps_of_run(trainer))
        weight = 1 / min(reach, self._step + 1)  # the first steps are averaged alike
        parameters = _trained(module)
        weights = [parameters[name].detach() for name in self._mean]
        torch._foreach_lerp_([*self._mean.values()], weights, weight)

    def _prepare(self, module: nn.Module) -> None:
        """Begin the mean, or take it to where the weights are."""
        for name, weights in _trained(module).items():
            if name not in self._mean:
                self._mean[name] = weights.detach().clone()
            self._mean[name] = self._mean[name].to(weights.device)

    @torch.no_grad()
    def _swap(self, module: nn.Module) -> None:
        parameters = _trained(module)
        for name, other in self._mean.items():
            kept = parameters[name].detach().clone()
            parameters[name].copy_(other)  # in place: captured steps read it where it is
            other.copy_(kept)
        self._swapped = not self._swapped


def _trained(module: nn.Module) -> dict[str, nn.Parameter]:
    return {name: x for name, x in module.named_parameters() if x.requires_grad}
