"""Next-base pretraining: loss, logs, optimiser."""

import json
import math
from dataclasses import asdict
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.model import LanguageModel
from dnamamba.training.callbacks import RandomState, StopOnNonFinite
from dnamamba.training.logs import Throughput, log_figures
from dnamamba.training.metrics import SequenceMetrics, token_losses
from dnamamba.training.optim import OptimizerConfig, make_optimizer, make_schedule

__all__ = ["PretrainModule"]

Batch = dict[str, Tensor]
_TINY = torch.finfo(torch.float32).tiny
_IN_BAR = ("train/loss", "train/perplexity", "train/bases_per_second")


class PretrainModule(pl.LightningModule):
    """Trains a ``LanguageModel``, kept as ``.model``, to predict each base from those before it.

    A batch holds ``tokens``, ``targets`` and ``loss_weight``, all (B, L), and where they apply
    ``resets`` (B, L) and ``lengths`` (B,). The loss is the sum of weight times cross-entropy
    over the sum of weights; both run over the batches of all devices, so that each base counts
    the same wherever it falls, and a window without any scored base counts nothing. (Batches
    that are accumulated into one step are averaged as they are.)

    Every ``log_every_n_steps`` steps it logs ``train/loss``, ``/perplexity``,
    ``/bits_per_base`` and ``/accuracy`` over all bases since the last time, ``train/lr`` and
    ``train/bases_per_second`` (positions, padding included, without the time of validation);
    after each validation the first four as ``validation/...``, and so for ``test/...``.

    Args:
        model: sizes of the model.
        tokenizer: what the ids mean; stored with the model, which is useless without.
        optimizer: AdamW and its schedule.
        compile: let ``torch.compile`` fuse the model; parameter names stay.

    Raises:
        ValueError: the model's vocabulary is not the tokenizer's.
    """

    monitor = ("validation/bits_per_base", "min")  # what best.ckpt follows

    def __init__(
        self,
        model: MambaConfig = MambaConfig(),  # noqa: B008 (frozen)
        tokenizer: Tokenizer = Tokenizer(),  # noqa: B008 (frozen)
        optimizer: OptimizerConfig = OptimizerConfig(),  # noqa: B008 (frozen)
        compile: bool = False,
    ) -> None:
        super().__init__()
        config = _typed(MambaConfig, model)
        self.tokenizer = _typed(Tokenizer, tokenizer)
        self.optimizer = _typed(OptimizerConfig, optimizer)
        if config.vocab_size != self.tokenizer.vocab_size:
            raise ValueError(
                f"model.vocab_size is {config.vocab_size}, but the {self.tokenizer.name} "
                f"tokenizer has {self.tokenizer.vocab_size} ids; set it to that"
            )
        # Plain JSON types, or a weights-only load refuses the checkpoint.
        parts = {"model": config, "tokenizer": self.tokenizer, "optimizer": self.optimizer}
        stored = {name: json.loads(json.dumps(asdict(part))) for name, part in parts.items()}
        self.save_hyperparameters({**stored, "compile": compile})

        self.model = LanguageModel(config)
        if compile:
            self.model.compile()  # in place: no wrapper that would rename the parameters
        self.train_metrics = SequenceMetrics()
        self.held_out_metrics = SequenceMetrics()
        self.throughput = Throughput()
        self._logged_at = 0

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, L, V) of the token after each of ``tokens`` (B, L)."""
        logits: Tensor = self.model(tokens)[0]
        return logits

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss, scaled so that Lightning's mean over devices is the mean over all bases."""
        losses = self._measure(batch, self.train_metrics)
        weight = batch["loss_weight"]
        mean_weight = weight.sum()
        if self.trainer.world_size > 1:
            mean_weight = self.trainer.strategy.reduce(mean_weight, reduce_op="mean")
        self.throughput.add(weight.numel() * self.trainer.world_size)
        return (losses * weight).sum() / mean_weight.clamp(min=_TINY)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Adds to the sums of ``validation/...``."""
        self._measure(batch, self.held_out_metrics)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Adds to the sums of ``test/...``."""
        self._measure(batch, self.held_out_metrics)

    def predict_step(self, batch: Batch, batch_idx: int) -> Batch:
        """Of each window its ``index`` and ``bits_per_base`` (B,), NaN without scored bases."""
        losses, _ = self._losses(batch)
        nats = (losses * batch["loss_weight"]).sum(1) / batch["loss_weight"].sum(1)
        return {"index": batch["index"], "bits_per_base": nats / math.log(2)}

    def on_train_start(self) -> None:
        self._logged_at = self.global_step
        self.throughput.restart()

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        step, every = self.global_step, int(getattr(self.trainer, "log_every_n_steps", 0))
        if step == self._logged_at or every == 0 or step % every:
            return
        self._logged_at = step
        figures = self.train_metrics.drain("train")
        figures["train/lr"] = self.trainer.optimizers[0].param_groups[0]["lr"]
        figures["train/bases_per_second"] = self.throughput.drain()
        log_figures(self, figures, in_bar=_IN_BAR)

    def on_validation_start(self) -> None:
        self.throughput.pause()

    def on_validation_epoch_end(self) -> None:
        log_figures(self, self.held_out_metrics.drain("validation"))
        self.throughput.resume()

    def on_test_epoch_end(self) -> None:
        log_figures(self, self.held_out_metrics.drain("test"))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = make_optimizer(self, self.optimizer)
        total = self.trainer.estimated_stepping_batches
        schedule = make_schedule(optimizer, self.optimizer, total)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def configure_callbacks(self) -> list[pl.Callback]:
        """Exact resume and the stop at NaN come with the module, whoever builds the trainer."""
        return [RandomState(), StopOnNonFinite()]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuses the weights of another model before torch complains of their shapes.

        Raises:
            ValueError: names the settings that differ.
        """
        theirs = checkpoint.get("hyper_parameters", {})
        differ = [
            f"{part}.{key} is {value!r} here and {theirs[part][key]!r} in the checkpoint"
            for part in ("model", "tokenizer")
            for key, value in self.hparams[part].items()
            if part in theirs and theirs[part].get(key, value) != value
        ]
        if differ:
            raise ValueError(f"the checkpoint is of another model: {'; '.join(differ)}")

    def _losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        logits, _ = self.model(
            batch["tokens"], resets=batch.get("resets"), lengths=batch.get("lengths")
        )
        return token_losses(logits, batch["targets"]), logits

    def _measure(self, batch: Batch, metrics: SequenceMetrics) -> Tensor:
        losses, logits = self._losses(batch)
        with torch.no_grad():
            metrics.update(logits, losses.detach(), batch["targets"], batch["loss_weight"])
        return losses


def _typed(kind: type[Any], value: Any) -> Any:
    """A checkpoint's hyper-parameters hold the dictionary that ``asdict`` made."""
    return kind(**value) if isinstance(value, dict) else value
