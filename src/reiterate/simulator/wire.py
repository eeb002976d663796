"""Answers that a server library would not write: the bytes go straight to the connection, which is then closed."""

from __future__ import annotations

import gzip
import socket
import struct
import zlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Mapping

MEMBERS = 3
MIB = 1 << 20


def _transport(send: Any) -> asyncio.Transport:  # noqa: ANN401
    """Return the connection beneath uvicorn's ``send``, a bound method of its request."""
    transport: asyncio.Transport = send.__self__.transport
    return transport


def is_gone(send: Any) -> bool:  # noqa: ANN401
    """Return whether the client has closed the connection."""
    return bool(send.__self__.disconnected)


def close(send: Any) -> None:  # noqa: ANN401
    """Close the connection after what was written."""
    _transport(send).close()


def reset(send: Any) -> None:  # noqa: ANN401
    """Close the connection so that the client gets a reset (RST)."""
    transport = _transport(send)
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def write_alone(send: Any, line: str, headers: Mapping[str, str], body: bytes) -> None:  # noqa: ANN401
    """Write an answer whose status line is *line* and whose body has the framing that *headers* say; then close."""
    head = "\r\n".join([line, *(f"{name}: {value}" for name, value in headers.items()), "Connection: close", "", ""])
    _transport(send).write(head.encode("latin-1") + body)
    close(send)


def status_line(status: int, reason: str = "") -> str:
    return f"HTTP/1.1 {status} {reason or HTTPStatus(status).phrase}"


def chunk_of_size(content: bytes, size: str) -> bytes:
    """Return a whole chunk, and the beginning of another whose size is *size*."""
    return f"{len(content):x}\r\n".encode() + content + f"\r\n{size}\r\n".encode()


# ── compression ──────────────────────────────────────────────────────────────────────────────────────────────────────


def members(body: bytes, *, cut: bool) -> bytes:
    """Return *body* in several gzip members; with *cut* the last one lacks its second half."""
    step = -(-len(body) // MEMBERS) or 1
    packed = [gzip.compress(body[at : at + step], 1) for at in range(0, max(len(body), 1), step)]
    if cut:
        packed[-1] = packed[-1][: len(packed[-1]) // 2]
    return b"".join(packed)


def bomb(size_bytes: int) -> Iterator[bytes]:
    """Yield the compressed pieces of one row, a JSON object as well, of about *size_bytes*."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    yield packer.compress(b'{"createdAt":"2025-01-01 00:00:00 +00:00","filler":"')
    for done in range(0, size_bytes, MIB):
        yield packer.compress(b"a" * min(MIB, size_bytes - done))
    yield packer.compress(b'"}\n') + packer.flush()
