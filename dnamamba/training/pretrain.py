"""Next-base pretraining: loss, logs, optimiser."""

import math

import torch
from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.data.modules.labelled import LabelledDataModule
from dnamamba.model import LanguageModel
from dnamamba.model.recompute import Recompute
from dnamamba.training.across_devices import mean_over_ranks
from dnamamba.training.module import Batch, TrainedModule
from dnamamba.training.optim import OptimizerConfig
from dnamamba.training.parameters import plain, typed
from dnamamba.training.sequence_metrics import SequenceMetrics, token_losses

__all__ = ["PretrainModule"]

_TINY = torch.finfo(torch.float32).tiny


class PretrainModule(TrainedModule):
    """Trains a ``LanguageModel``, kept as ``.model``, to predict each base from those before it.

    A batch holds ``tokens``, ``targets`` and ``loss_weight``, all (B, L), and where it applies
    ``resets`` (B, L); padding stands on the right and weighs 0. The loss is the sum of weight
    times cross-entropy over the sum of weights; both run over the batches of all devices, so that
    each base counts the same wherever it falls, and a window without any scored base counts
    nothing. (Batches that are accumulated into one step are averaged as they are.)

    Every ``log_every_n_steps`` steps it logs ``train/loss``, ``/perplexity``,
    ``/bits_per_base`` and ``/accuracy`` over all bases since the last time, ``train/lr`` and
    ``train/bases_per_second`` (positions, padding included, without the time of validation);
    after each validation the first four as ``validation/...``, and so for ``test/...``.

    Args:
        model: sizes of the model.
        tokenizer: what the ids mean; stored with the model, which is useless without.
        optimizer: AdamW and its schedule.
        compile: let ``torch.compile`` fuse the model; parameter names stay.
        recompute: what each block computes again in the backward instead of keeping it, for less
            memory and more time: ``nothing``, ``cheap`` (all but the scan), ``everything``; on a
            GPU the latter two are the same, and no block scans twice.

    Raises:
        ValueError: the model's vocabulary is not the tokenizer's.
    """

    monitor = ("validation/bits_per_base", "min")  # what best.ckpt follows
    rate = "bases_per_second"
    in_bar = ("train/loss", "train/perplexity")
    headline = ("bits_per_base",)
    train_metrics: SequenceMetrics
    held_out_metrics: SequenceMetrics

    def __init__(
        self,
        model: MambaConfig = MambaConfig(),  # noqa: B008 (frozen)
        tokenizer: Tokenizer = Tokenizer(),  # noqa: B008 (frozen)
        optimizer: OptimizerConfig = OptimizerConfig(),  # noqa: B008 (frozen)
        compile: bool = False,
        recompute: Recompute = "nothing",
    ) -> None:
        super().__init__()
        config = typed(MambaConfig, model)
        self.tokenizer = typed(Tokenizer, tokenizer)
        self.optimizer = typed(OptimizerConfig, optimizer)
        if config.vocab_size != self.tokenizer.vocab_size:
            raise ValueError(
                f"model.vocab_size is {config.vocab_size}, but the {self.tokenizer.name} "
                f"tokenizer has {self.tokenizer.vocab_size} ids; set it to that"
            )
        parts = {"model": config, "tokenizer": self.tokenizer, "optimizer": self.optimizer}
        stored = {name: plain(part) for name, part in parts.items()}
        self.save_hyperparameters({**stored, "compile": compile, "recompute": recompute})

        self.model = LanguageModel(config)
        self.model.backbone.recompute = recompute
        if compile:
            self.model.compile()  # in place: no wrapper that would rename the parameters
        self.train_metrics = SequenceMetrics()
        self.held_out_metrics = SequenceMetrics()

    def setup(self, stage: str) -> None:
        """Refuse data that has labels and no next bases.

        Raises:
            ValueError: names it, and what goes with it.
        """
        data = getattr(self.trainer, "datamodule", None)
        if isinstance(data, LabelledDataModule):
            raise ValueError(
                f"data is a {type(data).__name__}, whose labels PretrainModule does not learn; "
                "set model.class_path as in configs/finetune-sequence.yaml"
            )

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, L, V) of the token after each of ``tokens`` (B, L)."""
        logits: Tensor = self.model(tokens)[0]
        return logits

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss, scaled so that Lightning's mean over devices is the mean over all bases."""
        losses = self._measure(batch, self.train_metrics)
        weight = batch["loss_weight"]
        mean_weight = mean_over_ranks(self.trainer, weight.sum())
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

    def _losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        # Without lengths: nothing reaches a base from the padding on its right, and nobody asks
        # for the state behind it, so that a padded batch may be fused as any other.
        logits, _ = self.model(batch["tokens"], resets=batch.get("resets"))
        return token_losses(logits, batch["targets"]), logits

    def _measure(self, batch: Batch, metrics: SequenceMetrics) -> Tensor:
        losses, logits = self._losses(batch)
        with torch.no_grad():
            metrics.update(logits, losses.detach(), batch["targets"], batch["loss_weight"])
        return losses
