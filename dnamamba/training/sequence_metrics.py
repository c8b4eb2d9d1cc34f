"""Loss, perplexity, bits per base and accuracy from sums, so that no average is averaged."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric

__all__ = ["SequenceMetrics", "token_losses", "token_sums"]


def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of each position in nats, computed and returned in fp32.

    Args:
        logits: (B, L, V), any floating dtype.
        targets: (B, L) token ids, any integer dtype.

    Returns:
        (B, L) fp32.
    """
    flat = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten().long(), reduction="none")
    return flat.view(targets.shape)


@torch.no_grad()
def token_sums(
    logits: Tensor, losses: Tensor, targets: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """What ``SequenceMetrics`` adds up: sums of losses, of weights and of hits, weighted.

    Args:
        logits: (B, L, V).
        losses: (B, L) nats, from ``token_losses``.
        targets: (B, L) token ids.
        weights: (B, L) loss weights, 0 for positions that do not count.

    Returns:
        Three scalars without gradients; fp64, but on Apple's GPUs.
    """
    dtype = _wide()
    hits = logits.argmax(-1) == targets
    sums = (losses * weights, weights, hits * weights)
    loss, weight, right = (x.sum(dtype=dtype) for x in sums)
    return loss, weight, right


def _wide() -> torch.dtype:
    # fp32 sums stop growing at 2^24 bases; Apple's GPUs have nothing wider.
    return torch.float32 if torch.backends.mps.is_available() else torch.float64


class SequenceMetrics(Metric):
    """Weighted sums over positions; the four metrics are taken from the sums at the end.

    The result does not depend on how positions fall into batches and devices. Each position
    counts with its loss weight in all four: ``loss`` (nats), ``perplexity`` = exp(loss),
    ``bits_per_base`` = loss / ln 2, ``accuracy``. Without any scored position all are NaN.
    """

    full_state_update = False
    losses: Tensor
    weights: Tensor
    hits: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("losses", "weights", "hits"):
            self.add_state(name, torch.zeros((), dtype=_wide()), dist_reduce_fx="sum")

    def update(self, losses: Tensor, weights: Tensor, hits: Tensor) -> None:
        """Add a batch by its ``token_sums``."""
        # Not in place: after a validation by itself these are tensors of inference mode, and what
        # a checkpoint carries may be the sums before this batch.
        self.losses = self.losses + losses
        self.weights = self.weights + weights
        self.hits = self.hits + hits

    def compute(self) -> dict[str, Tensor]:
        """The four metrics, scalars on the metric's device."""
        loss = self.losses / self.weights
        return {
            "loss": loss,
            "perplexity": loss.exp(),
            "bits_per_base": loss / math.log(2),
            "accuracy": self.hits / self.weights,
        }

    def drain(self, prefix: str) -> dict[str, float]:
        """``compute`` as floats named ``prefix/...``, then start anew; all ranks together."""
        metrics = {f"{prefix}/{name}": float(value) for name, value in self.compute().items()}
        self.reset()
        return metrics
