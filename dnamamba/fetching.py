"""Files from the net: whole and as they should be, or not there; what broke off is gone on with."""

import errno
import hashlib
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from filelock import FileLock

from dnamamba.extras import library

__all__ = ["Checksum", "Cut", "fetch", "text_of"]

_BLOCK = 1 << 20
_PATIENCE = (30, 60)  # seconds for an answer, and for the next bytes
_PAUSE = 1.0  # seconds before a download that broke off is gone on with

Shown = Callable[[int, int], None]
"""Called with the bytes that are there and all there will be (0 where that is not known)."""


class Cut(ConnectionError):  # noqa: N818 (it is an error by its base)
    """A download broke off; what there is of it is kept and gone on with the next time."""


class Checksum(NamedTuple):
    """What a file is known by.

    Attributes:
        kind: ``md5``, ``sha256``, or ``sum`` (that of BSD, 16 bits, which Ensembl lists).
        value: in hexadecimal; of ``sum`` a decimal number.
    """

    kind: str
    value: str

    def of(self, path: Path) -> str:
        """That of a file, of the same kind."""
        if self.kind == "sum":
            return _bsd_sum(path)
        with open(path, "rb") as file:
            return hashlib.file_digest(file, self.kind).hexdigest()

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"


def fetch(
    address: str,
    target: Path,
    checksum: Checksum | None,
    extra: str,
    shown: Shown = lambda done, total: None,
) -> Path:
    """Fetch a file, unless it is there and whole.

    What came of a download that broke off stands beside ``target`` as ``.part`` until it is whole;
    one process at a time writes it.

    Args:
        address: http or https.
        target: where the file is to lie.
        checksum: None: its length alone is checked.
        extra: of dnamamba, that installs pooch.
        shown: for a progress bar.

    Raises:
        ValueError: what came has another checksum; it is thrown away.
        Cut: it broke off; what came is kept.
        OSError: no net, no such file, no room.
        ModuleNotFoundError: pooch is missing; names the extra.
    """
    pooch: Any = library("pooch", extra, f"fetching {target.name}", f"put it at {target} by hand")
    pooch.get_logger().setLevel(logging.WARNING)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    with _alone(part.with_name(f".{target.name}.lock")):
        if target.exists() and (checksum is None or checksum.of(target) == checksum.value):
            return target
        own = checksum is not None and checksum.kind == "sum"
        download = _Resumed(part, checksum if own else None, shown)
        known = None if checksum is None or own else f"{checksum.kind}:{checksum.value}"
        if own:
            target.unlink(missing_ok=True)  # pooch, which knows no such checksum, would keep it
        pooch.retrieve(address, known, target.name, target.parent, downloader=download)
    return target


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """While the block lasts no other process is in one of the same lock."""
    try:
        with FileLock(lock):
            yield
    except NotImplementedError as error:
        raise OSError(errno.ENOLCK, f"files in {lock.parent} cannot be locked") from error


def text_of(address: str, extra: str) -> str:
    """A short text from the net.

    Raises:
        OSError: no net, or no such file.
        ModuleNotFoundError: requests, which pooch brings, is missing; names the extra.
    """
    requests: Any = library("requests", extra, f"fetching {address}")
    try:
        answer = requests.get(address, timeout=_PATIENCE)
    except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
        raise _no_answer(address) from error
    answer.raise_for_status()
    return str(answer.text)


class _Resumed:
    """A downloader for pooch that goes on where an earlier one broke off."""

    def __init__(self, part: Path, checksum: Checksum | None, shown: Shown) -> None:
        self._part, self._checksum, self._shown = part, checksum, shown

    def __call__(self, address: str, output: str, pooch: object) -> None:
        from requests.exceptions import ConnectionError as Unreachable
        from requests.exceptions import Timeout

        while True:
            before = self._size
            try:
                self._go_on(address)
                break
            except Cut:
                if self._size <= before:
                    raise
                time.sleep(_PAUSE)
            except (Unreachable, Timeout) as error:
                if not before:
                    raise _no_answer(address) from error
                raise Cut(
                    f"{_no_answer(address)}; {before:,} bytes are there; start it again to go on"
                ) from error
        if self._checksum and (got := self._checksum.of(self._part)) != self._checksum.value:
            self._part.unlink()
            raise ValueError(f"{self._checksum.kind} is {got}, expected {self._checksum.value}")
        os.replace(self._part, output)

    @property
    def _size(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _go_on(self, address: str) -> None:
        """Ask for what is missing, and write what comes."""
        import requests

        first = self._size
        headers = {"Accept-Encoding": "identity"}
        headers |= {"Range": f"bytes={first}-"} if first else {}
        with requests.get(address, headers=headers, stream=True, timeout=_PATIENCE) as answer:
            if first and answer.status_code == requests.codes.requested_range_not_satisfiable:
                if answer.headers.get("Content-Range", "").endswith(f"/{first}"):
                    return  # it was whole
                self._part.unlink()
                return self._go_on(address)
            answer.raise_for_status()
            goes_on = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
            if answer.status_code != requests.codes.partial_content:
                first = 0  # the server knows no ranges
            elif not goes_on or int(goes_on[1]) != first:
                raise OSError(f"the server gives another range than bytes {first}- of {address}")
            self._write(answer, first)

    def _write(self, answer: Any, first: int) -> None:
        from requests.exceptions import RequestException
        from urllib3.exceptions import HTTPError

        length = answer.headers.get("Content-Length", "")
        total = first + int(length) if length.isdigit() else 0
        why = ""
        with self._part.open("ab" if first else "wb") as file:
            try:
                while block := answer.raw.read(_BLOCK, decode_content=False):
                    file.write(block)
                    self._shown(file.tell(), total)
            except (HTTPError, RequestException, ConnectionError, TimeoutError) as error:
                why = str(error)
        if why or (total and self._size < total):
            of = f" of {total:,}" if total else ""
            raise Cut(f"it broke off after {self._size:,} bytes{of}; start it again to go on")


def _no_answer(address: str) -> ConnectionError:
    """In a few words what requests says in many."""
    return ConnectionError(f"{urlsplit(address).netloc} cannot be reached")


def _bsd_sum(path: Path) -> str:
    """As ``sum -r`` prints it, without leading zeros."""
    total = 0
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            for byte in block:
                total = ((total >> 1) + ((total & 1) << 15) + byte) & 0xFFFF
    return str(total)
