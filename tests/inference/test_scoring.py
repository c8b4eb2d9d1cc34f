from typing import Any

import numpy as np
import pytest
import torch

from dnamamba.alphabet import BOS, Tokenizer
from dnamamba.inference.scoring import Scores, score
from dnamamba.model.language_model import LanguageModel


def _by_hand(model: LanguageModel, tokenizer: Tokenizer, sequence: str) -> tuple[float, int]:
    """Base by base, each from a fresh pass over all that stands before it."""
    total, bases = 0.0, 0
    for i, letter in enumerate(sequence):
        if letter not in "ACGT":
            continue
        tokens = np.concatenate([[BOS], tokenizer.encode(sequence[:i])]).astype(np.int64)
        with torch.no_grad():
            logits, _ = model(torch.from_numpy(tokens)[None])
        target = int(tokenizer.encode(letter)[0])
        total += float(logits[0, -1].double().log_softmax(0)[target])
        bases += 1
    return total, bases


def test_equals_the_chain_rule_by_hand(model: LanguageModel, tokenizer: Tokenizer) -> None:
    sequences = ["GATTACA", "ACNNGT", "C", "acgtRacc".upper()]
    scores = score(model, tokenizer, sequences)
    for i, sequence in enumerate(sequences):
        total, bases = _by_hand(model, tokenizer, sequence)
        assert scores.log_likelihood[i] == pytest.approx(total, rel=1e-5)
        assert scores.bases[i] == bases


@pytest.mark.parametrize(("batch_size", "chunk_length"), [(1, 1), (3, 64), (8, 50), (100, 333)])
def test_independent_of_batch_and_chunk(
    model: LanguageModel,
    tokenizer: Tokenizer,
    sequences: list[str],
    batch_size: int,
    chunk_length: int,
) -> None:
    if chunk_length == 1:
        sequences = [sequence[:40] for sequence in sequences]
    alone = [score(model, tokenizer, [s], chunk_length=10**6) for s in sequences]
    got = score(model, tokenizer, sequences, batch_size=batch_size, chunk_length=chunk_length)
    np.testing.assert_allclose(
        got.log_likelihood, [float(s.log_likelihood[0]) for s in alone], rtol=1e-5
    )
    np.testing.assert_array_equal(got.bases, [sum(map(s.count, "ACGT")) for s in sequences])


def test_bits_per_base() -> None:
    scores = Scores(np.array([-4 * np.log(2), 0.0]), np.array([2, 0]))
    bits = scores.bits_per_base
    assert bits[0] == pytest.approx(2)
    assert np.isnan(bits[1])


def test_nothing_but_n_is_no_evidence(model: LanguageModel, tokenizer: Tokenizer) -> None:
    scores = score(model, tokenizer, ["NNN"])
    assert scores.log_likelihood.tolist() == [0.0]
    assert scores.bases.tolist() == [0]


def test_a_backbone_cannot_score(model: LanguageModel, tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="needs a language model, got Mamba"):
        score(model.backbone, tokenizer, ["ACGT"])


@pytest.mark.parametrize(
    ("sequences", "message"),
    [(["A", ""], r"sequences\[1\] is empty"), ("ACGT", "wrap it in a list")],
)
def test_bad_input_is_named(
    model: LanguageModel, tokenizer: Tokenizer, sequences: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        score(model, tokenizer, sequences)
