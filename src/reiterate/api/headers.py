"""The headers of an answer, within a bounded time: the HTTP library's own timeout begins anew with every byte."""

from __future__ import annotations

import http.client
import time
from typing import TYPE_CHECKING, Any, BinaryIO, cast

if TYPE_CHECKING:
    import io

    import urllib3

HEADERS_S = 900.0
"""So long the headers of one answer may take; lists of users are silent for ten minutes before them."""


class _InTime:
    """Reads lines from *file* until the time is over."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._began = time.monotonic()

    def readline(self, limit: int) -> bytes:
        line = b""
        while len(line) < limit and not line.endswith(b"\n") and (ready := self._file.peek(1)):
            line += self._file.read(min((ready.find(b"\n") + 1) or len(ready), limit - len(line)))
            if time.monotonic() - self._began > HEADERS_S:
                message = f"the headers took longer than {HEADERS_S:g} s"
                raise TimeoutError(message)
        return line

    def close(self) -> None:
        self._file.close()


class _Response(http.client.HTTPResponse):
    def begin(self) -> None:
        file = self.fp
        self.fp = cast("Any", _InTime(cast("Any", file)))
        try:
            super().begin()
        finally:
            if self.fp is not None:
                self.fp = cast("BinaryIO", file)  # type: ignore[assignment]


def timed(pools: urllib3.PoolManager) -> urllib3.PoolManager:
    """Return *pools*, whose connections wait for headers no longer than ``HEADERS_S``."""
    found: dict[str, Any] = dict(pools.pool_classes_by_scheme)
    for scheme, pool in found.items():
        connection = type(pool.ConnectionCls.__name__, (pool.ConnectionCls,), {"response_class": _Response})
        found[scheme] = type(pool.__name__, (pool,), {"ConnectionCls": connection})
    pools.pool_classes_by_scheme = found
    return pools
