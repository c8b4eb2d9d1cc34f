"""Results on their way: in order, late only where a device works meanwhile."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from dnamamba.inference.arrival import to_host, trailing
from dnamamba.inference.side_by_side import batches_ahead


@pytest.mark.parametrize(("device", "late"), [("cpu", 0), ("meta", 4)])
@pytest.mark.parametrize("number", [0, 3, 10])
def test_results_come_in_order_and_late_behind_a_device(
    device: str, late: int, number: int
) -> None:
    where = torch.device(device)
    assert late in (0, batches_ahead(where))
    taken: list[int] = []

    def results() -> Iterator[int]:
        for result in range(number):
            taken.append(result)
            yield result

    lead = [len(taken) - result - 1 for result in trailing(results(), where)]
    assert lead == [min(late, number - 1 - result) for result in range(number)]


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_what_arrives_is_what_was_sent(device: str) -> None:
    tensor = torch.arange(6.0, device=device, dtype=torch.float64).view(2, 3)
    arrive = to_host(tensor * 2)
    np.testing.assert_array_equal(arrive(), 2 * np.arange(6.0).reshape(2, 3))
