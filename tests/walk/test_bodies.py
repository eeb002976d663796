"""Every byte of a body is accounted for, compressed or not; an end that is not proved is no end."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import zlib
from contextlib import suppress
from threading import Event
from typing import TYPE_CHECKING

import pytest

from reiterate.api import MEMBERS, ROWS, Caller, Client, Clock, Downloaded, Pacer, bodies
from reiterate.api import headers as api_headers
from reiterate.api.bodies import NotAnAnswer
from reiterate.errors import BrokenAnswer, ExportCut, SourceError, Unauthorized, Unreachable
from reiterate.library.opening import now_utc
from reiterate.secret import Secret
from tests.conftest import KEY
from tests.walk.raw import RawServer, answered

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROW = b'{"createdAt":"2026-01-01 00:00:00 +00:00","email":"a@example.com"}\n'
MEMBER = b"a@example.com\n"
EXPORT, LIST = "/api/export/data.json", "/api/lists/getUsers"
ZIPPED = "Content-Encoding: gzip\r\n"
BROKEN_TRIES = 4


def sent(head: str, body: bytes) -> bytes:
    return f"{head}\r\nConnection: close\r\n\r\n".encode() + body


def chunked(*parts: bytes, end: bytes = b"0\r\n\r\n", headers: str = "") -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return sent(f"HTTP/1.1 200 OK\r\n{headers}Transfer-Encoding: chunked", body + end)


def caller_of(server: RawServer) -> Caller:
    return Client(server.url, Secret(KEY), pacer=Pacer(factor=1e9, stop=Event()), clock=Clock(now_utc)).caller()


def download(answer: bytes, target: Path, kind: str = EXPORT) -> Downloaded:
    """Download *answer*, whatever is asked for."""
    with RawServer(lambda _: answer) as server:
        try:
            return caller_of(server).download(kind, {}, target, kind=MEMBERS if kind == LIST else ROWS)
        finally:
            assert len(server.requests) <= BROKEN_TRIES


ROWS_OF_SEVERAL = [ROW * 3, b"", ROW * 2]

WHOLE = {
    "length": answered(ROW * 5),
    "chunks": chunked(ROW * 2, ROW * 3),
    "chunks that end inside rows": chunked((ROW * 5)[:7], (ROW * 5)[7:100], (ROW * 5)[100:]),
    "chunks, with a trailer": chunked(ROW * 5, end=b"0\r\nX-Checksum: 7\r\n\r\n"),
    "HTTP/1.0 with a length": sent(f"HTTP/1.0 200 OK\r\nContent-Length: {5 * len(ROW)}", ROW * 5),
    "gzip": answered(gzip.compress(ROW * 5), headers=ZIPPED),
    "x-gzip": answered(gzip.compress(ROW * 5), headers="Content-Encoding: X-GZIP\r\n"),
    "identity": answered(ROW * 5, headers="Content-Encoding: identity\r\n"),
    "gzip of several members": answered(b"".join(map(gzip.compress, ROWS_OF_SEVERAL)), headers=ZIPPED),
    "gzip of several members, byte by byte": chunked(
        *(bytes([byte]) for byte in b"".join(map(gzip.compress, ROWS_OF_SEVERAL))), headers=ZIPPED
    ),
    "no last line break": answered((ROW * 5)[:-1]),
}


@pytest.mark.parametrize("answer", WHOLE.values(), ids=WHOLE)
def test_a_body_that_is_whole(tmp_path: Path, answer: bytes) -> None:
    """A body whose end is proved is read to its end."""
    file = tmp_path / "rows"
    arrived = download(answer, file)
    assert (ROW * 5).strip() == file.read_bytes().strip()
    assert (5, file.stat().st_size) == (arrived.rows, arrived.size_bytes)


@pytest.mark.parametrize("label", ["gzip", "br", "zstd", "deflate"])
@pytest.mark.parametrize("kind", [EXPORT, LIST])
def test_an_empty_body(tmp_path: Path, kind: str, label: str) -> None:
    """No bytes are no rows, however they are labelled."""
    headers = f"Content-Encoding: {label}\r\nContent-Type: text/html\r\n"
    assert Downloaded(0, 0) == download(answered(b"", headers=headers), tmp_path / "rows", kind)
    assert Downloaded(0, 0) == download(chunked(headers=headers), tmp_path / "rows", kind)


PACKED = gzip.compress(ROW * 50)
NOT_WHOLE: dict[str, tuple[bytes, type[SourceError], str]] = {
    "shorter than its length": (
        sent(f"HTTP/1.1 200 OK\r\nContent-Length: {5 * len(ROW)}", ROW * 4),
        ExportCut,
        "broke off",
    ),
    "no last chunk": (chunked(ROW * 4, end=b""), ExportCut, "broke off"),
    "half a chunk": (chunked(ROW * 4, end=b"ffff\r\n" + ROW), ExportCut, "broke off"),
    "a chunk of no size": (chunked(ROW * 4, end=b"many\r\n"), ExportCut, "broke off"),
    "gzip that lacks its checksum": (answered(PACKED[:-8], headers=ZIPPED), ExportCut, "ends too early"),
    "gzip with a wrong checksum": (answered(PACKED[:-8] + bytes(8), headers=ZIPPED), ExportCut, "incorrect data check"),
    "gzip whose last member is cut": (answered(PACKED + PACKED[:-9], headers=ZIPPED), ExportCut, "ends too early"),
    "gzip with something behind": (answered(PACKED + b"more", headers=ZIPPED), BrokenAnswer, "goes on behind the end"),
    "gzip with a byte behind": (answered(PACKED + b"\x1f", headers=ZIPPED), BrokenAnswer, "goes on behind the end"),
    "gzip with zeros behind": (answered(PACKED + bytes(512), headers=ZIPPED), BrokenAnswer, "goes on behind the end"),
    "no gzip": (answered(ROW * 5, headers=ZIPPED), BrokenAnswer, "and is not"),
    "deflate": (
        answered(zlib.compress(ROW * 5), headers="Content-Encoding: deflate\r\n"),
        BrokenAnswer,
        "nobody asked for: `Content-Encoding: deflate`",
    ),
    "gzip twice": (
        answered(gzip.compress(PACKED), headers="Content-Encoding: gzip, gzip\r\n"),
        BrokenAnswer,
        "nobody asked for: `Content-Encoding: gzip, gzip`",
    ),
    "neither length nor chunks": (sent("HTTP/1.1 200 OK", ROW * 5), BrokenAnswer, "gateway or proxy"),
    "neither, and nothing": (sent("HTTP/1.1 200 OK", b""), BrokenAnswer, "gateway or proxy"),
    "neither, compressed": (sent(f"HTTP/1.1 200 OK\r\n{ZIPPED[:-2]}", PACKED), BrokenAnswer, "gateway or proxy"),
    "HTTP/1.0": (sent("HTTP/1.0 200 OK", ROW * 5), BrokenAnswer, "gateway or proxy"),
    "a length that is no number": (sent("HTTP/1.1 200 OK\r\nContent-Length: all", ROW * 5), BrokenAnswer, "gateway"),
    "chunks in gzip": (
        sent("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked", b"5\r\nabcde\r\n0\r\n\r\n"),
        BrokenAnswer,
        "gateway",
    ),
}


@pytest.mark.parametrize(("answer", "error", "says"), NOT_WHOLE.values(), ids=NOT_WHOLE)
def test_a_body_that_is_not_whole(tmp_path: Path, answer: bytes, error: type[SourceError], says: str) -> None:
    """A body that breaks off, or that is not what its headers say, is an error that says so; nothing of it stays."""
    file = tmp_path / "rows"
    with pytest.raises(error, match=says) as caught:
        download(answer, file)
    assert error is type(caught.value)
    assert not file.exists()


def test_members_and_figures_need_a_proved_end(tmp_path: Path) -> None:
    """Lists and CSV files have no syntax that proves their end, so length or chunks must."""
    with pytest.raises(BrokenAnswer, match="gateway or proxy"):
        download(sent("HTTP/1.1 200 OK", MEMBER * 5), tmp_path / "members", LIST)
    with (
        RawServer(lambda _: sent("HTTP/1.1 200 OK", b"id,A\n1,2\n")) as server,
        pytest.raises(BrokenAnswer, match="gateway or proxy"),
    ):
        caller_of(server).text("/api/campaigns/metrics", {}, form=str)


@pytest.mark.parametrize(
    ("body", "whole"),
    [
        (b'{"a":[1]}', True),
        (b"[1]\n", True),
        (b'{"a":[1]', False),
        (b'{"a":[1]}}', False),
        (b'{"a":[1]} {}', False),
        (b'{"a":[1]}<!-- from the cache -->', False),
        (b"12", False),
        (b"", False),
    ],
)
def test_documents_prove_their_end(body: bytes, whole: bool) -> None:
    """A JSON document without length and chunks is whole by its syntax; a number never is, for more may follow."""
    with RawServer(lambda _: sent("HTTP/1.1 200 OK", body)) as server:
        if whole:
            assert caller_of(server).json("/api/lists", form=bool)
        else:
            with pytest.raises(BrokenAnswer):
                caller_of(server).json("/api/lists", form=bool)


# ── bounds, a test for each row of the table in docs/errors.md ───────────────────────────────────────────────────────


class Impatient(Event):
    """A flag that nobody sets, and for which nobody waits."""

    def wait(self, timeout: float | None = None) -> bool:
        return False


class Told:
    """What is told of waiting."""

    def __init__(self) -> None:
        self.waits: list[tuple[float, str]] = []

    def waiting(self, seconds: float, reason: str) -> None:
        self.waits.append((seconds, reason))

    def progress(self, rows: int, size_bytes: int) -> None:
        """Ignore it."""


def bomb(size_bytes: int, line: bytes, *, begins: bytes = b"") -> Iterator[bytes]:
    """Yield pieces of a gzip body of *begins* and lines like *line*, without its end: nobody should come so far."""
    packer = zlib.compressobj(1, wbits=31)
    yield packer.compress(begins)
    piece = line * ((1 << 20) // len(line))
    for _ in range(size_bytes >> 20):
        yield packer.compress(piece)
    yield packer.flush(zlib.Z_SYNC_FLUSH)


def test_a_document_has_a_largest_size() -> None:
    """A small body that unpacks to more than 128 MB is given up before it is in memory."""
    answer = answered(b"".join(bomb(200 << 20, b" ")), headers=ZIPPED)
    assert len(answer) < 2_000_000
    with RawServer(lambda _: answer) as server, pytest.raises(BrokenAnswer, match="larger than 128 MB"):
        caller_of(server).json("/api/lists", form=bool)


def test_figures_have_a_largest_size() -> None:
    """A CSV of more than 16 MB is given up."""
    answer = answered(b"".join(bomb(20 << 20, b"1,2\n")), headers=ZIPPED)
    with RawServer(lambda _: answer) as server, pytest.raises(BrokenAnswer, match="larger than 16 MB"):
        caller_of(server).text("/api/campaigns/metrics", {}, form=str)


@pytest.mark.parametrize(("kind", "says"), [(EXPORT, "16,777,216 bytes"), (LIST, "4,096 bytes")])
def test_a_line_has_a_largest_size(tmp_path: Path, kind: str, says: str) -> None:
    """A line without end is given up, packed and unpacked; what it begins with is nobody's business."""
    begins = b'{"email":"' if kind == EXPORT else b""
    for answer in (
        answered(b"".join(bomb(20 << 20, b"a", begins=begins)), headers=ZIPPED),
        answered(begins + b"a" * (17 << 20)),
    ):
        with pytest.raises(BrokenAnswer, match=f"longer than {says}") as caught:
            download(answer, tmp_path / "rows", kind)
        assert "aaaa" not in str(caught.value)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b"[[{}],"])
