"""Samples of a run in stages: whose batch they are, whatever the devices and the resumes."""

from itertools import islice

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from dnamamba.data.samples.loader import SampleDataset
from dnamamba.data.samples.order import training_batches
from dnamamba.data.samples.stages import StagedDataset, Stages

STAGES = Stages((0, 3, 4, 9), (8, 16, 4, 12))
STEPS = 12
SIZES = [8] * 3 + [16] + [4] * 5 + [12] * 3


def test_a_step_takes_the_next_samples() -> None:
    ends = np.cumsum(SIZES)
    for step, numbers in enumerate(islice(STAGES.batches(0), STEPS)):
        assert numbers.tolist() == list(range(ends[step] - SIZES[step], ends[step]))
        own = STAGES.starts.index(max(s for s in STAGES.starts if s <= step))
        assert STAGES.at(step) == own
        assert (STAGES.of(numbers) == own).all()
        size = SIZES[step]
        within = STAGES.within(numbers).tolist()
        assert within == list(range(step * size, (step + 1) * size))


@pytest.mark.parametrize("world", [1, 2, 4])
@pytest.mark.parametrize("accumulated", [1, 2, 4])
def test_shares_of_a_step(world: int, accumulated: int) -> None:
    """From any batch on, and joined to the same steps."""
    if world * accumulated > 4:
        return
    whole = [numbers.tolist() for numbers in islice(STAGES.batches(0), STEPS)]
    for start in range(STEPS * accumulated):
        ranks = [
            islice(STAGES.batches(start, accumulated, rank, world), STEPS * accumulated - start)
            for rank in range(world)
        ]
        batches = [np.concatenate(parts).tolist() for parts in zip(*ranks, strict=True)]
        assert len(batches) == STEPS * accumulated - start
        first = start // accumulated
        read = [i for batch in batches for i in batch]
        expected = [i for step in whole[first:] for i in step]
        assert read == expected[len(expected) - len(read) :]
        assert {len(batch) for batch in batches[-accumulated:]} == {12 // accumulated}


def test_one_stage_is_the_plain_stream() -> None:
    for start in (0, 5):
        plain = training_batches(start * 8, 4, 1, 2)
        staged = Stages((0,), (16,)).batches(start, 2, 1, 2)
        for one, other in islice(zip(plain, staged, strict=False), 7):
            assert one.tolist() == other.tolist()


class Numbers(SampleDataset):
    """Samples that say their number."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return 100 // self.length

    def __getitem__(self, index: NDArray[np.int64]) -> dict[str, Tensor]:
        tokens = torch.from_numpy(index)[:, None].expand(-1, self.length)
        return {"tokens": tokens, "index": torch.from_numpy(index)}

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return (self.length,)

    def names(self, index: NDArray[np.int64]) -> list[str]:
        return [f"{self.length}: {i}" for i in index]


def test_a_batch_is_read_from_its_stage() -> None:
    dataset = StagedDataset([Numbers(3), Numbers(2), Numbers(5)], Stages((0, 2, 5), (4, 6, 2)))
    assert (len(dataset), dataset.sample_shape) == (20, (5,))
    batch = dataset[np.arange(8, 14)]
    assert batch["tokens"].tolist() == [[i, i] for i in range(12, 18)]
    assert batch["index"].tolist() == list(range(8, 14))
    assert dataset.names(np.array([7, 8, 25, 26])) == ["3: 7", "2: 12", "2: 29", "5: 10"]
