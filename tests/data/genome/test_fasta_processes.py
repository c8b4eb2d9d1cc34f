"""One genome in many processes and threads: every base right, whoever opens, forks or dies."""

import gzip
import multiprocessing
import os
import pickle
import random
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnamamba.data.genome import build
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.genome.places import cache_file

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

SIZE, LENGTH, READS = 2_000_000, 16_000, 400
FORK = multiprocessing.get_context("fork")


@pytest.fixture(scope="module")
def truth() -> bytes:
    return bytes(random.Random(0).choices(b"ACGTacgtN", k=SIZE))


@pytest.fixture(scope="module")
def fasta(truth: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    lines = (truth[start : start + 60] for start in range(0, SIZE, 60))
    path.write_bytes(b">a\n" + b"\n".join(lines) + b"\n")
    return path


@pytest.fixture(params=["cache", "index"])
def genome(request: pytest.FixtureRequest, fasta: Path, tmp_path: Path) -> Genome:
    if request.param == "cache":
        return Genome(fasta, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        usage = shutil.disk_usage(tmp_path)._replace(free=0)
        patch.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.warns(UserWarning, match="no room"):
            return Genome(fasta, tmp_path)


def read_windows(genome: Genome, truth: bytes, seed: int, reads: int = READS) -> None:
    """Fail at the first window that is not the truth."""
    draw = np.random.default_rng(seed)
    rows = np.empty((4, LENGTH), dtype=np.uint8)
    for _ in range(reads):
        starts = draw.integers(0, SIZE - LENGTH, 5).tolist()
        genome.read_into([0] * 4, starts[:4], LENGTH, rows)
        for row, start in zip(rows, starts[:4], strict=True):
            assert row.tobytes() == truth[start : start + LENGTH]
        last = starts[4]
        assert genome.fetch("a", last, last + LENGTH) == truth[last : last + LENGTH]


def finish(workers: list[Any]) -> None:
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * len(workers)


def test_fork_after_reading(genome: Genome, truth: bytes) -> None:
    """What a handle of pyfaidx or pysam gets wrong: parent and children share its file offset."""
    read_windows(genome, truth, 0, reads=1)
    workers = [FORK.Process(target=read_windows, args=(genome, truth, i)) for i in range(4)]
    for worker in workers:
        worker.start()
    read_windows(genome, truth, 99)
    finish(workers)


def own_descriptors(genome: Genome, file: Path) -> None:
    genome.fetch("a", 0, 10)
    opened = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
    assert opened.count(str(file)) == 1
    assert genome._bases._opened is not None
    assert genome._bases._opened[0] == os.getpid()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_no_open_file_survives_a_fork(fasta: Path, tmp_path: Path) -> None:
    genome = Genome(fasta, tmp_path)
    genome.fetch("a", 0, 10)
    worker = FORK.Process(target=own_descriptors, args=(genome, cache_file(fasta, tmp_path)))
    worker.start()
    finish([worker])


def test_spawn_after_reading(genome: Genome, truth: bytes) -> None:
    read_windows(genome, truth, 0, reads=1)
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(2) as pool:
        starts = np.random.default_rng(1).integers(0, SIZE - LENGTH, 200).tolist()
        windows = pool.starmap(genome.fetch, [("a", s, s + LENGTH) for s in starts], chunksize=10)
    assert windows == [truth[start : start + LENGTH] for start in starts]


def test_threads(genome: Genome, truth: bytes) -> None:
    genome = pickle.loads(pickle.dumps(genome))  # nothing open yet: the first reads race
    failed: list[BaseException] = []
    ready = threading.Barrier(8)

    def work(seed: int) -> None:
        try:
            ready.wait()
            read_windows(genome, truth, seed, reads=100)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


RECORDS = 20_000


@pytest.fixture(scope="module")
def scaffolds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scaffolds") / "s.fa"
    path.write_bytes(b"".join(b">s%d\n%s\n" % (i, scaffold(i)) for i in range(RECORDS)))
    return path


def scaffold(number: int) -> bytes:
    return bytes(b"ACGT"[(number >> 2 * i) & 3] for i in range(8))


def open_and_check(path: Path, cache: Path, ready: Any) -> None:
    ready.wait()
    genome = Genome(path, cache)
    assert len(genome.contigs) == RECORDS
    for number in random.sample(range(RECORDS), 500):
        assert genome.fetch(f"s{number}", 0, 8) == scaffold(number)
    genome.verify()


@pytest.mark.parametrize("pause", [0.0, 0.1])
def test_many_processes_index_at_once(
    scaffolds: Path, tmp_path: Path, pause: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, log = build._build, tmp_path / "log"

    def logged(*arguments: Any) -> Any:
        with open(log, "a") as file:
            file.write("built\n")
        return real(*arguments)

    monkeypatch.setattr(build, "_build", logged)
    ready = FORK.Event()
    workers = [
        FORK.Process(target=open_and_check, args=(scaffolds, tmp_path / "c", ready))
        for _ in range(8)
    ]
    if not pause:
        for worker in workers:
            worker.start()
        ready.set()
    else:
        ready.set()
        for worker in workers:
            worker.start()
            worker.join(pause)
    finish(workers)
    assert log.read_text() == "built\n"


def test_many_threads_index_at_once(scaffolds: Path, tmp_path: Path) -> None:
    opened: list[Genome] = []
    ready = threading.Barrier(6)

    def work() -> None:
        ready.wait()
        opened.append(Genome(scaffolds, tmp_path))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = RECORDS - 1
    assert [genome.fetch(f"s{last}", 0, 8) for genome in opened] == [scaffold(last)] * 6


def dies_once(real: Callable[..., Any], died: Path) -> Callable[..., Any]:
    """``real``, but the first process that calls it is killed within."""

    def call(*arguments: Any) -> Any:
        try:
            os.close(os.open(died, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return real(*arguments)
        threading.Timer(0.003, os.kill, (os.getpid(), signal.SIGKILL)).start()
        real(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    return call


@pytest.mark.filterwarnings("ignore:.*no room for its cache")
@pytest.mark.parametrize(
    "step", ["unpack", "parse", "index_records", "scan", "append_contents", "sync_folder"]
)
def test_one_of_them_is_killed(
    scaffolds: Path, tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first to come to a step dies in the middle of it, with the lock in its hand."""
    path = scaffolds
    if step == "unpack":
        path = tmp_path / "s.fa.gz"
        path.write_bytes(gzip.compress(scaffolds.read_bytes()))
    if step in ("index_records", "scan"):  # without room
        usage = shutil.disk_usage(tmp_path)._replace(free=0)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(build, step, dies_once(getattr(build, step), tmp_path / "died"))
    ready = FORK.Event()
    workers = [
        FORK.Process(target=open_and_check, args=(path, tmp_path / "c", ready)) for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    ready.set()
    for worker in workers:
        worker.join(120)
    codes = sorted(worker.exitcode or 0 for worker in workers)
    assert codes == [-signal.SIGKILL, 0, 0, 0]
    left = {file.suffix for file in (tmp_path / "c").iterdir()}
    assert left <= {".genome", ".lock", ".seal"} | ({".tmp"} if step == "sync_folder" else set())
    open_and_check(path, tmp_path / "c", ready)
