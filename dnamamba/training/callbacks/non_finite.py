"""A loss that is no number ends the run at once, and never reaches a checkpoint."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

from dnamamba.training.across_devices import Verdict, most_over_ranks

__all__ = ["NonFiniteError", "StopOnNonFinite"]

_SHOWN = 8


class NonFiniteError(FloatingPointError):
    """A loss, a gradient or a weight is NaN or infinite."""


@runtime_checkable
class TakesNorm(Protocol):
    """A module that clips by the norm that was taken of its gradients anyway."""

    gradient_norm: Tensor | None


class StopOnNonFinite(pl.Callback):
    """Stops before the optimiser step that would take in a NaN or infinite loss or gradient.

    The error names the step, the windows that were read, and the last checkpoint written.
    A gradient that overflows under fp16's loss scaling, while the loss is finite, is no
    error: the scaler skips that step and lowers its scale. No checkpoint is written with a
    weight that is not finite.

    It costs one norm over the gradients a step. A fused optimiser, which on a GPU leaves a step
    out by itself where it is told so, is not waited for: the error then comes a step later, and
    before any log, validation or full checkpoint. (A file of weights alone holds those before the
    bad step.)
    """

    def __init__(self) -> None:
        self._seen: list[tuple[Tensor, Any]] = []  # loss and index of each batch of this step
        self._open: _Step | None = None  # the last step, of which nobody has looked at the verdict

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._seen, self._open = [], None  # of a run that another error ended

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
        self._settle(trainer)
        losses = torch.stack([loss for loss, _ in seen])
        scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        trained = (x for group in optimizer.param_groups for x in group["params"])
        gradients = [x.grad for x in trained if x.grad is not None and not scaled]
        norm = _whole(torch.nn.utils.get_total_norm(gradients))
        if isinstance(pl_module, TakesNorm):
            pl_module.gradient_norm = None if scaled else norm
        checked = losses.sum() + norm
        # All devices take the step or none does, or they part.
        bad = most_over_ranks(trainer, (~torch.isfinite(checked)).float())
        rate = optimizer.param_groups[0]["lr"]
        self._open = _Step(trainer.global_step, rate, seen, losses, Verdict(bad))
        if all(group.get("fused") for group in optimizer.param_groups) and not scaled:
            optimizer.found_inf = bad  # type: ignore[attr-defined]
        else:
            self._settle(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        every = int(getattr(trainer, "log_every_n_steps", 0))
        if every and trainer.global_step % every == 0:  # the metrics are waited for anyway
            self._settle(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._settle(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._settle(trainer)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._settle(trainer)
        bad = [
            name
            for name, value in checkpoint["state_dict"].items()
            if isinstance(value, Tensor)
            and value.is_floating_point()
            and not torch.isfinite(value).all()
        ]
        gathers = getattr(trainer.strategy, "gathers_checkpoints", False)
        if gathers:  # what the first process alone has seen ends all
            bad = trainer.strategy.broadcast(bad)
        if bad:
            raise NonFiniteError(
                f"step {trainer.global_step} made {', '.join(bad[:_SHOWN])} NaN or infinite; "
                f"this is not saved. {_last_good(trainer)} Lower optimizer.lr"
            )

    def _settle(self, trainer: pl.Trainer) -> None:
        """Raise if the last step was a bad one; waits for the device to have come as far."""
        step, self._open = self._open, None
        if step is not None and step.bad:
            raise NonFiniteError(_explain(trainer, step))


@dataclass(frozen=True)
class _Step:
    """What an optimiser step was made of."""

    number: int
    lr: float
    seen: list[tuple[Tensor, Any]]
    losses: Tensor
    bad: Verdict


def _whole(norm: Tensor) -> Tensor:
    """Over all devices, where each has a shard of the gradients."""
    whole: Tensor = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
    return whole


def _explain(trainer: pl.Trainer, step: _Step) -> str:
    seen, losses = step.seen, step.losses.tolist()
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
        f"{what} at step {step.number}{rank} (lr {step.lr:.3g}); "
        f"its {len(windows)} windows: {shown or 'unknown'}. The step was not taken. "
        f"{_last_good(trainer)} Lower optimizer.lr, set trainer.gradient_clip_val, "
        "or train with --trainer.precision 32-true"
    )


def _last_good(trainer: pl.Trainer) -> str:
    saved: list[Path] = []
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint):
            # Its own names may be of a file about to be written.
            named = [Path(path) for path in (callback.last_model_path, callback.best_model_path)]
            folder = callback.dirpath and Path(callback.dirpath)
            saved += [*named, *(folder.glob("*.ckpt") if folder else [])]
    saved = [path for path in saved if path.is_file()]
    if not saved:
        return "No checkpoint was written before."
    return f"The last good checkpoint is {max(saved, key=lambda path: path.stat().st_mtime)}."
