"""Batches as the walk makes them: rows to a small raw file, through the real parser, into a sink."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from reiterate import joining
from reiterate.catalog import TABLES
from reiterate.flow import Part, RawFile, Task, Whole, Write
from reiterate.ledger import Fact
from reiterate.parse import Parser
from reiterate.windows import Window
from tests import replica

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from reiterate.flow import Batch
    from reiterate.sinks import Outcome, Sink

Row = dict[str, Any]

DAY = datetime(2026, 11, 1, tzinfo=UTC)
READ_AT = datetime(2026, 11, 2, 9, 30, 15, 250000, tzinfo=UTC)
NUMBERS = count()


# ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def at(clock: str) -> datetime:
    """Return an instant of the day by its hours and minutes."""
    hours, minutes = map(int, clock.split(":"))
    return DAY + timedelta(hours=hours, minutes=minutes)


def wire(clock: str) -> str:
    return f"{at(clock):%Y-%m-%d %H:%M:%S} +00:00"


def click(clock: str, message: str = "m1", **fields: object) -> Row:
    return {"email": "ines@example.com", "createdAt": wire(clock), "messageId": message, **fields}


def user(email: str, clock: str, **fields: object) -> Row:
    return {"email": email, "profileUpdatedAt": wire(clock), **fields}


def campaign(number: int, clock: str, **fields: object) -> Row:
    return {"id": number, "updatedAt": int(at(clock).timestamp() * 1000), **fields}


def members(list_id: int, *emails: str) -> list[Row]:
    return [{"listId": list_id, "email": email} for email in emails]


def same(table: str, rows: Iterable[Row]) -> Counter[str]:
    """Count rows of the source as a destination is to have them."""
    return replica.counted(replica.expected(table, rows))


# ── tasks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def window(table: str, first: str, last: str, write: Write = Write.MERGE) -> Task:
    return Task(TABLES[table], Window(at(first), at(last)), write)


def first_read(first: str, last: str) -> Task:
    """A window of clicks that was never read before."""
    return window("email_click", first, last, Write.APPEND)


def again(first: str, last: str) -> Task:
    """A window of clicks that was read before."""
    return window("email_click", first, last)


def whole(table: str, write: Write = Write.REPLACE) -> Task:
    return Task(TABLES[table], Whole(), write)


def listed(list_id: int) -> Task:
    return Task(TABLES["list_users"], Part("listId", list_id), Write.REPLACE)


# ── batches ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def written(task: Task, directory: Path, rows: Iterable[Row]) -> RawFile:
    """Write *rows* to a raw file of *task*."""
    return written_lines(task, directory, [f"{json.dumps(row, ensure_ascii=False)}\n".encode() for row in rows])


def written_lines(task: Task, directory: Path, lines: Sequence[bytes]) -> RawFile:
    """Write *lines*, each with its line break, to a raw file of *task*."""
    path = directory / f"{next(NUMBERS):06d}.ndjson"
    path.write_bytes(b"".join(lines))
    return RawFile(task, path, len(lines), path.stat().st_size, 3, READ_AT, 1.5, "direct", path.stat().st_mtime_ns)


def batch(sink: Sink, task: Task, rows: Iterable[Row]) -> Batch:
    """Return the rows as they fit into the table of *sink* now."""
    return parsed(sink, written(task, sink.spool, rows))


def parsed(sink: Sink, raw: RawFile) -> Batch:
    """Return the rows of *raw* as they fit into their table of *sink* now."""
    task = raw.task
    with closing(Parser(sink.spool)) as parser:
        return parser.parse(raw, sink.columns(task.table), most_columns=sink.most_columns)


def fact(of: Batch, read_at: datetime = READ_AT) -> Fact:
    scope = of.task.scope
    return Fact(
        run_id="r1",
        table=of.task.table.name,
        window=scope if isinstance(scope, Window) else None,
        part=str(scope.value) if isinstance(scope, Part) else None,
        read_at=read_at,
        rows=of.source_rows,
        size_bytes=1234,
        requests=3,
        seconds=1.5,
        lane="direct",
    )


def load(sink: Sink, task: Task, *rows: Row) -> Outcome:
    """Bring *rows* into *sink*, all the way."""
    made = batch(sink, task, rows)
    return sink.load(made, fact(made))


def load_joined(sink: Sink, read: Iterable[tuple[Task, Iterable[Row]]]) -> Outcome:
    """Bring the rows of windows that follow each other, oldest first, into *sink* at once."""
    raws = [written(task, sink.spool, rows) for task, rows in read]
    raw = joining.joined(raws)
    with closing(Parser(sink.spool)) as parser:
        made = parser.parse(raw, sink.columns(raw.task.table), most_columns=sink.most_columns)
        assert parser.apart(made, raws)
    return sink.load(made, fact(made))


def load_lines(sink: Sink, task: Task, lines: Sequence[bytes]) -> Outcome:
    """Bring *lines*, as Iterable sent them, into *sink*."""
    made = parsed(sink, written_lines(task, sink.spool, lines))
    return sink.load(made, fact(made))


def numbers(outcome: Outcome) -> tuple[int, int, int]:
    return outcome.added, outcome.changed, outcome.removed


def broken(good: Batch, message: str) -> Batch:
    """Return a batch whose query fails at the row of one message, after others came through."""
    value = f"CASE WHEN message_id = '{message}' THEN error('broken off') ELSE message_id END AS message_id"
    return replace(good, query=f"SELECT * REPLACE ({value}) FROM ({good.query} ORDER BY created_at)")


def endless(good: Batch) -> Batch:
    """Return a batch with so many rows that loading it takes hours."""
    return replace(good, query=f"SELECT rows.* FROM ({good.query}) AS rows, range(10_000_000_000)")
