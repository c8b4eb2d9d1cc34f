"""The stream of samples is a pure function of (seed, i); sharding and resuming are arithmetic."""

from collections import Counter
from itertools import islice, product

import numpy as np
import pytest

from dnamamba.data.samples.order import held_out_batches, training_batches
from dnamamba.data.windows.plan import WindowPlan, quotas
from dnamamba.data.windows.regions import Regions
from dnamamba.data.windows.tiling import Tiling, tile

LENGTH = 10


def tiling(n: int) -> Tiling:
    """n windows on two contigs."""
    half = n // 2
    ends = np.array([max(half, 0), n - half]) * LENGTH
    some = ends > 0
    whole = Regions(np.array([0, 1])[some], np.zeros(2, np.int64)[some], ends[some])
    return tile(whole, LENGTH, LENGTH, "drop", "drop")


def plan(n: int, seed: int = 1) -> WindowPlan:
    return WindowPlan(tiling(n), (n,), (n,), seed, shuffle=True, flip=True)


def mixed(pools: tuple[int, ...], weights: list[float], seed: int = 1) -> WindowPlan:
    total = sum(pools)
    return WindowPlan(tiling(total), pools, quotas(total, weights), seed, shuffle=True, flip=True)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 64, 1000])
@pytest.mark.parametrize("seed", [0, 2**63 - 1])
def test_an_epoch_holds_every_window_once(n: int, seed: int) -> None:
    for epoch in range(3):
        numbers = plan(n, seed).numbers(np.arange(epoch * n, (epoch + 1) * n))
        assert sorted(numbers.tolist()) == list(range(n))


def test_epochs_and_seeds_differ_and_a_seed_repeats() -> None:
    orders = [
        plan(100, seed).numbers(np.arange(epoch * 100, (epoch + 1) * 100)).tolist()
        for seed, epoch in ((1, 0), (1, 1), (2, 0))
    ]
    assert len({tuple(order) for order in orders}) == 3
    assert plan(100, 1).numbers(np.arange(100)).tolist() == orders[0]


def test_a_sample_depends_on_its_number_alone() -> None:
    whole = plan(97).samples(np.arange(1000))
    for i in (0, 96, 97, 500, 999):
        alone = plan(97).samples(np.array([i]))
        assert [int(column[0]) for column in alone] == [int(column[i]) for column in whole]


def test_the_order_is_not_that_of_the_genome_unless_asked() -> None:
    n = 50
    assert plan(n).numbers(np.arange(n)).tolist() != list(range(n))
    in_order = WindowPlan.in_order(tiling(n))
    assert in_order.numbers(np.arange(n)).tolist() == list(range(n))
    assert not in_order.samples(np.arange(n)).reverse.any()


def test_strands_are_fair_and_drawn_anew_in_each_epoch() -> None:
    n = 5000
    one, two = (plan(n).samples(np.arange(e * n, (e + 1) * n)).reverse for e in range(2))
    for strands in (one, one ^ two, one[1:] ^ one[:-1]):
        assert abs(strands.mean() - 0.5) < 4 * 0.5 / np.sqrt(n - 1)


def test_a_negative_number_is_an_empty_window() -> None:
    found = plan(5).samples(np.array([-1, 3, -1]))
    assert found.length.tolist() == [0, LENGTH, 0]


def test_far_samples_are_reached_at_once() -> None:
    n, epoch = 1000, 10**12
    numbers = plan(n).numbers(np.arange(epoch * n, (epoch + 1) * n))
    assert sorted(numbers.tolist()) == list(range(n))


@pytest.mark.parametrize(
    ("total", "weights", "expected"),
    [
        (10, [1, 1], (5, 5)),
        (10, [1, 1, 1], (4, 3, 3)),
        (10, [0.7, 0.2, 0.1], (7, 2, 1)),
        (7, [3, 1], (5, 2)),
        (3, [1e-9, 1], (0, 3)),
        (1_000_003, [0.1, 0.2, 0.3], (166_667, 333_334, 500_002)),
    ],
)
def test_quotas_are_the_largest_remainders(total: int, weights, expected) -> None:
    assert quotas(total, weights) == expected
    assert sum(expected) == total


