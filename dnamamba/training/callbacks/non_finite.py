"""A loss that is no number ends the run at once, and never reaches a checkpoint."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

__all__ = ["NonFiniteError", "StopOnNonFinite"]

_SHOWN = 8


class NonFiniteError(FloatingPointError):
    """A loss, a gradient or a weight is NaN or infinite."""


class StopOnNonFinite(pl.Callback):
    """Stops before the optimiser step that would take in a NaN or infinite loss or gradient.

    The error names the step, the windows that were read, and the last checkpoint written.
    A gradient that overflows under fp16's loss scaling, while the loss is finite, is no
    error: the scaler skips that step and lowers its scale. No checkpoint is written with a
    weight that is not finite.

    It costs one norm over the gradients and one wait for the device a step.
    """

    def __init__(self) -> None:
        self._seen: list[tuple[Tensor, Any]] = []  # loss and index of each batch of this step

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._index = batch.get("index") if isinstance(batch, dict) else None

    def on_before_backward(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor
    ) -> None:
        self._seen.append((loss.detach(), self._index))

    def on_before_optimizer_step(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        seen, self._seen = self._seen, []
        losses = torch.stack([loss for loss, _ in seen])
        scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        gradients = [p.grad for p in pl_module.parameters() if p.grad is not None and not scaled]
        checked = losses.sum() + torch.nn.utils.get_total_norm(gradients)
        fine = trainer.strategy.reduce_boolean_decision(bool(torch.isfinite(checked)), all=True)
        if not fine:
            raise NonFiniteError(_explain(trainer, seen, losses.tolist(), optimizer))

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        bad = [
            name
            for name, value in checkpoint["state_dict"].items()
            if isinstance(value, Tensor)
            and value.is_floating_point()
            and not torch.isfinite(value).all()
        ]
        if bad:
            raise NonFiniteError(
                f"step {trainer.global_step} made {', '.join(bad[:_SHOWN])} NaN or infinite; "
                f"this is not saved. {_last_good(trainer)} Lower optimizer.lr"
            )


def _explain(
    trainer: pl.Trainer,
    seen: list[tuple[Tensor, Any]],
    losses: list[float],
    optimizer: torch.optim.Optimizer,
) -> str:
    bad = [i for i, loss in enumerate(losses) if not torch.isfinite(torch.tensor(loss))]
    what = f"the loss is {losses[bad[0]]}" if bad else "a gradient is NaN or infinite"
    windows: list[str] = []
    describe = getattr(getattr(trainer, "datamodule", None), "describe", None)
    for i in bad or range(len(seen)):
        index = seen[i][1]
        if index is not None:
            windows += describe(index.cpu()) if describe else map(str, index.tolist())
    shown = ", ".join(windows[:_SHOWN]) + (" ..." if len(windows) > _SHOWN else "")
    rank = f" on rank {trainer.global_rank}" if trainer.world_size > 1 else ""
    return (
        f"{what} at step {trainer.global_step}{rank} "
        f"(lr {optimizer.param_groups[0]['lr']:.3g}); "
        f"its {len(windows)} windows: {shown or 'unknown'}. The step was not taken. "
        f"{_last_good(trainer)} Lower optimizer.lr, set trainer.gradient_clip_val, "
        "or train with --trainer.precision 32-true"
    )


def _last_good(trainer: pl.Trainer) -> str:
    saved = [
        Path(path)
        for callback in trainer.checkpoint_callbacks
        if isinstance(callback, ModelCheckpoint)
        for path in (callback.last_model_path, callback.best_model_path)
        if path and Path(path).is_file()
    ]
    if not saved:
        return "No checkpoint was written before."
    return f"The last good checkpoint is {max(saved, key=lambda path: path.stat().st_mtime)}."
