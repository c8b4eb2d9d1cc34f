"""Pretraining on unlabelled bases: loss, logs, optimiser."""

import math
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.data.modules.position import rank_and_world
from dnamamba.model import LanguageModel
from dnamamba.model.families import Sizes
from dnamamba.model.footprint import Reading
from dnamamba.model.recompute import Recompute
from dnamamba.model.state import State
from dnamamba.settings import plain, typed
from dnamamba.training.across_devices import (
    counted_once,
    mean_over_ranks,
    positions_read,
    sum_over_pieces,
)
from dnamamba.training.agreement import (
    check_carries_state,
    check_complement,
    check_objective,
    check_reads_pieces,
    check_unlabelled,
    check_vocabulary,
    sizes_for,
)
from dnamamba.training.callbacks import CarriedLanes
from dnamamba.training.lanes import HeldOutLanes, LaneStates, Share, carried
from dnamamba.training.memory import activations
from dnamamba.training.module import Batch, TrainedModule
from dnamamba.training.objectives import Example, Objective, described, objective_of
from dnamamba.training.optim import OptimizerConfig
from dnamamba.training.sequence_metrics import SequenceMetrics, token_losses, token_sums

__all__ = ["PretrainModule"]

_TINY = torch.finfo(torch.float32).tiny
_MEAN = "mean_weight"
_SUMS = 3


