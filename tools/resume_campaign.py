"""Stop runs at every moment by every signal, resume them, and say where they differ.

    python tools/resume_campaign.py product
    python tools/resume_campaign.py random --minutes 60 --seed 1

``product``: every moment x signal x kind of run x workers x interval of checkpoints, the moment's
occurrence drawn. ``random``: runs that are stopped several times, half of the time at a random
second. Each run must end with what the run leaves that is never stopped (see
``tests/stopped_runs.py``): weights, optimiser and generators bit for bit, metrics.csv, best.ckpt,
the exported model, the summary. Prints a line for each difference, and a count at the end.
"""

import argparse
import itertools
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from stopped_runs import KINDS, MOMENTS, SIGNALS, Case, Runs, Stop, check

WORKERS = (0, 2)
EVERY = (4, 2, 3)  # as often as validations, twice as often, and neither


def product(draw: random.Random) -> Iterator[Case]:
    """Every combination, in an order of its own."""
    cases = list(itertools.product(MOMENTS, SIGNALS, KINDS, WORKERS, EVERY))
    draw.shuffle(cases)
    for moment, signal, kind, workers, every in cases:
        yield Case(kind, every, workers, (Stop(moment, signal, draw.randint(1, 5)),))


def at_random(draw: random.Random) -> Iterator[Case]:
    """Runs without end, each stopped one to four times."""
    while True:
        stops = tuple(_anywhere(draw) for _ in range(draw.randint(1, 4)))
        yield Case(
            draw.choice([*KINDS]), draw.choice((1, 2, 3, 4, 5, 7, 50)), draw.choice(WORKERS), stops
        )


def _anywhere(draw: random.Random) -> Stop:
    if draw.random() < 0.5:
        return Stop(draw.choice([*MOMENTS]), draw.choice(SIGNALS), draw.randint(1, 8))
    return Stop(None, draw.choice(SIGNALS[:3]), after=draw.uniform(0, 1.5))


def main() -> int:
    """The exit status: 1 where a run differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("product", "random"))
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw, end = random.Random(options.seed), time.monotonic() + 60 * options.minutes
    cases = (product if options.what == "product" else at_random)(draw)
    runs = stops = wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        driver = Runs(Path(folder))
        for case in cases:
            if time.monotonic() > end:
                break
            outcome = check(driver, case)
            runs, stops = runs + 1, stops + outcome.stops
            if outcome.wrong:
                wrong += 1
                print(case, *outcome.wrong, sep="\n    ", flush=True)
            if runs % 50 == 0:
                print(f"{runs} runs, {stops} stops, {wrong} differ", flush=True)
        driver.close()
    print(f"{runs} runs stopped {stops} times; {wrong} differ from the run never stopped")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
