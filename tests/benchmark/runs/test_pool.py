"""Runs side by side: all are done, an error costs one run, and the time is kept."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from dnamamba.benchmark.runs import pool
from dnamamba.benchmark.runs.outcomes import Outcome, run_here
from dnamamba.benchmark.runs.pool import run_in_processes


@dataclass(frozen=True)
class Toy:
    """A run of which the name says what becomes of it."""

    name: str
    on_device: bool = True


def work(folder: Path, toy: Toy) -> None:
    what, _, _ = toy.name.partition(" ")
    if what == "wrong":
        raise ValueError("a wrong one")
    if what == "dies":
        print("about to die", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "faults":
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    if what == "sleeps":
        time.sleep(60)
    if what == "meets":  # another one, in another worker
        (folder / f"here {toy.name}").touch()
        while len([*folder.glob("here *")]) < 2:
            time.sleep(0.01)
    seen = (os.getpid(), *map(os.environ.get, ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")))
    (folder / toy.name).write_text(" ".join(map(str, seen)))


def on_device(toy: Toy) -> bool:
    return toy.on_device


Ran = Callable[..., list[Outcome]]


@pytest.fixture
def side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """Runs toys in two workers for the device and one beside them."""
    monkeypatch.setattr(pool, "_PRELOAD", [])

    def run(
        toys: list[Toy],
        seconds: float = 60,
        workers: tuple[int, int] = (2, 1),
        gpus: tuple[str, ...] = (),
    ) -> list[Outcome]:
        def ready() -> list[Toy]:
            return [toy for toy in toys if not (tmp_path / toy.name).exists()]

        how = partial(work, tmp_path), on_device, workers, seconds, tmp_path / "logs", gpus
        return list(run_in_processes(ready, *how))

    return run


def test_every_run_but_those_that_fail(tmp_path: Path, side_by_side: Ran) -> None:
    names = ["a", "wrong", "dies", "b", "c", "d", "e"]
    outcomes = side_by_side([Toy(name, i % 2 == 0) for i, name in enumerate(names)])
    errors = {outcome.name: outcome.error for outcome in outcomes}
    assert {*errors} == {*names}
    assert [name for name, error in errors.items() if error] in (
        ["wrong", "dies"],
        ["dies", "wrong"],
    )
    assert str(errors["wrong"]).rstrip().endswith("ValueError: a wrong one")
    assert "about to die" in str(errors["dies"])
    assert str(errors["dies"]).endswith(
        "the worker ended with SIGKILL, perhaps for want of memory; ask for fewer workers"
    )
    done = [(tmp_path / name).read_text().split() for name in "abcde"]
    assert {threads for _, threads, _ in done} == {"1"}
    assert str(os.getpid()) not in {process for process, *_ in done}


def test_each_worker_sees_a_gpu_of_its_own(
    tmp_path: Path, side_by_side: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the one that takes the place of a worker which has died."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    toys = [Toy("dies"), Toy("meets a"), Toy("meets b")]
    side_by_side(toys, workers=(2, 0), gpus=("3", "GPU-5b"))
    assert {(tmp_path / toy.name).read_text().split()[2] for toy in toys[1:]} == {"3", "GPU-5b"}


def test_a_worker_whose_gpu_is_lost_is_replaced(tmp_path: Path, side_by_side: Ran) -> None:
    """It would fail at whatever it was given then."""
    outcomes = side_by_side([Toy("faults 1"), Toy("a")], workers=(1, 0))
    assert [(outcome.name, bool(outcome.error)) for outcome in outcomes] == [
        ("faults 1", True), ("a", False),
    ]  # fmt: skip
    outcomes = side_by_side([Toy("wrong"), Toy("b"), Toy("faults 2"), Toy("c")], workers=(1, 0))
    assert {outcome.name for outcome in outcomes if outcome.error} == {"wrong", "faults 2"}
    process = {name: (tmp_path / name).read_text().split()[0] for name in "bc"}
    assert process["b"] != process["c"]


def test_the_time_is_kept_and_no_worker_is_left(tmp_path: Path, side_by_side: Ran) -> None:
    began = time.monotonic()
    assert side_by_side([Toy("sleeps 1"), Toy("sleeps 2", False)], seconds=1.5) == []
    assert time.monotonic() - began < 20


def test_workers_for_the_device_help_when_it_has_no_work(tmp_path: Path, side_by_side: Ran) -> None:
    toys = [Toy(f"core {i}", False) for i in range(3)]
    assert len(side_by_side(toys, workers=(1, 0))) == 3


def test_in_this_process_an_error_costs_one_run() -> None:
    done: list[str] = []

    def do(toy: Toy) -> None:
        if toy.name == "wrong":
            raise ValueError("a wrong one")
        done.append(toy.name)

    toys = [Toy("a"), Toy("wrong"), Toy("b")]
    outcomes = list(run_here(lambda: [toy for toy in toys if toy.name not in done], do, 60))
    assert done == ["a", "b"]
    assert [outcome.name for outcome in outcomes if outcome.error] == ["wrong"]
    assert list(run_here(lambda: toys, do, 0)) == []


def test_ctrl_c_goes_through() -> None:
    def stop(toy: Toy) -> None:
        raise KeyboardInterrupt

    outcomes: Iterator[Outcome] = run_here(lambda: [Toy("a")], stop, 60)
    with pytest.raises(KeyboardInterrupt):
        next(outcomes)