def test_a_document_has_a_greatest_depth(opening: bytes) -> None:
    """JSON that is nested more deeply than Python reads it is no answer, and no unforeseen error."""
    with RawServer(lambda _: answered(opening * 100_000)) as server, pytest.raises(BrokenAnswer, match="too deeply"):
        caller_of(server).json("/api/lists", form=bool)


@pytest.mark.parametrize("body", [b"[" * 60_000, b'{"msg":' + b"[" * 60_000, gzip.compress(bytes(10**8), 1)])
def test_the_body_of_an_error_is_read_in_part(body: bytes) -> None:
    """Of the body of an error 64 kB are read, however it is packed and nested; its status counts."""
    headers = ZIPPED if body.startswith(b"\x1f") else ""
    answer = answered(body, status="400 Bad Request", headers=headers)
    with RawServer(lambda _: answer) as server, pytest.raises(SourceError) as caught:
        caller_of(server).json("/api/lists", form=bool)
    assert 400 == caught.value.facts["status"]
    assert len(str(caught.value)) < 1_000


def test_an_error_whose_body_breaks_off() -> None:
    """The status of an answer counts, whatever becomes of its body: a wrong key is not asked for again."""
    answer = sent("HTTP/1.1 400 Bad Request\r\nContent-Length: 1000", b'{"msg"')
    with RawServer(lambda _: answer) as server:
        with pytest.raises(SourceError) as caught:
            caller_of(server).json("/api/lists", form=bool)
        assert (400, 1) == (caught.value.facts["status"], len(server.requests))


