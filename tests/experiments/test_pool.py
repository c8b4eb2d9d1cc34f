"""Jobs side by side: all are done, an error costs one job, and the time is kept."""

import subprocess
import sys
import textwrap
from pathlib import Path

EXPERIMENTS = Path(__file__).parents[2] / "experiments"

SCRIPT = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, {experiments!r})
import pool
from plan import Job
pool._PRELOAD = []
HERE = Path({here!r})

def work(job):
    if job.seed == 3:
        raise ValueError("three")
    if job.seed == 4:
        os._exit(1)
    time.sleep({sleep})
    (HERE / job.name).touch()

if __name__ == "__main__":
    jobs = [Job("toy", "small", seed) for seed in range(8)]
    missing = lambda: [job for job in jobs if not (HERE / job.name).exists()]
    failed = pool.run_jobs(missing, work, 2, {seconds}, HERE / "logs")
    print(sorted(failed), len(missing()))
"""


def run(folder: Path, sleep: float, seconds: float) -> str:
    text = SCRIPT.format(
        experiments=str(EXPERIMENTS), here=str(folder), sleep=sleep, seconds=seconds
    )
    script = folder / "toy.py"
    script.write_text(textwrap.dedent(text))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_every_job_but_those_that_fail(tmp_path: Path) -> None:
    assert run(tmp_path, 0.0, 60) == "['toy.small.seed3', 'toy.small.seed4'] 2"
    assert "ValueError: three" in (tmp_path / "logs" / "toy.small.seed3.error").read_text()
    assert run(tmp_path, 0.0, 60) == "['toy.small.seed3', 'toy.small.seed4'] 2"


def test_the_time_is_kept(tmp_path: Path) -> None:
    assert run(tmp_path, 60.0, 3) == "[] 8"
