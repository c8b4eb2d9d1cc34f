"""Fine-tuning: what the modules for sequences and for variants share."""

from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import Optimizer

from dnamamba.alphabet import Tokenizer
from dnamamba.data.modules.position import rank_and_world
from dnamamba.model.classifier import Classifier, VariantClassifier
from dnamamba.model.families import Sizes
from dnamamba.model.footprint import Reading
from dnamamba.model.heads import HIGHER_IS_BETTER, HeadConfig
from dnamamba.model.recompute import Recompute, recomputes
from dnamamba.model.strand import reverse_complement
from dnamamba.settings import plain, typed
from dnamamba.training.across_devices import counted_once
from dnamamba.training.adapters import adapter_memory
from dnamamba.training.agreement import check_metrics, check_tokenizer, resolve_head
from dnamamba.training.callbacks import HeldOutReport
from dnamamba.training.captured import bucketed_length
from dnamamba.training.first_vectors import first_vectors
from dnamamba.training.held_out import HeldOut, MeanLoss
from dnamamba.training.hiding import Hiding
from dnamamba.training.memory import activations
from dnamamba.training.module import Batch, TrainedModule
from dnamamba.training.optim import OptimizerConfig
from dnamamba.training.start import starting_point
from dnamamba.training.tuning import TuningConfig, adapt, depth_of, frozen_below, lr_scale

__all__ = ["FineTuneModule"]

Model = Classifier | VariantClassifier


