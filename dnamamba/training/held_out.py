"""What a classifier says of a held-out part, gathered whole before anything is measured."""

from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

from dnamamba.model.heads import Head

__all__ = ["HeldOut", "MeanLoss", "Outcomes"]


class Outcomes(NamedTuple):
    """Every sample of a held-out part, in order, on the CPU.

    Attributes:
        sample: (n,) int64, numbers of the samples.
        loss: (n,) float64, without class weights.
        probabilities: (n, C) float64 of each label; (n, 1) values for regression.
        label: (n,) int64, (n, C) float32 or (n,) float32.
    """

    sample: Tensor
    loss: Tensor
    probabilities: Tensor
    label: Tensor

    def metrics(self, head: type[Head] | Head) -> dict[str, float]:
        """The loss, and of at least one sample the metrics of the head that gave the outputs."""
        loss = {"loss": float(self.loss.mean())}
        return loss | head.metrics(self.probabilities, self.label) if len(self.sample) else loss


class HeldOut(Metric):
    """Gathers outputs over batches and devices; rows that fill up a batch are left out.

    Metrics do not depend on how samples fall into batches and devices. Every rank must see as
    many rows, as ``held_out_batches`` deals them out.

    Attributes:
        last: what the last ``drain`` was taken from.
    """

    full_state_update = False
    sample: list[Tensor]
    loss: list[Tensor]
    probabilities: list[Tensor]
    label: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        for name in Outcomes._fields:
            self.add_state(name, [], dist_reduce_fx="cat")
        self.last: Outcomes | None = None
        # Its class: the head itself would be a module of this one, and saved with it.
        self._head: type[Head] | None = None

    def update(self, head: Head, index: Tensor, outputs: Tensor, label: Tensor) -> None:
        """Add a batch.

        Args:
            head: what gave the outputs.
            index: (B,) numbers of the samples, negative where a row is empty.
            outputs: (B, outputs).
            label: as the head's kind has it.
        """
        self._head = type(head)
        self.sample.append(index)
        self.loss.append(head.losses(outputs, label))
        self.probabilities.append(head.probabilities(outputs))
        self.label.append(label)

    def compute(self) -> Outcomes:
        """All samples seen by all ranks."""
        return self._outcomes()

    def drain(self, prefix: str) -> dict[str, float]:
        """Loss and the head's metrics, named ``prefix/...``, then start anew; all ranks."""
        # What torchmetrics hands out of ``compute`` has lost the dimension of an only sample.
        with self.sync_context():
            self.last = outcomes = self._outcomes()
        self.reset()
        assert self._head is not None
        return {f"{prefix}/{name}": x for name, x in outcomes.metrics(self._head).items()}

    def _outcomes(self) -> Outcomes:
        columns = [_joined(getattr(self, name)) for name in Outcomes._fields]
        order = columns[0].argsort()
        order = order[columns[0][order] >= 0]
        sample, loss, probabilities, label = (column[order] for column in columns)
        return Outcomes(sample, loss.double(), probabilities.double(), label)


class MeanLoss(Metric):
    """The mean loss of all samples since the last reading."""

    full_state_update = False
    losses: Tensor
    samples: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("losses", "samples"):
            self.add_state(name, torch.zeros(()), dist_reduce_fx="sum")

    def update(self, losses: Tensor) -> None:
        """Add the losses (B,) of a batch."""
        # Not in place: what a checkpoint carries may be the sums before this batch.
        self.losses = self.losses + losses.sum()
        self.samples = self.samples + losses.numel()

    def compute(self) -> Tensor:
        """A scalar; NaN without any sample."""
        return self.losses / self.samples

    def drain(self, prefix: str) -> dict[str, float]:
        """``prefix/loss``, then start anew; all ranks together."""
        loss = float(self.compute())
        self.reset()
        return {f"{prefix}/loss": loss}


def _joined(parts: Tensor | list[Tensor]) -> Tensor:
    """On one device a list of batches, after a gathering over several one tensor."""
    return (torch.cat(parts) if isinstance(parts, list) else parts).cpu()
