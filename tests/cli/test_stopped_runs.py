"""Stopped at any moment by any signal, a resumed run leaves what the run never stopped leaves.

Here every moment meets two signals; kinds of run, intervals of checkpoints and workers take turns,
so that any two of them meet. ``tools/resume_campaign.py`` runs the full product, and at random.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_cases import config, step
from stopped_runs import KINDS, MOMENTS, SIGNALS, Case, Runs, Stop, check

PROCESSES = Path("/proc")
EVERY = (4, 2, 3)  # steps between checkpoints: as between validations, a divisor, and neither
# Of a run of 14 steps, which log every 3 and are validated every 4.
LAST = {
    **dict.fromkeys(("import", "indexing", "restored", "training begins", "training ends"), 1),
    **dict.fromkeys(("before the export", "exported"), 1),
    **dict.fromkeys(("epoch begins", "epoch ends", "in the checkpoint", "fetch"), 2),
    **dict.fromkeys(("before validation", "validated", "validation logged", "validation ends"), 3),
    **dict.fromkeys(("after the best", "before the checkpoint", "after the checkpoint"), 3),
    **dict.fromkeys(("in the best", "in validation"), 1),
    **dict.fromkeys(("before the log", "in the log", "after the log"), 6),
}


def selection() -> Iterator[Case]:
    apart = "masked", "lanes"
    kinds = [kind for kind in KINDS if kind not in apart]  # eight, to meet every interval in turn
    for i, moment in enumerate([*MOMENTS] * 2):
        half = i // len(MOMENTS)
        last = LAST.get(moment, 12)
        occurrence = 1 + (3 * i + half) % last
        stop = Stop(moment, SIGNALS[(i + 2 * half) % len(SIGNALS)], occurrence)
        workers = 2 * ((i // len(kinds)) % 2)
        yield Case(kinds[i % len(kinds)], EVERY[i % len(EVERY)], workers, (stop,))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    runs = Runs(tmp_path_factory.mktemp("stopped"))
    yield runs
    runs.close()


@pytest.mark.parametrize(
    "case", list(selection()), ids=lambda case: f"{case.stops[0].moment}-{case.stops[0].signal}"
)
def test_the_resumed_run_is_the_run(runs: Runs, case: Case) -> None:
    outcome = check(runs, case)
    assert outcome.stops == 1, "the moment was not reached"
    assert not outcome.wrong


@pytest.mark.parametrize(
    ("moment", "strike", "rank", "codes"),
    [
        ("in the step", "TERM", 0, {143}),
        ("in the step", "TERM", 1, {143}),
        ("in validation", "TERM", 0, {143}),
        ("in validation", "TERM", 1, {143}),
        ("batch ends", "TERM", None, {143}),
        ("in validation", "KILL", 0, {-9, 1}),
        ("in the step", "KILL", 1, {-9, 1}),
        ("in the step", "INT", None, {130}),
        ("updated", "exception", 1, {1}),
    ],
)
def test_of_two_processes_both_end_and_go_on(
    runs: Runs, moment: str, strike: str, rank: int | None, codes: set[int]
) -> None:
    """Whichever of them is struck. SIGTERM is saved by both, behind the same step."""
    outcome = check(runs, Case("pretraining", 3, 0, (Stop(moment, strike, 2, rank=rank),), 2))
    assert outcome.stops == 1
    assert outcome.seconds < 60
    assert set(outcome.codes) <= codes
    assert not outcome.wrong


def test_stopped_again_and_again(runs: Runs) -> None:
    """Also before its first checkpoint, twice, and in the validation of its very last step."""
    moments = ("fetch", "in the step", "in validation", "after the log", "before the export")
    stops = tuple(Stop(moment, "KILL") for moment in moments)
    outcome = check(runs, Case("stopping early", 3, 0, stops))
    assert outcome.stops == len(stops)
    assert not outcome.wrong


def test_a_run_on_masked_bases(runs: Runs) -> None:
    """What is masked after the resume, and in a validation, is what would have been."""
    outcome = check(runs, Case("masked", 3, 2, (Stop("in the step", "KILL", 8),)))
    assert outcome.stops == 1
    assert not outcome.wrong


@pytest.mark.parametrize(
    ("moment", "strike", "occurrence", "world"),
    [
        ("before the update", "exception", 5, 1),
        ("in the step", "KILL", 9, 2),
    ],
)
def test_a_run_along_lanes(
    runs: Runs, moment: str, strike: str, occurrence: int, world: int
) -> None:
    """The states of all lanes are what they would have been."""
    outcome = check(runs, Case("lanes", 3, 2, (Stop(moment, strike, occurrence),), world))
    assert outcome.stops == 1
    assert not outcome.wrong


@pytest.mark.skipif(not PROCESSES.is_dir(), reason="needs Linux")
def test_processes_that_lightning_has_started(tmp_path: Path) -> None:
    """As a user starts them: SIGTERM to the first."""
    trainer = {"devices": 2, "strategy": "ddp", "max_steps": 100_000, "log_every_n_steps": 1}
    command = [sys.executable, "-m", "dnamamba", "fit", "-c", config(tmp_path, trainer=trainer)]
    rows = tmp_path / "run" / "metrics.csv"
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as main:
        while not rows.is_file() and main.poll() is None:
            time.sleep(0.1)
        children = (PROCESSES / f"{main.pid}/task/{main.pid}/children").read_text().split()
        (child,) = filter(is_of_the_run, children)  # a library may have started its own
        main.terminate()
        _, said = main.communicate(timeout=60)
    assert main.returncode in (143, -9), said  # -9: Lightning, where the other has ended earlier
    assert step(tmp_path / "run") > 0
    deadline = time.monotonic() + 60
    while lives(child):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_of_the_run(process: str) -> bool:
    return b"LOCAL_RANK=1" in (PROCESSES / process / "environ").read_bytes().split(b"\0")


def lives(process: str) -> bool:
    try:
        stat = (PROCESSES / process / "stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
