"""Many short runs side by side: worker processes that start once, and a limit of time."""

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Thread
from types import MappingProxyType
from typing import Any

from dnamamba.benchmark.runs.outcomes import Job, Outcome, Runnable

__all__ = ["KILLED", "is_full", "prepare", "run_in_processes"]

# Imported once, in the process from which the workers are forked.
_PRELOAD = ["dnamamba.benchmark.runs.preloaded"]

# Many small runs share the cores: a thread each, and a fork must not inherit a driver at work.
_ENVIRONMENT = {
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    "NUMBA_NUM_THREADS": "1",
}

KILLED = "SIGKILL, perhaps for want of memory; ask for fewer workers"
"""How the end of a worker is called that the system has killed."""

# Of a kernel that has faulted, its own or, under NVIDIA's MPS, a neighbour's.
_LOST = ("CUDA error", "AcceleratorError")

_WAIT = 3600.0  # seconds at a time: what the operating system waits has a bound


class _Worker:
    """A process that does one run after the other."""

    def __init__(
        self,
        context: Any,
        work: Callable[[Any], None],
        log: Path,
        device: bool,
        environment: Mapping[str, str],
    ) -> None:
        self.device, self.log, self.environment = device, log, environment
        self.pipe, theirs = context.Pipe()
        settings = theirs, work, log, environment
        self.process = context.Process(target=_serve, args=settings, daemon=True)
        self.process.start()
        theirs.close()
        self.job: Runnable | None = None
        self.since = 0.0

    def start(self, job: Runnable) -> None:
        self.job, self.since = job, time.monotonic()
        with suppress(OSError):  # it has died; that is seen when it is asked
            self.pipe.send(job)

    def outcome(self) -> Outcome:
        assert self.job is not None
        job, self.job = self.job, None
        try:
            error = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            error = f"{_last_lines(self.log)}the worker ended with {_status(self.process.exitcode)}"
        return Outcome(job.name, time.monotonic() - self.since, error)


def prepare() -> None:
    """Begin the workers' imports, in a process of its own, while this one does other things."""
    with _environment():
        _context()
        forkserver.ensure_running()


def _context() -> Any:
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)
    return context


def run_in_processes(
    ready: Callable[[], Sequence[Job]],
    work: Callable[[Job], None],
    on_device: Callable[[Job], bool],
    workers: tuple[int, int],
    seconds: float,
    logs: Path,
    gpus: Sequence[str] = (),
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Generator[Outcome, None, None]:
    """Do what is ready, side by side, until nothing is or the time is over.

    What fails is not tried again; a worker that has died is replaced.

    Args:
        ready: what can be done now, in order; asked anew after each. What is done must be gone.
        work: does it, in a worker; a module's function, or a ``partial`` of one.
        on_device: whether the device does most of it, not a core.
        workers: processes for what the device does, and for what a core does; the first
            help the others when nothing is left for them.
        seconds: from now on; what is being done then is lost.
        logs: folder of what the workers print.
        gpus: the workers see one of them each, in turn; without any, what this process sees.
        environment: what else they find in theirs.
    """
    end = time.monotonic() + seconds
    logs.mkdir(parents=True, exist_ok=True)
    context = _context()
    processes: list[_Worker] = []
    failed: set[str] = set()
    lanes = [True] * workers[0] + [False] * workers[1]
    try:
        with _environment():
            for i, device in enumerate(lanes):
                gpu = {"CUDA_VISIBLE_DEVICES": gpus[i % len(gpus)]} if gpus else {}
                its_own = {**environment, **gpu}
                processes.append(_Worker(context, work, logs / f"worker{i}.log", device, its_own))
        while True:
            _start([job for job in ready() if job.name not in failed], on_device, processes)
            busy = [worker for worker in processes if worker.job]
            left = end - time.monotonic()
            if not busy or left <= 0:
                return
            done = wait([worker.pipe for worker in busy], timeout=min(left, _WAIT))
            for worker in [worker for worker in busy if worker.pipe in done]:
                outcome = worker.outcome()
                if outcome.error is not None:
                    failed.add(outcome.name)
                    if _is_lost(outcome.error):
                        worker.process.join()
                if not worker.process.is_alive():
                    with _environment():
                        like = worker.log, worker.device, worker.environment
                        new = _Worker(context, work, *like)
                    processes[processes.index(worker)] = new
                yield outcome
    finally:
        for worker in processes:
            worker.process.kill()
        for worker in processes:
            worker.process.join()


def _start(
    jobs: Sequence[Job], on_device: Callable[[Job], bool], processes: Sequence[_Worker]
) -> None:
    """Let every idle worker have a run that suits it, if there is one."""
    taken = {worker.job.name for worker in processes if worker.job}
    waiting = [job for job in jobs if job.name not in taken]
    shared = all(worker.device for worker in processes)
    for worker in processes:
        if worker.job:
            continue
        # What the device is at may make more ready for it; until then others see to the rest.
        helps = worker.device and not any(map(on_device, waiting if shared else jobs))
        suits = [job for job in waiting if helps or on_device(job) == worker.device]
        if suits:
            waiting.remove(suits[0])
            worker.start(suits[0])


@contextmanager
def _environment() -> Iterator[None]:
    """What the workers find in their environment; this process has its own back afterwards."""
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(
    pipe: Connection, work: Callable[[Any], None], log: Path, environment: Mapping[str, str]
) -> None:
    """What a worker does: until its parent ends it, or is gone itself."""
    os.environ.update(environment)  # the driver, which looks there, has not been woken yet
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this
    Thread(target=_end_with_parent, daemon=True).start()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        try:
            work(job)
        except Exception:
            error = traceback.format_exc()
            pipe.send(error)
            if _is_lost(error):
                return
        else:
            pipe.send(None)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _is_lost(error: str) -> bool:
    """Whether after this error the process can do nothing on its GPU any more."""
    return any(name in error for name in _LOST) and not is_full(error)


def is_full(error: str) -> bool:
    """Whether an outcome's error speaks of a full memory, which a run alone may not meet."""
    last = error.rstrip().rpartition("\n")[2]
    return "OutOfMemoryError" in last or "DefaultCPUAllocator" in last or KILLED in last


def _status(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return KILLED if name == "SIGKILL" else name
    return f"status {code}"


def _last_lines(log: Path) -> str:
    """What it printed at last, for the error's file."""
    text = log.read_text(errors="replace") if log.is_file() else ""
    return "".join(f"{line}\n" for line in text.splitlines()[-50:])
