"""A way to PostgreSQL that breaks in the middle of a commit."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST = 1 << 16
COMMIT = b"COMMIT\0"


@dataclass
class Cuts:
    """
    How many commits break from now on, and whether the server hears of them; the client hears of none.

    Only commits count before which the client has said *after*.
    """

    url: str
    wanted: int = 0
    made: int = 0
    arrives: bool = True
    after: bytes = b""
    _lock: Lock = field(default_factory=Lock)

    def take(self) -> bool:
        """Return whether a commit that comes now breaks."""
        with self._lock:
            breaks = self.made < self.wanted
            self.made += breaks
            return breaks


@contextmanager
def cutting(url: str) -> Iterator[Cuts]:
    """Hand out another address of the server at *url*, and what breaks on the way there."""
    parts = urlsplit(url)
    target = str(Path(parse_qs(parts.query)["host"][0]) / ".s.PGSQL.5432")
    over = Event()
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(64) as threads:
        server.settimeout(0.2)
        cuts = Cuts(f"postgresql://postgres:none@127.0.0.1:{server.getsockname()[1]}{parts.path}")
        serving = threads.submit(_serve, server, target, cuts, over, threads)
        try:
            yield cuts
        finally:
            over.set()
            serving.result()


def _serve(server: socket.socket, target: str, cuts: Cuts, over: Event, threads: ThreadPoolExecutor) -> None:
    while not over.is_set():
        with suppress(TimeoutError):
            client, _ = server.accept()
            threads.submit(_carry, client, target, cuts, threads)


def _carry(client: socket.socket, target: str, cuts: Cuts, threads: ThreadPoolExecutor) -> None:
    """Carry what a client says to the server until one of them has nothing more to say, or a commit breaks."""
    with client, socket.socket(socket.AF_UNIX) as behind:
        behind.connect(target)
        answering = threads.submit(_answer, behind, client)
        with suppress(OSError):
            counts = False
            while said := client.recv(LARGEST):
                counts = counts or cuts.after in said
                if COMMIT in said and counts and cuts.take():
                    client.shutdown(socket.SHUT_RDWR)
                    if cuts.arrives:
                        behind.sendall(said)
                    break
                behind.sendall(said)
        # what was sent is read before the end is seen
        with suppress(OSError):
            behind.shutdown(socket.SHUT_WR)
        answering.result()


def _answer(behind: socket.socket, client: socket.socket) -> None:
    with suppress(OSError):
        while said := behind.recv(LARGEST):
            with suppress(OSError):
                client.sendall(said)
    with suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
