"""Processes that share sequences train and measure what one does."""

import csv
import json
import os
import runpy
import shutil
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import torch

DRIVER = Path(__file__).with_name("sequence_parallel_driver.py")
CASES = ("windows:2", "packed:4", "masked:4", "symmetric:2", "labelled:2")


def written(folder: Path) -> None:
    draw = np.random.default_rng(0)
    sizes = {"a": 1100, "b": 37, "c": 700, "d": 90, "v1": 601, "v2": 50, "t": 333}
    text = ""
    for name, size in sizes.items():
        bases = draw.choice(list("ACGT"), size, p=[0.4, 0.3, 0.2, 0.1])
        bases[size // 3 : size // 2] = np.char.lower(bases[size // 3 : size // 2])
        text += f">{name}\n{''.join(bases)}\n"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "g.fa").write_text(text)
    lines = ["sequence,label"]
    for i in range(40):
        label, shares = (("at", [4, 1, 1, 4]), ("gc", [1, 4, 4, 1]), ("mix", [1, 1, 1, 1]))[i % 3]
        weights = np.array(shares) / sum(shares)
        bases = draw.choice(list("ACGT"), draw.integers(3, 40), p=weights)
        lines.append(f"{''.join(bases)},{label}")
    (folder / "l.csv").write_text("\n".join(lines))


def over(folder: Path, processes: int, *cases: str) -> None:
    written(folder)
    command = [sys.executable, str(DRIVER), str(folder), str(processes), "cpu", *cases]
    # numba would compile in each process
    env = {**os.environ, "OMP_NUM_THREADS": "1", "DNAMAMBA_BACKEND": "torch"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def alone(folder: Path, case: str) -> Path:
    """What one device makes of a case."""
    written(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runpy.run_path(str(DRIVER))["train"](folder, 1, "cpu", case, 1)
    return folder / f"{case}-1"


@pytest.fixture(scope="module")
def lanes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return alone(tmp_path_factory.mktemp("lanes"), "lanes")


@pytest.fixture(scope="module")
def four(lanes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("four")
    shutil.copyfile(lanes / "third.ckpt", folder / "lanes-2.ckpt")
    over(folder, 4, *CASES, "lanes:4", "lanes:2")
    return folder


def rows(file: Path) -> list[dict[str, float]]:
    lines = csv.DictReader(file.read_text().splitlines())
    return [
        {name: float(x) for name, x in row.items() if x and not name.endswith("per_second")}
        for row in lines
    ]


def same(ours: Path, one: Path, within: float = 1e-5) -> None:
    """Gradients and weights, what was logged, what is found of held-out and of all windows."""
    learnt(ours, one, "", within)
    for row, wanted in zip(*(rows(x / "metrics.csv") for x in (ours, one)), strict=True):
        assert row == pytest.approx(wanted, rel=within)
    ended, wanted = (json.loads((folder / "tested.json").read_text()) for folder in (ours, one))
    assert ended == pytest.approx(wanted, rel=within)
    said, of_one = (
        [line.split("\t") for line in (folder / "predictions.tsv").read_text().splitlines()[1:]]
        for folder in (ours, one)
    )
    assert [window for window, *_ in said] == [window for window, *_ in of_one]
    assert len(of_one) == len({window for window, *_ in of_one})
    actual = [float(x) for _, *columns in said for x in columns]
    wanted = [float(x) for _, *columns in of_one for x in columns]
    assert actual == pytest.approx(wanted, rel=within, abs=within / 10, nan_ok=True)


def learnt(ours: Path, one: Path, names: str, within: float = 1e-5) -> None:
    end, expected = (torch.load(folder / "end", map_location="cpu") for folder in (ours, one))
    assert end.keys() == expected.keys()
    for name, value in expected.items():
        if name.startswith(names):
            most = within * float(value.abs().max())
            torch.testing.assert_close(end[name], value, rtol=0, atol=most, msg=name)


@pytest.mark.parametrize("case", CASES)
def test_as_one_device(case: str, four: Path, tmp_path: Path) -> None:
    name, _, pieces = case.partition(":")
    same(four / f"{name}-{pieces}", alone(tmp_path, name))


def test_lanes_as_one_device(lanes: Path, four: Path) -> None:
    same(four / "lanes-4", lanes)


def test_a_run_of_one_device_goes_on_over_pieces_and_back(
    lanes: Path, four: Path, tmp_path: Path
) -> None:
    learnt(four / "lanes-2", lanes, "model.")
    shutil.copyfile(four / "lanes-4" / "third.ckpt", tmp_path / "lanes-1.ckpt")
    learnt(alone(tmp_path, "lanes"), lanes, "model.")


ON_GPUS = ("windows", "packed", "lanes", "masked", "symmetric", "labelled")


def over_gpus(folder: Path, processes: int, case: str, port: int) -> Path:
    """What a case trains over so many GPUs, whose processes are started all at once."""
    written(folder)
    command = [sys.executable, str(DRIVER), str(folder), str(processes), "gpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if processes > 1:
        environment |= {"NODE_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with ExitStack() as ends:
        logs, started = [], []
        for rank in range(processes):
            own = {"LOCAL_RANK": str(rank)} if processes > 1 else {}
            logs.append(ends.enter_context((folder / f"{rank}.log").open("w+")))
            process = subprocess.Popen(
                [*command, f"{case}:{processes}"],
                env=environment | own, stdout=logs[-1], stderr=logs[-1],
            )  # fmt: skip
            ends.callback(process.kill)
            started.append(process)
        end, statuses = time.monotonic() + 300, [process.poll() for process in started]
        while None in statuses and not any(statuses) and time.monotonic() < end:
            time.sleep(0.1)
            statuses = [process.poll() for process in started]
        said = [(folder / f"{rank}.log").read_text()[-5000:] for rank in range(processes)]
    assert statuses == [0] * processes, "\n".join(said)
    return folder / f"{case}-{processes}"


def free_ports(count: int) -> list[int]:
    with ExitStack() as ends:
        every = [ends.enter_context(socket.socket()) for _ in range(count)]
        for each in every:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in every]


@pytest.fixture(scope="module")
def on_gpus(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, list[Future[Path]]]]:
    """Where lies what each case has trained over two GPUs, and on one.

    All at the same time: of each most is the start, and compilation.
    """
    ports = free_ports(len(ON_GPUS))
    with ThreadPoolExecutor(2 * len(ON_GPUS)) as side_by_side:
        yield {
            case: [
                side_by_side.submit(over_gpus, tmp_path_factory.mktemp(case), count, case, port)
                for count in (2, 1)
            ]
            for case, port in zip(ON_GPUS, ports, strict=True)
        }


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
@pytest.mark.parametrize("case", ON_GPUS)
def test_on_two_gpus(case: str, on_gpus: dict[str, list[Future[Path]]]) -> None:
    two, one = (run.result() for run in on_gpus[case])
    same(two, one, within=1e-4)
