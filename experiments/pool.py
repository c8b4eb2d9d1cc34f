"""Many short jobs side by side: worker processes that start once, and a limit of time."""

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Collection
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

__all__ = ["run_jobs"]

# Imported once, in the process from which the workers are forked.
_PRELOAD = ["dnamamba.cli.training", "dnamamba.training.finetune", "dnamamba.data.modules"]

WAIT = 3600.0  # seconds at a time: what the operating system waits has a bound


class Job(Protocol):
    """What a worker is given: a dataclass that is pickled and compared."""

    @property
    def name(self) -> str:
        """Names the job, and the file of its error."""
        ...


class Worker:
    """A process that does one job after the other."""

    def __init__(self, context: Any, work: Callable[[Job], None], log: Path) -> None:
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, work, log), daemon=True)
        self.process.start()
        theirs.close()
        self.job: Job | None = None
        self.since = 0.0

    def give(self, job: Job) -> None:
        self.job, self.since = job, time.monotonic()
        self.pipe.send(job)

    def answer(self) -> tuple[str, str | None]:
        """The job's name, and None or the error."""
        assert self.job is not None
        name, self.job = self.job.name, None
        try:
            return name, self.pipe.recv()
        except EOFError:
            self.process.join()
            return name, f"the worker ended with status {self.process.exitcode}"


def run_jobs(
    next_jobs: Callable[[], Collection[Job]],
    work: Callable[[Job], None],
    workers: int,
    seconds: float,
    logs: Path,
) -> list[str]:
    """Do jobs until there are none, or the time is over; jobs in flight are then lost.

    Args:
        next_jobs: the jobs that can be done now, in order; asked anew after every job. A job that
            is done must be gone from it.
        work: does a job, in a worker; a module's function, or a ``partial`` of one.
        workers: processes.
        seconds: from now on.
        logs: folder of what the workers print, and of the errors of jobs that failed.

    Returns:
        Names of the jobs that failed; they are not tried again.
    """
    end = time.monotonic() + seconds
    # A fork must not inherit a CUDA driver at work, nor fight its siblings for the cores.
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    logs.mkdir(parents=True, exist_ok=True)
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)
    processes = [Worker(context, work, logs / f"worker{i}.log") for i in range(workers)]
    failed: list[str] = []
    done = 0
    try:
        while True:
            busy = [worker for worker in processes if worker.job]
            taken = {worker.job for worker in busy}
            jobs = [job for job in next_jobs() if job not in taken and job.name not in failed]
            for job, worker in zip(jobs, [w for w in processes if not w.job], strict=False):
                worker.give(job)
                busy.append(worker)
            left = end - time.monotonic()
            if not busy or left <= 0:
                break
            pipes = [worker.pipe for worker in busy]
            ready = wait(pipes, timeout=min(left, WAIT))
            for worker in [w for w in busy if w.pipe in ready]:
                name, error = worker.answer()
                took = time.monotonic() - worker.since
                if error is None:
                    done += 1
                    print(f"{done:4} {took:6.1f} s  {name}", flush=True)
                    continue
                failed.append(name)
                (logs / f"{name}.error").write_text(error)
                print(f"     {took:6.1f} s  {name} FAILED: {error.splitlines()[-1]}", flush=True)
                if not worker.process.is_alive():
                    processes[processes.index(worker)] = Worker(context, work, logs / f"{name}.log")
        lost = [worker.job.name for worker in processes if worker.job]
        if lost:
            print(f"time is over; lost: {', '.join(lost)}")
    finally:
        for worker in processes:
            worker.process.kill()
        for worker in processes:
            worker.process.join()
    return failed


def _serve(pipe: Connection, work: Callable[[Job], None], log: Path) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    while True:
        job = pipe.recv()
        try:
            work(job)
        except Exception:
            pipe.send(traceback.format_exc())
        else:
            pipe.send(None)
