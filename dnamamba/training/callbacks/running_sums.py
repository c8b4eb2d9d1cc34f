"""What is summed up for the next log line, carried by the checkpoint."""

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torchmetrics import Metric

from dnamamba.training.callbacks.next_batch import NextBatchState

__all__ = ["RunningSums"]

State = dict[str, Tensor]


class RunningSums(NextBatchState):
    """Saves the sums of ``module.train_metrics``, and restores them.

    The line that a resumed run logs first is then of all batches since the line before, as in a
    run that was never stopped. The sums of ranks that are no more go to the first. The metrics
    must replace their sums when they add to them, not change them in place.
    """

    key = "running_sums"

    def collect(self, trainer: pl.Trainer, module: pl.LightningModule) -> State:
        metrics = _metrics(module)
        sums = {} if metrics is None else metrics.metric_state
        return {name: value.detach() for name, value in sums.items() if isinstance(value, Tensor)}

    def restore(self, state: State, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        metrics = _metrics(module)
        for name in state if metrics is not None else ():
            setattr(metrics, name, state[name].to(module.device))

    def choose(self, states: Sequence[State], trainer: pl.Trainer) -> State:
        if len(states) == trainer.world_size:
            return states[trainer.global_rank]
        first = trainer.global_rank == 0
        total = {name: torch.stack([state[name] for state in states]).sum(0) for name in states[0]}
        return {name: value if first else torch.zeros_like(value) for name, value in total.items()}

    def _for_next_batch(self, trainer: pl.Trainer, module: pl.LightningModule) -> dict[str, Any]:
        state = super()._for_next_batch(trainer, module)
        return {name: value.cpu() for name, value in state.items()}


def _metrics(module: pl.LightningModule) -> Metric | None:
    metrics = getattr(module, "train_metrics", None)
    return metrics if isinstance(metrics, Metric) else None
