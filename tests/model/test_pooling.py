"""Pooling: only the positions that count, however they are cut and padded."""

from itertools import pairwise

import pytest
import torch

from dnamamba.model.pooling import POOLINGS, Pooling

LENGTHS = [7, 1, 12, 4]


def made(name: str) -> Pooling:
    torch.manual_seed(3)
    pooling = POOLINGS[name](5)
    for parameter in pooling.parameters():
        torch.nn.init.normal_(parameter)
    return pooling


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(4, 12, 5), torch.arange(12) < torch.tensor(LENGTHS)[:, None]


@pytest.mark.parametrize("name", POOLINGS)
def test_each_row_equals_the_formula_on_its_own_positions(name: str) -> None:
    hidden, counts = batch()
    pooling = made(name)
    for row, n in enumerate(LENGTHS):
        x = hidden[row, :n]
        if name == "attention":
            weights = pooling.score.weight[0] @ x.T  # type: ignore[union-attr, index]
            expected = weights.softmax(0) @ x
        else:
            expected = {"mean": x.mean(0), "max": x.amax(0), "last": x[-1]}[name]
        torch.testing.assert_close(pooling(hidden, counts)[row], expected)


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("filler", [0.0, 1e30, float("nan"), float("inf")])
def test_padding_has_no_effect(name: str, filler: float) -> None:
    hidden, counts = batch()
    pooling = made(name)
    spoilt = torch.where(counts[..., None], hidden, filler).requires_grad_()
    pooled = pooling(spoilt, counts)
    assert torch.equal(pooled, pooling(hidden, counts))
    pooled.square().sum().backward()
    assert spoilt.grad is not None
    assert spoilt.grad.isfinite().all()
    assert not spoilt.grad[~counts].any()
    assert spoilt.grad[counts].any()


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("cuts", [(0, 12), (0, 1, 12), (0, 3, 4, 9, 12), tuple(range(13))])
def test_pooled_in_pieces_as_in_one(name: str, cuts: tuple[int, ...]) -> None:
    hidden, counts = batch()
    counts = counts.clone()
    counts[:, 0] = False  # as BOS does
    counts[1, 1] = True
    pooling = made(name)
    summary = None
    for start, end in pairwise(cuts):
        part = pooling.summarise(hidden[:, start:end], counts[:, start:end])
        summary = part if summary is None else pooling.merge(summary, part)
    assert summary is not None
    torch.testing.assert_close(pooling.finish(summary), pooling(hidden, counts))


@pytest.mark.parametrize("name", POOLINGS)
def test_a_row_without_positions_is_finite(name: str) -> None:
    hidden, _ = batch()
    pooled = made(name)(hidden, torch.zeros(4, 12, dtype=torch.bool))
    assert pooled.isfinite().all()


@pytest.mark.parametrize("name", POOLINGS)
def test_half_precision_is_pooled_in_fp32(name: str) -> None:
    hidden, counts = batch()
    pooled = made(name)(hidden.bfloat16(), counts)
    assert pooled.dtype == torch.float32
    torch.testing.assert_close(pooled, made(name)(hidden.bfloat16().float(), counts))


def test_attention_begins_as_the_mean_and_can_learn() -> None:
    hidden, counts = batch()
    attention = POOLINGS["attention"](5)
    torch.testing.assert_close(attention(hidden, counts), POOLINGS["mean"](5)(hidden, counts))
    attention(hidden, counts).square().sum().backward()
    assert next(attention.parameters()).grad.any()  # type: ignore[union-attr]