@pytest.mark.parametrize("weights", [[1, 1, 1], [5, 1, 2], [0.6, 0.3, 0.1]])
def test_genomes_are_mixed_by_weight_and_none_of_their_windows_is_favoured(weights) -> None:
    """Each genome meets its quota in every epoch, and goes evenly through its own windows."""
    pools = (40, 13, 7)
    stream = mixed(pools, weights)
    pool_of = np.repeat(np.arange(3), pools)
    seen: Counter[int] = Counter()
    for epoch in range(25):
        numbers = stream.numbers(np.arange(epoch * 60, (epoch + 1) * 60))
        assert tuple(np.bincount(pool_of[numbers], minlength=3)) == stream.quota
        seen.update(numbers.tolist())
        for pool in range(3):
            times = [seen[number] for number in np.flatnonzero(pool_of == pool)]
            assert max(times) - min(times) <= 1 or stream.quota[pool] > pools[pool]
    for pool in range(3):
        times = [seen[number] for number in np.flatnonzero(pool_of == pool)]
        assert max(times) - min(times) <= 2
        assert sum(times) == 25 * stream.quota[pool]


def test_a_genome_of_small_weight_ends_its_round_before_it_repeats() -> None:
    stream = mixed((90, 10), [9.7, 0.3])
    numbers = stream.numbers(np.arange(100 * 10))
    small = [n for n in numbers.tolist() if n >= 90]
    assert len(small) == 30
    counts = Counter(small)
    assert set(counts.values()) == {3}


GRID = list(product([1, 5, 24, 31], [4, 12], [1, 2, 4]))


@pytest.mark.parametrize(("n", "global_batch", "world"), GRID)
def test_no_window_is_lost_or_seen_twice_in_an_epoch(n: int, global_batch: int, world: int) -> None:
    """The ranks' batches, laid end to end, are the stream 0, 1, 2, ... and so its epochs."""
    steps = -(-3 * n // global_batch)
    batch = global_batch // world
    ranks = [islice(training_batches(0, batch, rank, world), steps) for rank in range(world)]
    stream = np.concatenate([np.concatenate(step) for step in zip(*ranks, strict=True)])
    assert stream.tolist() == list(range(steps * global_batch))
    numbers = plan(n).numbers(stream)
    for epoch in range(3):
        assert sorted(numbers[epoch * n : (epoch + 1) * n].tolist()) == list(range(n))


@pytest.mark.parametrize(("n", "global_batch", "world"), GRID)
@pytest.mark.parametrize("stop", [0, 1, 2, 5, 9])
@pytest.mark.parametrize("world_after", [1, 2, 4])
def test_a_resumed_stream_is_the_rest_of_the_whole_one(
    n: int, global_batch: int, world: int, stop: int, world_after: int
) -> None:
    def run(start: int, world: int, steps: int) -> list[list[int]]:
        ranks = [
            islice(training_batches(start, global_batch // world, rank, world), steps)
            for rank in range(world)
        ]
        return [np.concatenate(step).tolist() for step in zip(*ranks, strict=True)]

    whole = run(0, world, 12)
    resumed = run(stop * global_batch, world_after, 12 - stop)
    assert resumed == whole[stop:]


HELD_OUT = list(product([1, 5, 24, 31], [1, 4, 64], [1, 2, 3, 4]))


@pytest.mark.parametrize(("n", "batch", "world"), HELD_OUT)
def test_held_out_windows_are_read_once_by_ranks_in_step(n: int, batch: int, world: int) -> None:
    ranks = [list(held_out_batches(n, batch, rank, world)) for rank in range(world)]
    assert len({tuple(map(len, rank)) for rank in ranks}) == 1
    assert len(ranks[0]) == -(-n // (batch * world))
    read = np.concatenate([index for rank in ranks for index in rank])
    assert sorted(read[read >= 0].tolist()) == list(range(n))
    assert (read < 0).sum() < world
