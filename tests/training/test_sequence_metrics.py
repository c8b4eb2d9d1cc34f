import math

import torch
from torch.nn import functional as F

from dnamamba.training.sequence_metrics import SequenceMetrics, token_losses, token_sums


def update(metrics: SequenceMetrics, logits: torch.Tensor, *rest: torch.Tensor) -> None:
    targets, weights = rest
    metrics.update(*token_sums(logits, token_losses(logits, targets), targets, weights))


def test_losses_are_fp32_whatever_the_logits_are() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 5, 16).bfloat16()
    targets = torch.randint(16, (2, 5)).to(torch.uint8)
    losses = token_losses(logits, targets)
    assert losses.dtype == torch.float32
    exact = -logits.double().log_softmax(-1).gather(-1, targets.long()[..., None])[..., 0]
    torch.testing.assert_close(losses.double(), exact, rtol=1e-5, atol=1e-6)


def test_metrics_are_those_of_all_positions_at_once() -> None:
    torch.manual_seed(1)
    logits = torch.randn(6, 50, 16)
    targets = torch.randint(16, (6, 50))
    weights = torch.rand(6, 50) * (torch.rand(6, 50) > 0.5)
    weights[0] = 0
    metrics = SequenceMetrics()
    # Batches of unlike sizes and weights: an average of averages would differ.
    for start, stop in [(0, 1), (1, 2), (2, 6)]:
        update(metrics, logits[start:stop], targets[start:stop], weights[start:stop])
    losses = F.cross_entropy(logits.double().transpose(1, 2), targets, reduction="none")
    loss = float((losses * weights).sum() / weights.sum())
    hits = float(((logits.argmax(-1) == targets) * weights).sum() / weights.sum())
    drained = metrics.drain("train")
    expected = {
        "train/loss": loss,
        "train/perplexity": math.exp(loss),
        "train/bits_per_base": loss / math.log(2),
        "train/accuracy": hits,
    }
    for name, value in expected.items():
        assert math.isclose(drained[name], value, rel_tol=1e-6), name


def test_drain_starts_anew() -> None:
    metrics = SequenceMetrics()
    ones = torch.ones(1, 2)
    update(metrics, torch.eye(2)[None] * 9, torch.tensor([[1, 0]]), ones)
    assert metrics.drain("a")["a/accuracy"] == 0
    update(metrics, torch.eye(2)[None] * 9, torch.tensor([[0, 1]]), ones)
    assert metrics.drain("a")["a/accuracy"] == 1


def test_sums_do_not_saturate() -> None:
    # In fp32 adding 1 to 2^24 gives 2^24.
    metrics = SequenceMetrics()
    metrics.weights += 2**24
    metrics.losses += 2**24
    update(metrics, torch.zeros(1, 1, 2), torch.zeros(1, 1, dtype=torch.long), torch.ones(1, 1))
    assert float(metrics.weights) == 2**24 + 1


def test_nothing_scored_is_nan_not_an_error() -> None:
    metrics = SequenceMetrics()
    update(metrics, torch.zeros(1, 3, 4), torch.zeros(1, 3, dtype=torch.long), torch.zeros(1, 3))
    assert math.isnan(metrics.drain("a")["a/loss"])
