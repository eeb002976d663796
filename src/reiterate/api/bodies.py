"""
The body of an answer: every byte accounted for, unpacked in bounded steps, within a bounded time.

    socket ─► arriving (how fast, how long) ─► unpacked (gzip, member by member) ─► gathered (fewer, larger chunks)
"""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from urllib3 import BaseHTTPResponse

CHUNK_BYTES = 1 << 19
GATHER_S = 0.2
"""What arrives slowly is handed out as often, so that progress shows."""

SILENCES = 5
LEAST_BYTES = 1_000
"""
In the time of so many silences (5 minutes; 50 for the users of a list) at least so much must come: a byte every 20
seconds is no life. A project that shows a row in five minutes passes.
"""
LONGEST_S = 12 * 3600.0
"""So long one answer may be waited for; lists of millions of users were seen to take more than four hours."""

BEGINS_BYTES = 1 << 12
PAGES = {"text/html", "application/xhtml+xml"}
NOT_ENCODED, GZIP = {"", "identity"}, {"gzip", "x-gzip"}


class NotAnAnswer(ValueError):
    """
    What arrived is not what was asked for; the text says why, as a sentence.

    *came* is the place of the answer that shows what it was instead; the beginning if it is empty, and none if there is
    nothing to be seen: people's rows have no business in messages.
    """

    def __init__(self, what: str, *, hint: str = "", came: bytes | None = b"") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.came = came


@dataclass
class Body:
    """
    The body of an answer: unpacked *pieces*, to be read once.

    It is *framed* if its length or its chunks prove that it has come to its end. *label* is the content type, without
    parameters; *begins* is the beginning of what was read.
    """

    pieces: Iterator[bytes]
    label: str
    framed: bool
    begins: bytes = b""

    @property
    def chunks(self) -> Iterator[bytes]:
        """
        What arrives, in chunks that are not empty.

        :raises NotAnAnswer: when it is a page for a browser: Iterable's answers never are (FACTS.md 3)
        """
        for piece in self.pieces:
            if not self.begins:
                self.begins = piece[:BEGINS_BYTES]
                if self.label in PAGES:
                    raise NotAnAnswer("An answer is a web page.")
            yield piece

    def whole(self, most_bytes: int) -> bytes:
        """
        Return all of it.

        :raises NotAnAnswer: when it is larger than *most_bytes*, unpacked
        """
        parts, size_bytes = [], 0
        for chunk in self.chunks:
            size_bytes += len(chunk)
            if size_bytes > most_bytes:
                raise NotAnAnswer(f"An answer is larger than {most_bytes / 1e6:,.0f} MB.", came=None)
            parts.append(chunk)
        return b"".join(parts)

    def check_framed(self) -> None:
        """
        Make sure that the end of what has no syntax to prove it is proved by the transfer.

        :raises NotAnAnswer: when it is not
        """
        if not self.framed:
            raise NotAnAnswer(
                "An answer came with neither a length nor chunks, so that its end is not proved.",
                hint="A gateway or proxy between this machine and Iterable takes them away: let it pass on "
                "`Content-Length` and `Transfer-Encoding: chunked`, or go around it.",
                came=None,
            )


def body_of(response: BaseHTTPResponse, *, silence_s: float) -> Body:
    """
    Return the body of *response*, which counts as broken off after *silence_s* without a byte.

    Reading it raises the HTTP library's errors when the transfer does not come to its end, ``zlib.error`` when a
    compressed stream is damaged or stops early, and :class:`NotAnAnswer` when it is nothing that was asked for.
    """
    transfer = response.headers.get("Transfer-Encoding", "").strip().lower()
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    pieces = arriving(response, silence_s=silence_s)
    return Body(
        pieces=gathered(pieces if encoding in NOT_ENCODED else unpacked(pieces, encoding)),
        label=response.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
        framed=transfer == "chunked" or (not transfer and response.length_remaining is not None),
    )


class Arriving(Protocol):
    """A response whose bytes can be had as they arrive."""

    def read1(self, amt: int | None = None, decode_content: bool | None = None) -> bytes: ...


def arriving(response: Arriving, *, silence_s: float, clock: Callable[[], float] = time.monotonic) -> Iterator[bytes]:
    """Yield what arrives as soon as it does, up to the proved end of the transfer; only waiting for it is timed."""
    period_s = SILENCES * silence_s
    total_s = waited_s = 0.0
    size_bytes = 0
    while True:
        began = clock()
        piece = response.read1(CHUNK_BYTES, decode_content=False)
        if not piece:
            return
        passed_s = clock() - began
        total_s, waited_s, size_bytes = total_s + passed_s, waited_s + passed_s, size_bytes + len(piece)
        if total_s > LONGEST_S:
            raise NotAnAnswer(f"An answer took longer than {LONGEST_S / 3600:g} hours.", came=None)
        if size_bytes >= LEAST_BYTES:
            waited_s, size_bytes = 0.0, 0
        elif waited_s > period_s:
            raise NotAnAnswer(f"An answer came too slowly: {size_bytes} bytes in {period_s:g} s.", came=None)
        yield piece


def unpacked(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """
    Yield what gzip members one after the other hold, each up to its checksum; nothing may stand between or behind them.

    A body of no bytes is empty, however it is labelled.
    """
    decoder = None
    first, head = True, b""
    for piece in pieces:
        if encoding not in GZIP:
            raise NotAnAnswer(f"An answer is encoded as nobody asked for: `Content-Encoding: {encoding[:40]}`.")
        packed = head + piece
        while packed:
            if decoder is None:
                if len(packed) < len(MAGIC):
                    break
                _check_begins(packed, first=first)
                decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
                first = False
            if data := decoder.decompress(packed, CHUNK_BYTES):
                yield data
            packed = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
            if decoder.eof:
                decoder = None
        head = packed
    if decoder is not None:
        message = "the compressed stream ends too early"
        raise zlib.error(message)
    if head:
        _check_begins(head, first=first)


MAGIC = b"\x1f\x8b"


def _check_begins(packed: bytes, *, first: bool) -> None:
    if not packed.startswith(MAGIC):
        raise NotAnAnswer(
            "An answer says that it is compressed by gzip, and is not."
            if first
            else "An answer goes on behind the end of its compressed body."
        )


def gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in chunks that are not small, unless they come slowly."""
    parts: list[bytes] = []
    size_bytes, since = 0, time.monotonic()
    for piece in pieces:
        parts.append(piece)
        size_bytes += len(piece)
        if size_bytes >= CHUNK_BYTES or time.monotonic() - since > GATHER_S:
            yield b"".join(parts)
            parts, size_bytes, since = [], 0, time.monotonic()
    if parts:
        yield b"".join(parts)
