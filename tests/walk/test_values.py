"""Answers with values and bytes that are hard to keep, from the wire to the rows of a destination."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import reiterate
from reiterate.flow import RunFinished, Status
from tests import replica
from tests.conftest import KEY
from tests.walk.raw import RawServer, answered

if TYPE_CHECKING:
    from pathlib import Path

DAY = (datetime.now(UTC) - timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
ROW = b'{"email":"a@b.c","createdAt":"%s +00:00","messageId":"%%b","city":"%%b"}' % f"{DAY:%Y-%m-%d %H:%M:%S}".encode()


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"], ids=["no line break", "LF", "CR LF"])
@pytest.mark.parametrize(
    ("city", "raw"),
    [
        (b"caf\xe9", r'"caf\udce9"'),
        (b"caf\xc3", r'"caf\udcc3"'),
        (b"a\xe2\x80\xa8b", None),
        (b"\xed\xa0\x80", r'"\udced\udca0\udc80"'),
        (b"a\x00b", r'"a\u0000b"'),
    ],
)
def test_bytes_of_the_last_line(tmp_path: Path, city: bytes, raw: str | None, end: bytes) -> None:
    """A last line is whole whatever its bytes are, and each value arrives, as text or raw."""
    file = tmp_path / "replica.duckdb"
    lines = ROW % (b"m1", b"x") + b"\r\n" + ROW % (b"m2", city) + end

    def answer(request: bytes) -> bytes:
        if b"/api/export/start" in request:
            return answered("", status="403 Forbidden")
        first = f"startDateTime={DAY:%Y-%m-%d}".encode() in request
        return answered(lines if first else b"", headers=f"Date: {datetime.now(UTC):%a, %d %b %Y %H:%M:%S} GMT\r\n")

    with RawServer(answer) as server:
        *_, last = reiterate.sync(
            api_key=KEY,
            api_address=server.url,
            start_date=DAY.date(),
            tables="email_open",
            window_in_days=1,
            rate_limit_factor=1_000_000.0,
            destination=str(file),
        )
    assert isinstance(last, RunFinished)
    assert Status.SUCCEEDED is last.status, last.problems
    column = "city__v_raw" if raw else "city"
    found = replica.execute(file, f"SELECT {column} FROM email_open WHERE message_id = 'm2'")
    assert [(raw or city.decode(),)] == found
