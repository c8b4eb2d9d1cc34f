"""Batches on threads: in order, nobody's failure is lost, and a thread computes alone."""

import threading
from collections.abc import Iterator

import pytest
import torch

from dnamamba.inference.side_by_side import side_by_side

CPU = torch.device("cpu")


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("number", [0, 1, 2, 7])
@pytest.mark.parametrize("brief", [False, True])
def test_results_are_in_order(threads: int, number: int, brief: bool) -> None:
    assert side_by_side(lambda x: x * x, range(number), CPU, brief) == [
        x * x for x in range(number)
    ]


def test_each_thread_computes_alone_and_in_the_callers_modes(threads: int) -> None:
    def modes(_: int) -> tuple[int, bool, bool]:
        inference = torch.is_inference_mode_enabled()
        return torch.get_num_threads(), inference, torch.is_autocast_enabled("cpu")

    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert side_by_side(modes, range(5), CPU) == [(1, True, True)] * 5
        assert side_by_side(modes, range(1), CPU) == [(threads, True, True)]
        assert side_by_side(modes, range(1), CPU, brief=True) == [(1, True, True)]
    assert side_by_side(modes, range(2), CPU) == [(1, False, False)] * 2
    assert torch.get_num_threads() == threads


def test_a_failure_ends_the_work(threads: int) -> None:
    done = []

    def fails(number: int) -> None:
        done.append(number)
        if number == 3:
            raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        side_by_side(fails, range(10_000), CPU)
    assert len(done) < 10_000


def test_elsewhere_batches_follow_each_other_on_the_callers_thread(threads: int) -> None:
    own = threading.get_ident()
    meta = torch.device("meta")
    assert side_by_side(lambda _: threading.get_ident(), range(4), meta) == [own] * 4
