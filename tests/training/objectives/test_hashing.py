"""The hash on a device is the hash of the data room, bit for bit."""

import numpy as np
import pytest
import torch

from dnamamba.data.samples import permutation
from dnamamba.training.objectives.hashing import mix


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_it_is_that_of_the_samples(seed: int) -> None:
    index = torch.tensor([[0], [1], [2**40 + 7], [2**63 - 1], [-1]])
    at = torch.arange(1000)
    bits = mix(seed, index, at)
    assert bits.dtype == torch.int64
    expected = permutation.mix(seed, index.numpy(), at.numpy())
    np.testing.assert_array_equal(bits.numpy().view(np.uint64), expected)


def test_numbers_alone_are_hashed_too() -> None:
    assert int(mix(5)) == int(permutation.mix(5).astype(np.int64))


@pytest.mark.gpu
def test_a_gpu_gives_the_same_bits() -> None:
    index, at = torch.tensor([[0], [2**62 + 5]]), torch.arange(4096)
    assert torch.equal(mix(7, index.cuda(), at.cuda()).cpu(), mix(7, index, at))
