"""A local HTTP server that serves one file and misbehaves as it is told to, answer by answer."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class DamagedServer(ThreadingHTTPServer):
    """Serves `body`. Each request takes the next of `faults`, or behaves once they are used up.

    Faults: ``("status", code)``; ``("cut", n)`` close after n bytes; ``("stall", n)`` send n bytes, then nothing until
    `release` is set; ``("hold", n)`` as "stall", but then the rest; ``("ignore range",)``; ``("no etag",)``;
    ``("shifted range",)`` continue at a wrong byte; ``("no length", n)`` as "cut", but in chunks of no stated total;
    ``("cut, no etag", n)``.

    Attributes:
        asked: the headers of every request so far.
    """

    daemon_threads = True

    def __init__(self, body: bytes, faults: list[tuple] = (), etag: str = '"version-1"') -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body, self.faults, self.etag = body, list(faults), etag
        self.asked: list[dict[str, str]] = []
        self.release = threading.Event()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/camvid.zip"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: DamagedServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.asked.append(dict(self.headers))
            fault, *values = self.server.faults.pop(0) if self.server.faults else ("none",)
        self.close_connection = True
        if fault == "status":
            self.send_error(values[0])
            return
        start = 0 if fault == "ignore range" else self._start()
        body = self.server.body[start + (1 if fault == "shifted range" else 0) :]
        self._send_head(fault, start)
        if fault == "no length":
            self._send_chunk(body[: values[0]])
        elif values:
            self.wfile.write(body[: values[0]])
            if fault in ("stall", "hold"):
                self.server.release.wait(60)
            if fault == "hold":
                self.wfile.write(body[values[0] :])
        else:
            self.wfile.write(body)

    def _start(self) -> int:
        wanted = self.headers.get("Range", "")
        same_version = self.headers.get("If-Range", self.server.etag) == self.server.etag
        return int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and same_version else 0

    def _send_head(self, fault: str, start: int) -> None:
        total, shift = len(self.server.body), 1 if fault == "shifted range" else 0
        self.send_response(206 if start else 200)
        if fault == "no length":
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(total - start - shift))
        if start:
            self.send_header("Content-Range", f"bytes {start + shift}-{total - 1}/{total}")
        if "no etag" not in fault:
            self.send_header("ETag", self.server.etag)
        self.end_headers()

    def _send_chunk(self, body: bytes) -> None:
        """One chunk, without the empty one that would mark the end."""
        self.wfile.write(f"{len(body):x}\r\n".encode() + body + b"\r\n")


@contextmanager
def serving(body: bytes, *faults: tuple, etag: str = '"version-1"') -> Iterator[DamagedServer]:
    """A server for the time of a `with` block."""
    server = DamagedServer(body, list(faults), etag)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        server.shutdown()
        server.server_close()
        thread.join()