class FineTuneModule(TrainedModule):
    """What the fine-tuning of sequences and of variants share; see ``ClassificationModule``."""

    rate = "samples_per_second"
    identity = ("model", "tokenizer", "head")
    train_metrics: MeanLoss
    held_out_metrics: HeldOut

    headline = ("loss", "mcc", "auroc", "pearson")  # of these, what a validation has
    reports = True  # HeldOutReport does; an instance set to False writes no files

    kind: ClassVar[type[Model]]
    """The model that is trained."""

    def __init__(
        self,
        pretrained: str | None = None,
        model: Sizes | None = None,
        tokenizer: Tokenizer | None = None,
        head: HeadConfig = HeadConfig(),  # noqa: B008 (frozen)
        tuning: TuningConfig = TuningConfig(),  # noqa: B008 (frozen)
        optimizer: OptimizerConfig = OptimizerConfig(),  # noqa: B008 (frozen)
        class_weights: bool = False,
        monitor: str = "loss",
        recompute: Recompute = "nothing",
        hide: float = 0.0,
    ) -> None:
        super().__init__()
        recomputes(recompute)  # refuses what it does not know, before anything is built
        self.start = starting_point(pretrained, model, tokenizer)
        self.tokenizer, self.head = self.start.tokenizer, typed(HeadConfig, head)
        self.tuning = typed(TuningConfig, tuning)
        self.optimizer = typed(OptimizerConfig, optimizer)
        self.class_weights = class_weights
        self.hiding = Hiding(hide, self.tokenizer) if hide else None
        if monitor not in HIGHER_IS_BETTER:
            raise ValueError(
                f"model.monitor must be one of {', '.join(HIGHER_IS_BETTER)}, got {monitor!r}"
            )
        self.monitor = f"validation/{monitor}", "max" if HIGHER_IS_BETTER[monitor] else "min"
        self.save_hyperparameters(
            {
                # With the sizes, a checkpoint loads without the pretrained folder.
                "pretrained": None,
                "started_from": pretrained,
                "kind": self.kind.__name__,
                "model": plain(self.start.config),
                "tokenizer": plain(self.tokenizer),
                "head": plain(self.head),
                "tuning": plain(self.tuning),
                "optimizer": plain(self.optimizer),
                "class_weights": class_weights,
                "monitor": monitor,
                "recompute": recompute,
                "hide": hide,
            }
        )
        table = torch.frombuffer(bytearray(self.tokenizer.complement_table), dtype=torch.uint8)
        self.register_buffer("complement", table, persistent=False)
        self.register_buffer("label_weights", None, persistent=False)
        self.train_metrics, self.held_out_metrics = MeanLoss(), HeldOut()
        self.model: Any = None
        if self.head.kind is not None:
            self._build(self.head)

    def setup(self, stage: str) -> None:
        """Take labels and class weights from the data, and build the model if that is due.

        Raises:
            ValueError: the head or the tokenizer does not fit the data.
        """
        data: Any = getattr(self.trainer, "datamodule", None)
        codec = getattr(data, "codec", None)
        check_tokenizer(self.tokenizer, data)
        head = resolve_head(self.head, data)
        check_metrics(head, self.monitor[0].removeprefix("validation/"), self.class_weights)
        if self.model is None:
            self._build(head)
        if stage != "fit" or codec is None:
            return
        if self.model.head.scales_labels:
            self.model.head.standardise(torch.from_numpy(data.train_targets()))
        elif self.class_weights:
            self.label_weights = data.class_weights

    def forward(self, batch: Batch) -> Tensor:
        """Outputs of the head; in evaluation, and where the head says so, of both strands."""
        if self.head.both_strands and not self.training:
            opposite = [batch["opposite"]] if "opposite" in batch else []
            inputs = *self._inputs(batch, True), self.complement, *opposite
            outputs: Tensor = self.model.both_strands(*inputs)
        else:
            outputs = self.model(*self._inputs(batch))
        return outputs

    def on_train_start(self) -> None:
        """Before the first step, standardise what the head reads."""
        super().on_train_start()
        data: Any = getattr(self.trainer, "datamodule", None)
        if self.global_step or getattr(data, "codec", None) is None:
            return
        self.model.head.standardise_inputs(first_vectors(self.trainer, data, self.vectors))

    def vectors(self, batch: Batch) -> Tensor:
        """What the head reads of each sample (B, width), of the strand that is given."""
        vectors: Tensor = self.model.features(*self._inputs(batch))
        return vectors

    def before_cut(self, batch: Batch) -> Batch:
        """And the opposite strand, where both are asked for: a piece cannot tell its own."""
        if self.training or not self.head.both_strands:
            return batch
        table = torch.tensor(list(self.tokenizer.complement_table), dtype=torch.uint8)
        return {**batch, "opposite": reverse_complement(batch["tokens"], batch["lengths"], table)}

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The mean loss; with class weights each sample's times that of its class."""
        loss, losses = self.captured(batch)
        self.train_metrics.update(losses)
        self.throughput.add(len(losses) * rank_and_world(self.trainer)[1])
        return loss

    def measure(self, batch: Batch) -> tuple[Tensor, ...]:
        """The mean loss, and each sample's (B,)."""
        if self.hiding is not None:
            batch = {**batch, "tokens": self.hiding.hidden(batch)}
        losses = self.model.head.losses(self(batch), batch["label"], self.label_weights)
        return losses.mean(), losses.detach()

    def activation_memory(self, reading: Reading, captured: bool) -> int | None:
        length = bucketed_length(reading.length) if captured else reading.length
        reading = reading._replace(length=length + len(self.model.backbone.start_tokens))
        # Hidden states in fp32, those that count, and the gradients of both.
        head = reading.positions * self.start.config.d_model * 16
        adapters = adapter_memory(self.model.backbone, reading, self.tuning.lora)
        return activations(self.model.backbone, reading, head, adapters)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Adds to what ``validation/...`` is taken from."""
        self._gather(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Adds to what ``test/...`` is taken from."""
        self._gather(batch)

    def predict_step(self, batch: Batch, batch_idx: int) -> Batch:
        """Of each sample its ``index`` (B,) and the probability of each label (B,)."""
        columns = self.model.head.probabilities(self(batch)).unbind(1)
        names = self.model.head.names(self.head.labels)
        index = counted_once(self.trainer, batch["index"])
        return {"index": index, **dict(zip(names, columns, strict=True))}

    def lr_scale(self, name: str) -> float:
        return lr_scale(name, self.start.config.n_layers, self.tuning)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        # Gradients are dropped, not switched off: DDP knows only the parameters that have one
        # from the start. What the optimiser sees depends on the step alone, so resuming is exact.
        layers = self.start.config.n_layers
        lowest = frozen_below(self.global_step, layers, self.tuning)
        for name, parameter in self.named_parameters() if lowest else ():
            if depth_of(name, layers) < lowest:
                parameter.grad = None
        if lowest:
            self.gradient_norm = None  # it was of them, too

    def configure_callbacks(self) -> list[pl.Callback]:
        """Exact resume, the stop at NaN, and after ``test`` the report."""
        return [*super().configure_callbacks(), *([HeldOutReport()] if self.reports else [])]

    def _build(self, head: HeadConfig) -> None:
        self.head = head
        self.save_hyperparameters({"head": plain(head)})
        self.model = self.kind(self.start.config, head)  # type: ignore[arg-type]
        if self.start.weights is not None:
            self.model.backbone.load_state_dict(self.start.weights)
        self.model.backbone.recompute = self.hparams["recompute"]
        adapt(self.model.backbone, self.tuning)

    def _gather(self, batch: Batch) -> None:
        outputs, index = self(batch), counted_once(self.trainer, batch["index"])
        self.held_out_metrics.update(self.model.head, index, outputs, batch["label"])

    def _inputs(self, batch: Batch, both_strands: bool = False) -> tuple[Tensor, ...]:
        """The model's arguments: of ``forward``, or of ``both_strands`` but the last."""
        raise NotImplementedError
