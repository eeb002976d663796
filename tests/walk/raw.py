"""A server of bare bytes: for answers that no proper server gives."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

END_OF_HEADERS = b"\r\n\r\n"


class RawServer:
    """Gives each request, as it came, to *answer*, and sends what that returns; *requests* are all that came."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.url = f"http://{self.host}"
        self.requests: list[bytes] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self._socket.accept()[0],), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.settimeout(20)
            request = b""
            while END_OF_HEADERS not in request:
                if not (more := connection.recv(1 << 16)):
                    return
                request += more
            self.requests.append(request)
            connection.sendall(self._answer(request))


def answered(body: bytes | str, *, status: str = "200 OK", headers: str = "") -> bytes:
    """Return a whole answer that closes its connection."""
    raw = body.encode() if isinstance(body, str) else body
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(raw)}\r\nConnection: close\r\n{headers}\r\n"
    return head.encode("latin-1") + raw
