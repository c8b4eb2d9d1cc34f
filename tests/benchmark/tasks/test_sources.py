"""Files are found where they lie, or fetched once and checked."""

import functools
import hashlib
import socket
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from benchmark_data import records, table

from dnamamba.benchmark.tasks.sources import at_hand, root_of
from dnamamba.benchmark.tasks.task import Task

pytest.importorskip("pooch")

NAMES = {"train": "S/t/train.csv", "validation": "S/t/dev.csv", "test": "S/t/test.csv"}


class _Quiet(SimpleHTTPRequestHandler):
    asked: list[str]

    def log_message(self, format: str, *values: Any) -> None:
        """Into no log."""

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """An address on this machine, and what it is asked for."""
    for n, name in enumerate(NAMES.values()):
        table(tmp_path / "served" / name, records(10, seed=n))
    asked: list[str] = []
    handler = type("Handler", (_Quiet,), {"asked": asked})
    with ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(handler, directory=str(tmp_path / "served"))
    ) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", asked
        server.shutdown()
        thread.join()


def _task(address: str = "", served: Path | None = None, **fields: Any) -> Task:
    files = {
        name: {
            "address": address + name,
            "sha256": hashlib.sha256((served / name).read_bytes()).hexdigest(),
        }
        for name in (NAMES.values() if served else ())
    }
    data = {
        "class_path": "dnamamba.data.modules.sequences.LabelledSequenceDataModule",
        "init_args": {"files": dict(NAMES)},
    }
    return Task(**{"suite": "s", "name": "t", "title": "T", "data": data, "metric": "mcc",
                   "files": files, **fields})  # fmt: skip


@pytest.mark.parametrize(("data", "place"), [("d", "d"), ("d", "d/benchmarks"), ("d/S", "d")])
def test_files_are_found_in_the_data_folder(tmp_path: Path, data: str, place: str) -> None:
    for name in NAMES.values():
        table(tmp_path / place / f"{name}.gz", records(4))
    (tmp_path / data).mkdir(exist_ok=True)
    assert root_of(_task(), tmp_path / data).samefile(tmp_path / place)
    assert at_hand(_task(), tmp_path / data) == "at hand"


def test_held_out_parts_will_do(tmp_path: Path) -> None:
    for name in ("S/t/dev.csv", "S/t/test.csv"):
        table(tmp_path / name, records(4))
    assert root_of(_task(), tmp_path) == tmp_path
    assert at_hand(_task(), tmp_path) == "held-out parts at hand"


def test_what_is_nowhere_is_asked_for(tmp_path: Path) -> None:
    assert at_hand(_task()) == "missing: S/t/train.csv, S/t/dev.csv, S/t/test.csv"
    with pytest.raises(FileNotFoundError, match=r"s/t: .*S/t/train\.csv.*name it by --data"):
        root_of(_task())
    with pytest.raises(FileNotFoundError, match=rf"S/t/train\.csv.* put them into {tmp_path}"):
        root_of(_task(), tmp_path)
    with pytest.raises(ValueError, match="nowhere is no folder"):
        root_of(_task(), tmp_path / "nowhere")
    with pytest.raises(ValueError, match="nowhere is no folder"):
        at_hand(_task(), tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=rf"no S/t/train\.csv.* in {tmp_path}"):
        root_of(_task(root=str(tmp_path)))


def test_files_are_fetched_once(tmp_path: Path, cache: Path, served: tuple[str, list[str]]) -> None:
    address, asked = served
    task = _task(address, tmp_path / "served")
    assert at_hand(task) == "can be fetched"
    assert root_of(task) == cache / "files" / "s"
    assert asked == [f"/{name}" for name in NAMES.values()]
    assert root_of(task) == cache / "files" / "s"
    assert at_hand(task) == "at hand"
    assert len(asked) == 3
    assert len(task.module(root_of(task)).dataset("test")) == 10
    (cache / "files" / "s" / "S/t/dev.csv").unlink()
    root_of(task)
    assert asked[3:] == ["/S/t/dev.csv"]


def test_held_out_parts_are_fetched_where_no_more_can_be(
    tmp_path: Path, cache: Path, served: tuple[str, list[str]]
) -> None:
    task = _task(served[0], tmp_path / "served")
    del task.files["S/t/train.csv"]
    assert at_hand(task) == "held-out parts can be fetched"
    assert task.lacks_training(root_of(task))
    assert at_hand(task) == "held-out parts at hand"


def test_another_content_is_refused(
    tmp_path: Path, cache: Path, served: tuple[str, list[str]]
) -> None:
    task = _task(served[0], tmp_path / "served")
    table(tmp_path / "served" / "S/t/dev.csv", records(3))
    message = (
        r"s/t: cannot fetch http://.*dev\.csv: what it gives has another sha256 than .*by hand"
    )
    with pytest.raises(FileNotFoundError, match=message):
        root_of(task)
    assert not (cache / "files" / "s" / "S/t/dev.csv").exists()


def test_without_a_net_it_is_said_where_to_put_the_file(tmp_path: Path, cache: Path) -> None:
    for name in NAMES.values():
        table(tmp_path / "served" / name, records(4))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    task = _task(f"http://127.0.0.1:{port}/", tmp_path / "served")
    (data := tmp_path / "data").mkdir()
    message = rf"cannot fetch .*put it into {data} as S/t/train\.csv, or at {cache}"
    with pytest.raises(FileNotFoundError, match=message):
        root_of(task, data)


def test_an_address_that_has_no_such_file(tmp_path: Path, served: tuple[str, list[str]]) -> None:
    task = _task(served[0], tmp_path / "served")
    (tmp_path / "served" / "S/t/test.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"cannot fetch .*404"):
        root_of(task)
