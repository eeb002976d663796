"""From the lines of a raw file to rows in Python, through the real parser."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import duckdb

from reiterate.catalog import TABLES
from reiterate.catalog.model import Export, Type
from reiterate.flow import RawFile, Task, Whole, Write
from reiterate.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from reiterate.flow import Batch, Column
    from reiterate.parse import Parser

Row = dict[str, Any]

FIRST_DAY = datetime(2026, 3, 14, tzinfo=UTC)
NUMBERS = count()


def task(table: str, since: datetime | None = None) -> Task:
    """Return a task that reads *table* for the first time, as the planner makes it."""
    found = TABLES[table]
    if isinstance(found.read, Export):
        return Task(found, Window(FIRST_DAY, FIRST_DAY + timedelta(days=1)), Write.APPEND)
    return Task(found, Whole(), Write.REPLACE if found.cursor is None else Write.MERGE, since)


def raw_file(of: Task, directory: Path, content: bytes) -> RawFile:
    path = directory / f"{next(NUMBERS):06d}.ndjson"
    path.write_bytes(content)
    return RawFile(
        of,
        path,
        content.count(b"\n"),
        len(content),
        1,
        FIRST_DAY + timedelta(days=2),
        0.5,
        "direct",
        path.stat().st_mtime_ns,
    )


def lines(rows: Iterable[Row]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def parse(
    parser: Parser, directory: Path, of: Task, content: bytes, known: tuple[Column, ...] = ()
) -> tuple[Batch, list[Row]]:
    """Return the batch and its rows: by column, without nulls, instants as text and JSON as its text, in no order."""
    batch = parser.parse(raw_file(of, directory, content), known)
    with closing(duckdb.connect()) as database:
        database.execute("SET TimeZone = 'UTC'")
        chosen = ", ".join(_text(column) for column in batch.columns)
        found = database.execute(f"SELECT {chosen} FROM ({batch.query})").fetchall()
    names = [column.name for column in batch.columns]
    return batch, [{name: value for name, value in zip(names, row, strict=True) if value is not None} for row in found]


def _text(column: Column) -> str:
    name = f'"{column.name}"'
    return f"{name}::VARCHAR AS {name}" if column.type in {Type.TIMESTAMP, Type.DATE} else name


def ordered(rows: Iterable[Row]) -> list[Row]:
    """Return rows in an order of their own, and their columns too: neither matters."""
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))
