"""Vectors of both strands, and of models that read both ways: against single unpadded passes."""

from typing import Any

import numpy as np
import pytest
import torch
from models import opinionated, reading_both_ways

from dnamamba.alphabet import Tokenizer
from dnamamba.inference.embedding import embed
from dnamamba.model.language_model import LanguageModel

CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}
TOKENIZER = Tokenizer()
SEQUENCES = ["GATTACANNCAGGTTTACGRACATTTG", "C", "ACGTACGTTT", "NNNN", "TTGACCANTAGAC"]


@pytest.fixture(scope="module", params=["causal", "plain", "symmetric"])
def network(request: pytest.FixtureRequest) -> LanguageModel:
    if request.param == "causal":
        return opinionated().eval()
    return reading_both_ways(symmetric=request.param == "symmetric")


def _alone(model: LanguageModel, text: str, layer: int, flip: bool = False) -> torch.Tensor:
    """(bases, d_model) of one sequence; on the opposite strand at the plus strand's positions."""
    backbone = model.backbone
    ids = TOKENIZER.encode(text)
    if flip:
        ids = TOKENIZER.reverse_complement(ids)
    tokens = torch.tensor([[*backbone.start_tokens, *ids.tolist()]])
    with torch.no_grad():
        hidden, _ = backbone(tokens, layer=layer)
    bases = backbone.features(hidden)[0, len(backbone.start_tokens) :]
    return bases.flip(0) if flip else bases


def _pooled(bases: torch.Tensor, pooling: str) -> torch.Tensor:
    return {"mean": bases.mean(0), "max": bases.amax(0), "last": bases[-1]}[pooling]


@pytest.mark.parametrize("layer", [-1, 0])
def test_one_vector_a_base_is_the_mean_of_both_strands(network: LanguageModel, layer: int) -> None:
    settings: Any = {"pooling": None, "layer": layer}
    for batch in ({}, {"batch_size": 2, "chunk_length": 5}, {"max_bases": 30}):
        one = embed(network, TOKENIZER, SEQUENCES, **settings, **batch)
        both = embed(network, TOKENIZER, SEQUENCES, **settings, **batch, both_strands=True)
        for text, forward, mean in zip(SEQUENCES, one, both, strict=True):
            plus, minus = (_alone(network, text, layer, flip) for flip in (False, True))
            np.testing.assert_allclose(forward, plus, **CLOSE)
            np.testing.assert_allclose(mean, (plus + minus) / 2, **CLOSE)
            assert np.isfinite(mean).all()  # of a sequence of N, too


@pytest.mark.parametrize("pooling", ["mean", "max", "last"])
def test_one_vector_a_sequence_is_the_mean_of_both_strands(
    network: LanguageModel, pooling: Any
) -> None:
    got = embed(network, TOKENIZER, SEQUENCES, pooling=pooling, both_strands=True, batch_size=3)
    for text, vector in zip(SEQUENCES, got, strict=True):
        plus, minus = _alone(network, text, -1), _alone(network, text, -1, True).flip(0)
        expected = (_pooled(plus, pooling) + _pooled(minus, pooling)) / 2
        np.testing.assert_allclose(vector, expected, **CLOSE)
    flips = [text.translate(str.maketrans("ACGTR", "TGCAY"))[::-1] for text in SEQUENCES]
    turned = embed(network, TOKENIZER, flips, pooling=pooling, both_strands=True)
    np.testing.assert_allclose(got, turned, **CLOSE)


def test_a_symmetric_model_reads_once() -> None:
    model = reading_both_ways(symmetric=True)
    passes = []
    handle = model.backbone.embedding.register_forward_hook(lambda *_: passes.append(1))
    one = embed(model, TOKENIZER, SEQUENCES)
    both = embed(model, TOKENIZER, SEQUENCES, both_strands=True)
    handle.remove()
    np.testing.assert_array_equal(one, both)
    assert len(passes) == 2


@pytest.mark.parametrize("symmetric", [False, True])
def test_what_fits_is_read_whole_and_windows_change_little(symmetric: bool) -> None:
    model = reading_both_ways(symmetric)
    random = np.random.default_rng(4)
    texts = ["".join(random.choice(list("ACGT"), n)) for n in (400, 90, 399)]
    whole = embed(model, TOKENIZER, texts, pooling=None)
    same = embed(model, TOKENIZER, texts, pooling=None, max_bases=400, overlap=100)
    windows = embed(model, TOKENIZER, texts, pooling=None, max_bases=200, overlap=80)
    near = embed(model, TOKENIZER, texts, pooling=None, max_bases=200, overlap=5)
    for i, expected in enumerate(whole):
        np.testing.assert_allclose(same[i], expected, **CLOSE)
        scale = np.abs(expected).max()
        assert np.abs(windows[i] - expected).max() < 1e-2 * scale
    np.testing.assert_allclose(windows[1], whole[1], **CLOSE)
    far = [np.abs(x[0] - whole[0]).max() for x in (windows, near)]
    assert 0 < far[0] < far[1]
    pooled = embed(model, TOKENIZER, texts, max_bases=200, overlap=80)
    np.testing.assert_allclose(pooled, [rows.mean(0) for rows in windows], **CLOSE)
    if symmetric:
        flips = [text.translate(str.maketrans("ACGT", "TGCA"))[::-1] for text in texts]
        turned = embed(model, TOKENIZER, flips, pooling=None, max_bases=200, overlap=80)
        for rows, opposite in zip(windows, turned, strict=True):
            np.testing.assert_allclose(rows, opposite[::-1], **CLOSE)


def test_a_batch_is_bounded_by_its_bases() -> None:
    model = reading_both_ways()
    shapes = []
    handle = model.backbone.embedding.register_forward_hook(
        lambda _, inputs, __: shapes.append(tuple(inputs[0].shape))
    )
    embed(model, TOKENIZER, ["ACGT" * 10] * 5 + ["AC"] * 20, max_bases=90, batch_size=16)
    handle.remove()
    assert shapes == [(2, 40), (2, 40), (2, 40), (16, 2), (3, 2)]


def test_a_switch_is_a_switch() -> None:
    with pytest.raises(ValueError, match="both_strands must be True or False, got 'yes'"):
        embed(opinionated(), TOKENIZER, ["ACGT"], both_strands="yes")  # type: ignore[call-overload]
