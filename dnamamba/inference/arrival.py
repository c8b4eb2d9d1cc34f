"""Results on their way from the device, so that its next work need not wait for them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor

from dnamamba.inference.side_by_side import batches_ahead

__all__ = ["to_host", "trailing"]

Result = TypeVar("Result")


def to_host(tensor: Tensor) -> Callable[[], NDArray[Any]]:
    """Have a tensor copied as soon as the device has it.

    Returns:
        Waits for this copy, and for nothing that the device was given to do since; then hands out
        the array.
    """
    if tensor.device.type != "cuda":
        array = tensor.cpu().numpy()
        return lambda: array
    copy = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu", pin_memory=True)
    copy.copy_(tensor, non_blocking=True)
    arrived = torch.cuda.Event()
    arrived.record(torch.cuda.current_stream(tensor.device))

    def wait() -> NDArray[Any]:
        arrived.synchronize()
        return copy.numpy()

    return wait


def trailing(
    results: Iterable[Result], device: torch.device, processes: int = 1
) -> Iterator[Result]:
    """Results of batches that an accelerator works on, each handed out a few batches later.

    Who then waits for one of them leaves the device with work to do. On a CPU, where a result is
    there when it is handed out, nothing is held back. Of batches that are divided among processes
    as many more are on their way.
    """
    ahead = 0 if device.type == "cpu" else batches_ahead(device) * processes
    queue: deque[Result] = deque()
    for result in results:
        queue.append(result)
        if len(queue) > ahead:
            yield queue.popleft()
    yield from queue
