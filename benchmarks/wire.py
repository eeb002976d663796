"""
A server that answers exports as fast as the system can send a file, in a process of its own.

    python -m benchmarks.wire FILE DATA_TYPE

The rows of FILE are in the order of their time; an index beside it, ``FILE.index``, tells at which byte each second
begins, so that every window gets its rows. ``FILE.fields`` is what ``users/getFields`` answers. Other data types, and a
FILE that is empty, have no rows. Export jobs are refused, as they are to read-only keys. ``/_calls`` tells how many
exports were asked for since the last time.
"""

from __future__ import annotations

import calendar
import json
import os
import socket
import subprocess
import sys
import threading
import time
from array import array
from bisect import bisect_left
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs
from urllib.request import urlopen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

ROOT = Path(__file__).parents[1]
REFUSED = b'{"msg":"Disabled API key or insufficient privileges","code":"BadApiKey","params":null}'


@dataclass(frozen=True)
class Index:
    """At which byte of a file the rows of each second begin; *seconds* are those that have rows, in order."""

    seconds: array[int] = field(default_factory=lambda: array("Q"))
    offsets: array[int] = field(default_factory=lambda: array("Q"))

    def write(self, source: Path) -> None:
        with index_of(source).open("wb") as file:
            self.seconds.tofile(file)
            self.offsets.tofile(file)

    @classmethod
    def read(cls, source: Path) -> Index:
        number = index_of(source).stat().st_size // 16
        seconds, offsets = array("Q"), array("Q")
        with index_of(source).open("rb") as file:
            seconds.fromfile(file, number)
            offsets.fromfile(file, number)
        return cls(seconds, offsets)

    def place(self, second: int, size_bytes: int) -> int:
        """Return where the rows from *second* on begin in a file of *size_bytes*."""
        at = bisect_left(self.seconds, second)
        return self.offsets[at] if at < len(self.offsets) else size_bytes


def index_of(source: Path) -> Path:
    return source.with_name(f"{source.name}.index")


def fields_of(source: Path) -> Path:
    """Return where the user fields stand that the project declares."""
    return source.with_name(f"{source.name}.fields")


class Server:
    """Threads that answer; one for each connection."""

    def __init__(self, source: Path, data_type: str) -> None:
        self._source, self._data_type = source, data_type
        self._size_bytes = source.stat().st_size
        self._index = Index.read(source) if self._size_bytes else Index()
        self._calls = 0
        fields = fields_of(source)
        self._fields = fields.read_bytes() if fields.exists() else b'{"fields":{"email":"string"}}'

    def serve(self, listening: socket.socket) -> None:
        while True:
            connection, _ = listening.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._answer_all, args=(connection,), daemon=True).start()

    def _answer_all(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError), connection, self._source.open("rb") as file:
            lines = connection.makefile("rb")
            while request := lines.readline():
                length = 0
                while (header := lines.readline().strip()) != b"":
                    if header.lower().startswith(b"content-length:"):
                        length = int(header.split(b":")[1])
                lines.read(length)
                method, target, _ = request.decode("ascii").split()
                path, _, query = target.partition("?")
                self._answer(connection, file, f"{method} {path}", query)

    def _answer(self, connection: socket.socket, file: BinaryIO, asked: str, query: str) -> None:
        match asked:
            case "GET /api/export/data.json":
                start, end = self._range(parse_qs(query))
                self._calls += 1
                _head(connection, "200 OK", end - start)
                if end > start:
                    connection.sendfile(file, start, end - start)
            case "GET /api/users/getFields":
                _send(connection, "200 OK", self._fields)
            case "GET /_calls":
                calls, self._calls = self._calls, 0
                _send(connection, "200 OK", str(calls).encode())
            case _ if asked.startswith("POST "):
                _send(connection, "401 Unauthorized", REFUSED)
            case _:
                _send(connection, "404 Not Found", b"{}")

    def _range(self, params: dict[str, list[str]]) -> tuple[int, int]:
        """Return the first byte of the rows that *params* ask for, and the one after the last."""
        if params.get("dataTypeName", [self._data_type])[-1].lower() != self._data_type.lower():
            return 0, 0
        start, end = 0, self._size_bytes
        if "startDateTime" in params:
            start = self._index.place(_second(params["startDateTime"][-1]), self._size_bytes)
        if "endDateTime" in params:
            end = self._index.place(_second(params["endDateTime"][-1]), self._size_bytes)
        return start, max(start, end)


def _second(text: str) -> int:
    return calendar.timegm(time.strptime(text[:19].replace("T", " "), "%Y-%m-%d %H:%M:%S"))


def _head(connection: socket.socket, status: str, length: int) -> None:
    connection.sendall(
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode()
    )


def _send(connection: socket.socket, status: str, body: bytes) -> None:
    _head(connection, status, len(body))
    connection.sendall(body)


@dataclass(frozen=True)
class Serving:
    """A server that runs."""

    url: str

    def calls(self) -> int:
        """Return how many exports were asked for since the last time."""
        with urlopen(f"{self.url}/_calls") as answer:
            return int(json.load(answer))


@contextmanager
def serving(source: Path, data_type: str) -> Iterator[Serving]:
    """Serve *source* from a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.wire", str(source), data_type],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        if process.stdout is None:
            raise OSError
        yield Serving(f"http://127.0.0.1:{int(process.stdout.readline())}")
    finally:
        process.kill()
        process.communicate()


def main() -> None:
    """Serve until standard input ends, which it does with the process that asked for a server."""
    server = Server(Path(sys.argv[1]), sys.argv[2])
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(listening.getsockname()[1], flush=True)
    threading.Thread(target=server.serve, args=(listening,), daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
