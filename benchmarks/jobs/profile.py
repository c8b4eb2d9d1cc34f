"""Where the time of a job goes, on the host and on the device."""

import cProfile
import pstats
import time
from collections import Counter
from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity

__all__ = ["profile"]

_SHOWN = 25


def profile(work: Callable[[], object]) -> None:
    """Print a job's seconds, its launches, the device's busy seconds, and the host's functions.

    It runs four times: to warm up, as it is, under torch's profiler with the device's events alone,
    and under cProfile, which sees the main thread alone and makes small functions look larger.
    """
    work()
    print(f"{_seconds(work):.2f} s as it is")
    if torch.cuda.is_available():
        _device(work)
    profiler = cProfile.Profile()
    profiler.enable()
    work()
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(_SHOWN)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def _device(work: Callable[[], object]) -> None:
    with torch.profiler.profile(activities=[ProfilerActivity.CUDA]) as profiler:
        seconds = _seconds(work)
    # The events themselves: a tree of hundreds of thousands would take minutes.
    results = profiler.profiler.kineto_results
    spans, launches = [], Counter[str]()
    for event in results.events():
        name = event.name()
        if event.device_type() == torch.autograd.DeviceType.CUDA:
            spans.append((event.start_ns(), event.start_ns() + event.duration_ns(), name))
        elif "Launch" in name or "Memcpy" in name or "Synchronize" in name:
            launches[name] += 1
    busy, until = 0, 0
    by_kernel: Counter[str] = Counter()
    for start, end, name in sorted(spans):
        busy += max(0, end - max(start, until))
        until = max(until, end)
        by_kernel[name[:90]] += end - start
    print(f"{len(spans):,} kernels and copies, busy {busy / 1e9:.2f} of {seconds:.2f} s")
    for name, count in launches.most_common(8):
        print(f"{count:12,}  {name}")
    for name, nanoseconds in by_kernel.most_common(12):
        print(f"{nanoseconds / 1e9:10.3f} s  {name}")
