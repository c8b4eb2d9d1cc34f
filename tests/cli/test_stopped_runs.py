"""Stopped at any moment by any signal, a resumed run leaves what the run never stopped leaves.

Here every moment meets two signals; kinds of run, intervals of checkpoints and workers take turns,
so that any two of them meet. ``tools/resume_campaign.py`` runs the full product, and at random.
"""

from collections.abc import Iterator

import pytest
from stopped_runs import KINDS, MOMENTS, SIGNALS, Case, Runs, Stop, check

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
    kinds = [*KINDS]
    for i, moment in enumerate([*MOMENTS] * 2):
        half = i // len(MOMENTS)
        last = LAST.get(moment, 12)
        occurrence = 1 + (3 * i + half) % last
        stop = Stop(moment, SIGNALS[(i + 2 * half) % len(SIGNALS)], occurrence)
        yield Case(kinds[i % len(kinds)], EVERY[i % len(EVERY)], 2 * ((i // 2) % 2), (stop,))


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


def test_stopped_again_and_again(runs: Runs) -> None:
    """Also before its first checkpoint, twice, and in the validation of its very last step."""
    moments = ("fetch", "in the step", "in validation", "after the log", "before the export")
    stops = tuple(Stop(moment, "KILL") for moment in moments)
    outcome = check(runs, Case("stopping early", 3, 0, stops))
    assert outcome.stops == len(stops)
    assert not outcome.wrong
