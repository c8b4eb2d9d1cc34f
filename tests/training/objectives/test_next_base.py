"""What the next base is predicted from, and what each base weighs."""

import numpy as np
import pytest
import torch
from raw_batches import raw_batch

from dnamamba.alphabet import BOS, PAD, Tokenizer
from dnamamba.training.objectives import NextBase


@pytest.mark.parametrize("name", ["nucleotide", "byte"])
def test_targets_are_the_bases_and_inputs_those_before(name: str) -> None:
    tokenizer = Tokenizer(name)  # type: ignore[arg-type]
    batch, lower = raw_batch(tokenizer)
    example = NextBase().example(batch, tokenizer, soft_mask_weight=0.25)
    ids = batch["tokens"].numpy()
    expected = np.where(tokenizer.scored[ids], np.where(lower, 0.25, 1), 0)
    np.testing.assert_array_equal(example.targets.numpy(), ids)
    np.testing.assert_array_equal(example.weight.numpy(), expected.astype(np.float32))
    inputs, real = example.tokens.numpy(), ids != PAD
    assert (inputs[:, 0] == np.where(real[:, 0], BOS, PAD)).all()
    np.testing.assert_array_equal(inputs[:, 1:], np.where(real[:, 1:], ids[:, :-1], PAD))
    assert example.lengths is batch["lengths"]
    assert example.resets is None
    assert example.tokens.dtype == example.targets.dtype == torch.uint8
    assert example.weight.dtype == torch.float32


def test_without_a_soft_mask_every_base_counts_alike() -> None:
    batch, _ = raw_batch(Tokenizer())
    del batch["soft_mask"], batch["lengths"]
    full = {"tokens": batch["tokens"].clamp(min=4)}
    example = NextBase().example(full, Tokenizer(), soft_mask_weight=0.25)
    assert set(example.weight.unique().tolist()) == {0.0, 1.0}
    assert (example.tokens[:, 0] == BOS).all()
    assert torch.equal(example.tokens[:, 1:], full["tokens"][:, :-1])
    assert example.lengths is None


def test_a_segment_begins_with_bos() -> None:
    bases = torch.tensor([[4, 5, 6, 7, 4, 5]], dtype=torch.uint8)
    resets = torch.tensor([[True, False, False, True, False, False]])
    example = NextBase().example({"tokens": bases, "resets": resets}, Tokenizer())
    assert example.tokens.tolist() == [[BOS, 4, 5, BOS, 7, 4]]
    assert example.resets is resets
    assert torch.equal(example.targets, bases)
