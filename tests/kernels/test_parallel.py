"""Blocks of rows and channels, and the threads that they run on."""

import threading
from collections.abc import Callable

import pytest
import torch

from dnamamba_kernels import parallel


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 16])
@pytest.mark.parametrize(("batch", "channels"), [(1, 1), (1, 7), (3, 5), (8, 256), (6, 1)])
def test_blocks_cover_every_row_and_channel_once(
    batch: int, channels: int, threads: int, threaded: Callable[[int], None]
) -> None:
    threaded(threads)
    seen = torch.zeros(batch, 2, channels)
    blocks = parallel.blocks(seen, 1)
    for block in blocks:
        part = block.cut(seen)
        assert part.numel()
        part += 1
    assert (seen == 1).all()
    assert len(blocks) <= threads


def test_little_work_or_another_device_is_one_block(
    threaded: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    threaded(8)
    monkeypatch.undo()
    assert len(parallel.blocks(torch.zeros(8, 4, 16), 16)) == 1
    assert len(parallel.blocks(torch.zeros(8, 4096, 256, device="meta"), 16)) == 1
    assert len(parallel.blocks(torch.zeros(8, 4096, 256), 16)) == 8
    assert len(parallel.blocks(torch.zeros(0, 4096, 256), 16)) == 1


def test_results_come_in_order_from_threads_that_compute_alone() -> None:
    before = torch.get_num_threads()
    started = threading.Barrier(3)

    def task(number: int) -> tuple[int, str, int, bool]:
        started.wait(timeout=60)
        thread = threading.current_thread().name
        return number, thread, torch.get_num_threads(), torch.is_grad_enabled()

    results = parallel.run([lambda k=k: task(k) for k in range(3)])
    assert [number for number, *_ in results] == [0, 1, 2]
    assert len({thread for _, thread, *_ in results}) == 3
    assert {(threads, grad) for *_, threads, grad in results} == {(1, False)}
    assert torch.get_num_threads() == before
    seen: list[int] = []
    late = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    late.start()
    late.join()
    assert seen == [before]


def test_an_error_in_a_task_is_the_callers() -> None:
    def fail() -> None:
        raise RuntimeError("disk on fire")

    for tasks in ([fail], [fail, lambda: None]):
        with pytest.raises(RuntimeError, match="disk on fire"):
            parallel.run(tasks)


def test_inference_mode_reaches_the_threads() -> None:
    with torch.inference_mode():
        made = parallel.run([lambda: torch.zeros(1), lambda: torch.zeros(1)])
    assert all(tensor.is_inference() for tensor in made)