@pytest.mark.parametrize(
    "headers", ["".join(f"X-{number}: 1\r\n" for number in range(200)), f"X: {'1' * 70_000}\r\n"], ids=["many", "long"]
)
def test_headers_have_a_largest_size(headers: str) -> None:
    """More than 100 headers, or one of more than 64 kB, are no answer of Iterable's."""
    with RawServer(lambda _: answered(b"{}", headers=headers)) as server:
        with pytest.raises(BrokenAnswer, match="100 headers"):
            caller_of(server).json("/api/lists", form=bool)
        assert BROKEN_TRIES == len(server.requests)


def test_headers_have_a_longest_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers that come byte by byte for more than 15 minutes, here a fifth of a second, are given up."""
    monkeypatch.setattr(api_headers, "HEADERS_S", 0.2)

    def drip(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection = listening.accept()[0]
                with suppress(OSError), connection:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                    for _ in range(100):
                        connection.sendall(b"x")
                        time.sleep(0.01)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=drip, args=(listening,), daemon=True).start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        client = Client(address, Secret(KEY), pacer=Pacer(factor=1e9, stop=Event()), clock=Clock(now_utc))
        with pytest.raises(Unreachable, match=r"the headers took longer than 0\.2 s"):
            client.caller().json("/api/lists", form=bool)


def test_redirections_are_not_followed() -> None:
    """An answer that leads elsewhere is an error: the key goes nowhere else."""
    answer = answered(b"", status="302 Found", headers="Location: http://127.0.0.1:1/\r\n")
    with RawServer(lambda _: answer) as server:
        with pytest.raises(SourceError, match="redirection, which is not followed"):
            caller_of(server).json("/api/lists", form=bool)
        assert 1 == len(server.requests)


@pytest.mark.parametrize("body", ["<html>Log in</html>", "7", '{"msg":"Down","code":"GenericError"}', '{"other":[]}'])
def test_a_page_accepts_no_key(body: str) -> None:
    """A key that is refused is not taken for one that lacks a right because a portal answers the question."""

    def answer(request: bytes) -> bytes:
        return answered(body) if b"/api/channels" in request else answered('{"msg":"Invalid"}', status="401 No")

    with RawServer(answer) as server, pytest.raises(Unauthorized):
        caller_of(server).json("/api/lists", form=bool)


@pytest.mark.parametrize(("reached", "tries"), [(False, 3), (True, 8)], ids=["never", "before"])
def test_nobody_is_there(reached: bool, tries: int) -> None:
    """Where nobody listens, three tries are enough; where Iterable has answered before, two minutes are waited."""
    told = Told()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    client = Client(
        f"http://127.0.0.1:{port}", Secret(KEY), pacer=Pacer(factor=1.0, stop=Impatient()), clock=Clock(now_utc)
    )
    client.reached = reached
    with pytest.raises(Unreachable, match="could not be reached"):
        client.caller(told).json("/api/lists", form=bool)
    assert tries - 1 == len(told.waits)


class Slow:
    """A response of which a byte arrives every so often, by a clock that only it moves."""

    def __init__(self, every_s: float, size: int = 1) -> None:
        self._every_s = every_s
        self._size = size
        self.now = 0.0

    def read1(self, amt: int | None = None, decode_content: bool | None = None) -> bytes:
        assert amt is not None
        assert not decode_content
        self.now += self._every_s
        return b"x" * self._size


@pytest.mark.parametrize(
    ("every_s", "size", "says", "after_s"),
    [
        (20.0, 1, "came too slowly: 16 bytes in 300 s", 320),
        (20.0, 60, "came too slowly: 960 bytes in 300 s", 320),
        (20.0, 100, "longer than 12 hours", 12 * 3600 + 20),
        (1.0, 1 << 19, "longer than 12 hours", 12 * 3600 + 1),
    ],
)
def test_an_answer_has_a_longest_time(every_s: float, size: int, says: str, after_s: float) -> None:
    """A byte every 20 seconds is no life: in the time of five silences 1,000 bytes must come, and all in 12 hours."""
    slow = Slow(every_s, size)
    with pytest.raises(NotAnAnswer, match=says):
        for _ in bodies.arriving(slow, silence_s=60.0, clock=lambda: slow.now):
            pass
    assert after_s == slow.now


def test_time_that_we_take_is_not_counted() -> None:
    """While the spool is full nobody reads; that makes no answer slow."""
    slow = Slow(1.0, 100)
    pieces = bodies.arriving(slow, silence_s=60.0, clock=lambda: slow.now)
    for _ in range(100):
        next(pieces)
        slow.now += 3_600.0


def waits(headers: str, says: str) -> list[tuple[float, str]]:
    """Return how long a client waits, and why, when each of its requests is a 429."""
    answer = answered(f'{{"msg":"{says}","code":"RateLimitExceeded"}}', status="429 Too Many", headers=headers)
    told = Told()
    with RawServer(lambda _: answer) as server:
        client = Client(server.url, Secret(KEY), pacer=Pacer(factor=1.0, stop=Impatient()), clock=Clock(now_utc))
        with pytest.raises(SourceError, match="rate limit was reached"):
            client.caller(told).json("/api/lists", form=bool)
    return told.waits


@pytest.mark.parametrize(
    ("headers", "says", "wait_s", "tries"),
    [
        ("Retry-After: 7\r\n", "", 7.0, 30),
        ("Retry-After: 3600\r\n", "", 3600.0, 30),
        ("Retry-After: Wed, 21 Oct 2026 07:28:30 GMT\r\nDate: Wed, 21 Oct 2026 07:28:00 GMT\r\n", "", 30.0, 30),
        ("", "Exceeded rate limit of 4.0 per minute", 15.0, 30),
        ("", "Exceeded rate limit of 0.5 per minute", 120.0, 30),
        ("Retry-After: 3600000000\r\n", "", 3600.0, 3),
        ("", "Exceeded rate limit of 0.000001 per hour", 3600.0, 3),
    ],
)
def test_who_names_a_time_is_obeyed(headers: str, says: str, wait_s: float, tries: int) -> None:
    """A 429 is waited for as long as it says, but never longer than an hour, and then two times; that is told."""
    found = waits(headers, says)
    assert [wait_s] * (tries - 1) == [seconds for seconds, _ in found]
    assert all(("s were asked for, which is too long" in reason) == (tries == 3) for _, reason in found)


@pytest.mark.parametrize("header", ["0", "0.01", "-5", "nan", "inf", "soon", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_who_names_no_time_is_not_asked_at_once(header: str) -> None:
    """A 429 without a time that makes sense is met with a backoff of a second and more, doubling up to a minute."""
    found = [seconds for seconds, _ in waits(f"Retry-After: {header}\r\n", "rate limit of 0.0 per second")]
    assert 29 == len(found)
    assert all(1.0 <= seconds <= 60.0 for seconds in found)
    assert 20 * 60.0 < sum(found)
