"""The keyed permutation is one, for every n, and looks like a random one."""

import numpy as np
import pytest

from dnamamba.data.samples.permutation import mix, permute


@pytest.mark.parametrize("n", [*range(1, 70), 255, 256, 257, 1000, 4095, 4097, 65_537, 300_007])
@pytest.mark.parametrize("key", [0, 1, 2**64 - 1])
def test_every_number_comes_once(n: int, key: int) -> None:
    order = permute(np.arange(n), n, np.uint64(key))
    np.testing.assert_array_equal(np.sort(order), np.arange(n))


def test_sizes_near_the_largest_stay_in_range() -> None:
    n = 2**40 + 3
    index = np.array([0, 1, n // 2, n - 2, n - 1])
    order = permute(index, n, np.uint64(7))
    assert len(set(order.tolist())) == 5
    assert order.min() >= 0
    assert order.max() < n


def test_each_element_may_have_its_own_size_and_key() -> None:
    n = np.array([5, 1000, 77, 5])
    key = np.array([3, 4, 5, 6], dtype=np.uint64)
    index = np.array([4, 999, 0, 4])
    together = permute(index, n, key)
    alone = [int(permute(index[i : i + 1], int(n[i]), key[i])[0]) for i in range(4)]
    assert together.tolist() == alone


def test_one_element_does_not_depend_on_its_neighbours() -> None:
    whole = permute(np.arange(1000), 1000, np.uint64(11))
    assert [int(permute(np.array([i]), 1000, np.uint64(11))[0]) for i in range(0, 1000, 97)] == (
        whole[::97].tolist()
    )


def test_orders_are_spread_evenly() -> None:
    """Where the first element goes, and how far from it the second, over 40,000 keys."""
    n, keys = 100, mix(5, np.arange(40_000))
    first = permute(np.zeros(40_000, np.int64), n, keys)
    second = permute(np.ones(40_000, np.int64), n, keys)
    for places, cells in ((np.bincount(first), n), (np.bincount((second - first) % n)[1:], n - 1)):
        expected = 40_000 / cells
        assert ((places - expected) ** 2 / expected).sum() < 150  # chi-square at p = 0.001


def test_orders_of_successive_epochs_are_unrelated() -> None:
    n = 10_007
    orders = [permute(np.arange(n), n, mix(1, epoch)) for epoch in range(3)]
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert abs(np.corrcoef(orders[one], orders[other])[0, 1]) < 4 / np.sqrt(n)
    assert abs(np.corrcoef(orders[0][1:], orders[0][:-1])[0, 1]) < 4 / np.sqrt(n)


def test_the_hash_never_changes() -> None:
    """Checkpoints rely on it. 0 -> splitmix64's first output from state 0."""
    assert int(mix(0)) == 0xE220A8397B1DCDAF
    assert mix(np.array([1, -1]), 3).tolist() == [
        9_716_232_063_330_790_915,
        209_967_342_931_450_243,
    ]
    assert permute(np.arange(8), 8, np.uint64(1)).tolist() == [3, 2, 7, 0, 6, 4, 5, 1]


def test_the_hash_depends_on_every_word_and_their_order() -> None:
    values = {int(mix(*words)) for words in ((1, 2), (2, 1), (1,), (1, 2, 0), (1, 3), (0, 1, 2))}
    assert len(values) == 6
