"""Killed anywhere and resumed, a run sees the batches and ends with the weights of an unbroken one.

26 training windows in batches of 8: an epoch has 3 steps, and steps 2, 5 and 8 (from 0) end one.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

DRIVER = Path(__file__).with_name("resume_driver.py")
STEPS = 10
Batches = list[tuple[int, list[int]]]


class Runs:
    """Fits in processes of their own, each with a folder for what it leaves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.genomes = [str(folder / "one.fa"), str(folder / "two.fa")]
        draw = np.random.default_rng(0)
        for path, contigs in zip(
            self.genomes, ({"a": 1000, "held_out": 300}, {"b": 600}), strict=True
        ):
            text = "".join(
                f">{name}\n{''.join(draw.choice(list('ACGTacgtN'), length))}\n"
                for name, length in contigs.items()
            )
            Path(path).write_text(text)
        self.log = (folder / "stderr.txt").open("w")
        self.process = subprocess.Popen(
            [sys.executable, str(DRIVER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self.count = 0
        self.fit(steps=2)  # in the driver itself, which is then quicker

    def fit(self, **order: Any) -> tuple[Path, list[int]]:
        """The run's folder and the exit codes of its processes."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.count += 1
        folder = self.folder / f"run-{self.count}"
        order = {"folder": str(folder), "genomes": self.genomes, **order}
        print(json.dumps(order), file=self.process.stdin, flush=True)
        return folder, json.loads(self.process.stdout.readline())

    def close(self) -> None:
        with self.process, self.log:  # closes the pipes: the driver ends
            pass

    def whole(self, **order: Any) -> Path:
        """A run that must end well."""
        folder, codes = self.fit(**order)
        assert not any(codes), (self.folder / "stderr.txt").read_text()[-2000:]
        return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    runs = Runs(tmp_path_factory.mktemp("resume"))
    yield runs
    runs.close()


@pytest.fixture(scope="module")
def unbroken(runs: Runs) -> Path:
    return runs.whole()


def batches(folder: Path) -> Batches:
    """(step, samples of all ranks) of each batch."""
    ranks = [
        [json.loads(line) for line in path.read_text().splitlines()]
        for path in sorted(folder.glob("batches-*.jsonl"))
    ]
    return [
        (parts[0][0], [i for _, index, _ in parts for i in index])
        for parts in zip(*ranks, strict=True)
    ]


def steps(folder: Path) -> Batches:
    """(step, samples) of each optimiser step, over ranks and accumulated batches."""
    joined: dict[int, list[int]] = {}
    for step, index in batches(folder):
        joined.setdefault(step, []).extend(index)
    return list(joined.items())


def lines(folder: Path) -> list[str]:
    """Steps, samples and tokens of a run with one process."""
    return (folder / "batches-0.jsonl").read_text().splitlines()


def last(folder: Path) -> str:
    """The newest checkpoint of a run."""
    return str(max(folder.glob("*.ckpt"), key=lambda path: path.stat().st_mtime_ns))


def same_weights(one: Path, other: Path) -> bool:
    a, b = (torch.load(folder / "weights.pt") for folder in (one, other))
    return all(torch.equal(a[name], b[name]) for name in a)


def test_the_unbroken_run_reads_the_stream_in_order(unbroken: Path) -> None:
    read = [i for _, index in batches(unbroken) for i in index]
    assert read == list(range(8 * STEPS))


@pytest.mark.parametrize("step", range(STEPS))
def test_an_exception_at_any_step(runs: Runs, unbroken: Path, step: int) -> None:
    broken, codes = runs.fit(stop={"batch": step, "how": "exception"})
    assert codes == [1]
    assert last(broken).endswith("exception.ckpt")
    resumed = runs.whole(resume=last(broken), seed=77)
    assert lines(resumed) == lines(unbroken)[step:]
    assert same_weights(resumed, unbroken)


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("step", [1, 3, 5, 9])
def test_sigkill(runs: Runs, unbroken: Path, step: int, num_workers: int) -> None:
    """The checkpoints of the steps before remain: after steps 3 and 9, those of an epoch's end."""
    broken, codes = runs.fit(stop={"batch": step, "how": "SIGKILL"}, num_workers=num_workers)
    assert codes == [-signal.SIGKILL]
    resumed = runs.whole(resume=last(broken), seed=77, num_workers=2 - num_workers)
    assert lines(resumed) == lines(unbroken)[step:]
    assert same_weights(resumed, unbroken)


@pytest.mark.parametrize(("step", "num_workers"), [(1, 0), (2, 2), (5, 0)])
def test_sigterm_ends_the_run_after_its_batch(
    runs: Runs, unbroken: Path, step: int, num_workers: int
) -> None:
    broken, _ = runs.fit(stop={"batch": step, "how": "SIGTERM"}, num_workers=num_workers)
    assert len(lines(broken)) == step + 1
    assert last(broken).endswith("exception.ckpt")
    resumed = runs.whole(resume=last(broken), seed=77, num_workers=num_workers)
    assert lines(resumed) == lines(unbroken)[step + 1 :]
    assert same_weights(resumed, unbroken)


@pytest.mark.parametrize(("batch", "how"), [(2, "exception"), (3, "SIGKILL"), (5, "SIGTERM")])
def test_epochs_are_counted_as_in_the_unbroken_run(
    runs: Runs, unbroken: Path, batch: int, how: str
) -> None:
    """Broken off within, right after and at the end of an epoch's last step, of three epochs."""
    broken, _ = runs.fit(epochs=3, stop={"batch": batch, "how": how})
    resumed = runs.whole(epochs=3, resume=last(broken), seed=77)
    assert lines(resumed) == lines(unbroken)[batch + (how == "SIGTERM") : 9]


@pytest.mark.parametrize("step", [2, 3, 4])
def test_two_processes_stay_two(runs: Runs, step: int) -> None:
    unbroken = runs.whole(world=2, steps=6)
    broken, codes = runs.fit(world=2, steps=6, stop={"batch": step, "how": "SIGKILL"})
    assert codes == [-signal.SIGKILL] * 2
    resumed = runs.whole(world=2, steps=6, resume=last(broken), seed=77)
    for rank in range(2):
        name = f"batches-{rank}.jsonl"
        whole = (unbroken / name).read_text().splitlines()
        assert (resumed / name).read_text().splitlines() == whole[step:]
    assert same_weights(resumed, unbroken)


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
@pytest.mark.parametrize("step", [3, 4])
def test_the_number_of_processes_may_change(
    runs: Runs, unbroken: Path, before: int, after: int, step: int
) -> None:
    broken, _ = runs.fit(world=before, stop={"batch": step, "how": "SIGKILL"})
    resumed = runs.whole(world=after, resume=last(broken), seed=77)
    assert batches(resumed) == batches(unbroken)[step:]


@pytest.mark.parametrize("after", [1, 2, 4])
@pytest.mark.parametrize("batch", [4, 5, 7, 8])
def test_a_step_stays_whole_however_many_batches_it_takes(
    runs: Runs, unbroken: Path, after: int, batch: int
) -> None:
    """Two batches a step before: 5 and 7 break off within steps 2 and 3, the latter a new epoch."""
    broken, _ = runs.fit(accumulate=2, stop={"batch": batch, "how": "exception"})
    resumed = runs.whole(accumulate=after, resume=last(broken), seed=77)
    assert steps(resumed) == batches(unbroken)[batch // 2 :]


def test_devices_may_be_traded_for_accumulated_batches(runs: Runs, unbroken: Path) -> None:
    broken, _ = runs.fit(world=2, stop={"batch": 4, "how": "SIGKILL"})
    resumed = runs.whole(accumulate=2, resume=last(broken), seed=77)
    assert steps(resumed) == batches(unbroken)[4:]