class PretrainModule(TrainedModule):
    """Trains a ``LanguageModel``, kept as ``.model``, to predict what its objective asks for.

    A batch is raw (see ``SampleDataset``): ``tokens`` (B, L), without BOS, ``index`` (B,), and
    where they apply ``lengths``, ``soft_mask`` and ``resets``; padding stands on the right. The
    objective makes inputs, targets and weights of it. Where rows are lanes (``lane``, ``before``),
    each begins with the state that its lane has left in the step before, through which no gradient
    flows; a validation or a test begins with zeros and carries states of its own. The loss is the
    sum of weight times cross-entropy over the sum of weights; both run over the batches of all
    devices, so that each base counts the same wherever it falls, and a window without any scored
    base counts nothing.
    (Batches that are accumulated into one step are averaged as they are.) All figures are of the
    bases that the objective asks for: of every base, or of the masked ones alone.

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
        objective: what is predicted from what: ``next_base``, ``masked_bases``, or ``name`` and
            the settings of one of ``OBJECTIVES`` (masked_bases: share, mask, another, kept,
            seed); from Python also an objective itself. None: what the model's family is for, the
            next base or masked bases.

    Raises:
        ValueError: the model's vocabulary or complement is not the tokenizer's, or an objective
            that is unknown, or is for another kind of backbone or of tokenizer.
    """

    monitor = ("validation/bits_per_base", "min")  # what best.ckpt follows
    rate = "bases_per_second"
    in_bar = ("train/loss", "train/perplexity")
    headline = ("bits_per_base",)
    identity = ("model", "tokenizer", "objective")
    train_metrics: SequenceMetrics
    held_out_metrics: SequenceMetrics

    def __init__(
        self,
        model: Sizes = Sizes(),  # noqa: B008 (frozen)
        tokenizer: Tokenizer = Tokenizer(),  # noqa: B008 (frozen)
        optimizer: OptimizerConfig = OptimizerConfig(),  # noqa: B008 (frozen)
        compile: bool = False,
        recompute: Recompute = "nothing",
        objective: str | dict[str, Any] | Objective | None = None,
    ) -> None:
        super().__init__()
        self.tokenizer = typed(Tokenizer, tokenizer)
        config = sizes_for(model, self.tokenizer)
        self.optimizer = typed(OptimizerConfig, optimizer)
        check_vocabulary(config, self.tokenizer)
        check_complement(config, self.tokenizer)
        self.model = LanguageModel(config)
        backbone = self.model.backbone
        self.objective = objective_of(objective, backbone.causal)
        self.objective.check(self.tokenizer)
        settings: dict[str, Any] = {
            "model": config,
            "tokenizer": self.tokenizer,
            "optimizer": self.optimizer,
            "compile": compile,
            "recompute": recompute,
            "objective": described(self.objective),
        }
        self.save_hyperparameters(plain(settings))

        check_objective(self.objective, backbone)
        backbone.recompute = recompute
        if compile:
            self.model.compile()  # in place: no wrapper that would rename the parameters
        self.train_metrics, self.held_out_metrics = SequenceMetrics(), SequenceMetrics()
        self._soft_mask_weight = 1.0
        self.lane_states, self._held_out_lanes = LaneStates(backbone), HeldOutLanes(backbone)

    def configure_callbacks(self) -> list[pl.Callback]:
        """And the states of lanes, where the data's rows are lanes.

        Raises:
            ValueError: they are, and the model has no state to carry.
        """
        data: Any = getattr(self.trainer, "datamodule", None)  # nothing of it is read yet
        if not getattr(data, "carries_state", False):
            return super().configure_callbacks()
        check_carries_state(self.model.backbone)
        return [*super().configure_callbacks(), CarriedLanes()]

    def setup(self, stage: str) -> None:
        """Refuse data that has labels, and ask it for the weight of bases in lower case.

        Raises:
            ValueError: names it, and what goes with it.
        """
        data = getattr(self.trainer, "datamodule", None)
        check_unlabelled(data)
        self._soft_mask_weight = getattr(data, "soft_mask_weight", 1.0)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, L, V) at each of ``tokens`` (B, L), full rows; of what, see ``objective``."""
        logits: Tensor = self.model(tokens)[0]
        return logits

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss, scaled so that Lightning's mean over devices is the mean over all bases."""
        if self.trainer.world_size > 1:
            weight = self._example(batch).weight.sum()
            batch = {**batch, _MEAN: mean_over_ranks(self.trainer, weight)}
        if "lane" in batch:
            share = Share(*rank_and_world(self.trainer), self.trainer.accumulate_grad_batches)
            batch = self.lane_states.enter(batch, share)
            loss, *outputs = self.captured(batch)
            sums, after = outputs[:_SUMS], outputs[_SUMS:]
            self.lane_states.leave(batch, share, after)
        else:
            loss, *sums = self.captured(batch)
        self.train_metrics.update(*sums)
        self.throughput.add(positions_read(self.trainer, batch["tokens"]))
        return loss

    def measure(self, batch: Batch) -> tuple[Tensor, ...]:
        """The loss, the ``token_sums``, and of lanes the tensors of the states after the batch.

        Over several devices the batch holds ``mean_weight`` too, the mean of their sums of weights;
        of lanes the states that its rows begin with.
        """
        example, before = self._example(batch), carried(batch, self.model.backbone)
        losses, logits, after = self._losses(example, before)
        mean_weight = batch.get(_MEAN, example.weight.sum())
        loss = (losses * example.weight).sum() / mean_weight.clamp(min=_TINY)
        states = () if before is None or after is None else after.detach().tensors
        return loss, *token_sums(logits, losses, example.targets, example.weight), *states

    def on_train_start(self) -> None:
        super().on_train_start()
        self.lane_states = LaneStates(self.model.backbone)  # those are of a training before

    def on_validation_start(self) -> None:
        super().on_validation_start()
        self._held_out_lanes.begin()

    def on_validation_end(self) -> None:
        super().on_validation_end()
        self._held_out_lanes.begin()  # a training step needs their memory

    def on_test_start(self) -> None:
        self._held_out_lanes.begin()

    def check_pieces(self) -> None:
        check_reads_pieces(self.model.backbone, self.objective, self.hparams["compile"])

    def activation_memory(self, reading: Reading, captured: bool) -> int | None:
        # Logits, and in fp32 themselves, their log-softmax and a gradient.
        head = reading.positions * self.model.config.vocab_size * (reading.itemsize + 12)
        return activations(self.model.backbone, reading, head)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Adds to the sums of ``validation/...``."""
        self._gather(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Adds to the sums of ``test/...``."""
        self._gather(batch)

    def predict_step(self, batch: Batch, batch_idx: int) -> Batch:
        """Of each window its ``index`` and ``bits_per_base`` (B,), NaN where none is predicted."""
        example = self._example(batch)
        losses = self._losses(example)[0]
        sums = torch.stack([(losses * example.weight).sum(1), example.weight.sum(1)])
        nats, weight = sum_over_pieces(self.trainer, sums)
        return {
            "index": counted_once(self.trainer, batch["index"]),
            "bits_per_base": nats / weight / math.log(2),
        }

    def _example(self, batch: Batch) -> Example:
        return self.objective.example(batch, self.tokenizer, self._soft_mask_weight)

    def _losses(
        self, example: Example, state: State | None = None
    ) -> tuple[Tensor, Tensor, State | None]:
        # In a causal backbone nothing reaches a base from the padding on its right, and nobody
        # asks for the state behind it: without lengths a padded batch is fused as any other.
        lengths = None if self.model.backbone.causal else example.lengths
        if lengths is None and not self.model.backbone.causal and self.hparams["compile"]:
            # Left to see for itself that no row is padded, it would break the graph.
            lengths = torch.full_like(example.tokens[:, 0], example.tokens.shape[1]).long()
        logits, after = self.model(
            example.tokens, state=state, resets=example.resets, lengths=lengths
        )
        return token_losses(logits, example.targets), logits, after

    def _gather(self, batch: Batch) -> None:
        example, before = self._example(batch), self._held_out_lanes.enter(batch)
        losses, logits, after = self._losses(example, before)
        self._held_out_lanes.leave(after)
        self.held_out_metrics.update(*token_sums(logits, losses, example.targets, example.weight))
