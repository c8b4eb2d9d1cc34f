"""Files served on loopback: with ranges or without, breaking off where a test says so."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Served:
    """What the server has and does.

    Attributes:
        files: path -> content; others are 404.
        asked: path and Range header of every request.
        most: bytes of a body after which the connection is closed; None for all.
        ranges: whether it knows them.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.most: int | None = None
        self.ranges = True
        self.address = ""


@contextmanager
def serving() -> Iterator[Served]:
    """A server that knows nothing yet; it ends with the block."""
    served = Served()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *values: Any) -> None:
            """Into no log."""

        def do_GET(self) -> None:
            span = self.headers.get("Range", "")
            served.asked.append((self.path, span))
            if (content := served.files.get(self.path)) is None:
                self.send_error(404)
                return
            first = int(re.fullmatch(r"bytes=(\d+)-", span)[1]) if span and served.ranges else 0
            if first and first >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if first else 200)
            self.send_header("Content-Length", str(len(content) - first))
            if first:
                self.send_header("Content-Range", f"bytes {first}-{len(content)}/{len(content)}")
            self.end_headers()
            self.wfile.write(content[first:][: served.most])

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        served.address = f"http://127.0.0.1:{server.server_port}"
        yield served
        server.shutdown()
        thread.join()
