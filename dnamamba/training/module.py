"""What every LightningModule of this project shares."""

from abc import abstractmethod
from collections.abc import Collection
from typing import Any, ClassVar, Protocol

import pytorch_lightning as pl
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_
from torch.optim import Optimizer

from dnamamba.data.modules.resumable import ResumableDataModule
from dnamamba.model.footprint import Reading
from dnamamba.training.callbacks import (
    AverageWeights,
    RandomState,
    ResumePoint,
    RunningSums,
    StopOnNonFinite,
    StopTogether,
)
from dnamamba.training.captured import Batch, CapturedStep
from dnamamba.training.identity import refuse_another, refuse_other_names
from dnamamba.training.lightning_private import steps_of_run
from dnamamba.training.logs import Throughput, log_metrics
from dnamamba.training.optim import OptimizerConfig, make_optimizer, make_schedule

__all__ = ["Batch", "TrainedModule"]


class Metrics(Protocol):
    """Metrics gathered over batches and devices."""

    def drain(self, prefix: str) -> dict[str, float]:
        """The metrics as floats named ``prefix/...``, then start anew; all ranks together."""
        ...


class TrainedModule(pl.LightningModule):
    """Logs, optimiser, schedule and exact resume; a subclass adds the model and its steps.

    Every ``log_every_n_steps`` steps it logs ``train/...`` over all batches since the last time,
    ``train/lr``, and how much is read in a second, without the time of validation, and what the
    data say of the step; after each validation ``validation/...``, and after a test ``test/...``.
    """

    rate: ClassVar[str]
    """What ``throughput`` counts, as ``bases_per_second``."""
    in_bar: ClassVar[Collection[str]] = ("train/loss",)
    """The metrics that progress bars show."""
    headline: ClassVar[Collection[str]]
    """The metrics of a validation that are said on the terminal."""
    reports: ClassVar[bool] = False
    """Whether a callback of the module says what a test found."""
    identity: ClassVar[Collection[str]] = ("model", "tokenizer")
    """The hyper-parameters on which the weights depend."""

    optimizer: OptimizerConfig
    train_metrics: Metrics
    """Over the training batches since the last log."""
    held_out_metrics: Metrics
    """Over a held-out part."""

    def __init__(self) -> None:
        super().__init__()
        self.throughput = Throughput()
        self._logged_at = 0
        self._captured: CapturedStep | None = None
        self.gradient_norm: Tensor | None = None

    @abstractmethod
    def measure(self, batch: Batch) -> tuple[Tensor, ...]:
        """The loss of a training batch, a scalar, and what ``train_metrics`` is to know of it.

        Made of the batch and of the module's tensors alone, without waiting for the device: it
        may be captured as a graph (see ``CapturedStep``).
        """

    def captured(self, batch: Batch) -> tuple[Tensor, ...]:
        """``measure``, small batches on a GPU as one graph from forward to backward."""
        if self._captured is None:
            self._captured = CapturedStep(self, self.measure)
        return self._captured(batch)

    def check_pieces(self) -> None:
        """Refuse to read rows that several devices share.

        Raises:
            ValueError: the module reads whole rows, as it is set; says why.
        """
        raise ValueError(
            f"{type(self).__name__} reads whole sequences, which devices cannot share; set "
            "trainer.strategy to ddp"
        )

    def before_cut(self, batch: Batch) -> Batch:
        """A raw batch, on the CPU, with what no device can tell of its piece alone."""
        return batch

    def activation_memory(self, reading: Reading, captured: bool) -> int | None:
        """Bytes that a batch takes at a step's peak, weights apart; None where nobody says.

        Args:
            reading: the batch as the data gives it.
            captured: it is captured as a graph.
        """
        return None

    def lr_scale(self, name: str) -> float:
        """What the learning rate of the parameter of this name is multiplied by."""
        return 1.0

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Lightning's; but a norm that ``StopOnNonFinite`` has taken is not taken again."""
        norm, self.gradient_norm = self.gradient_norm, None
        if norm is None or not gradient_clip_val or gradient_clip_algorithm not in (None, "norm"):
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
            return
        trained = [x for group in optimizer.param_groups for x in group["params"]]
        clip_grads_with_norm_(trained, gradient_clip_val, norm)

    def on_train_start(self) -> None:
        self._logged_at = self.global_step
        self._captured = None  # of a training before
        self.throughput.restart()

    def on_fit_end(self) -> None:
        self._captured = None

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        step, every = self.global_step, int(getattr(self.trainer, "log_every_n_steps", 0))
        if step == self._logged_at or every == 0 or step % every:
            return
        self._logged_at = step
        metrics = self.train_metrics.drain("train")
        metrics["train/lr"] = max(group["lr"] for group in self.trainer.optimizers[0].param_groups)
        metrics[f"train/{self.rate}"] = self.throughput.drain()
        data = getattr(self.trainer, "datamodule", None)
        more = data.figures(step - 1) if isinstance(data, ResumableDataModule) else {}
        log_metrics(self, metrics | more, in_bar=(*self.in_bar, f"train/{self.rate}", *more))

    def on_validation_start(self) -> None:
        self.throughput.pause()

    def on_validation_epoch_end(self) -> None:
        log_metrics(self, self.held_out_metrics.drain("validation"))
        self.throughput.resume()

    def on_test_epoch_end(self) -> None:
        log_metrics(self, self.held_out_metrics.drain("test"))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = make_optimizer(self, self.optimizer, self.lr_scale)
        schedule = make_schedule(optimizer, self.optimizer, steps_of_run(self.trainer))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def configure_callbacks(self) -> list[pl.Callback]:
        """Exact resume and the stop at NaN come with the module, whoever builds the trainer."""
        resume = [RandomState(), RunningSums(), ResumePoint(), StopTogether()]
        return [*resume, StopOnNonFinite(), AverageWeights(self.optimizer.average)]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuses the weights of another model before torch complains of their shapes.

        Raises:
            ValueError: names the settings that differ, or a parameter.
        """
        refuse_another(self.hparams, checkpoint, self.identity)
        if self.strict_loading:
            refuse_other_names(self.state_dict(), checkpoint["state_dict"])
