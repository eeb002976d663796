"""
The rows that are read: opens, users with 120 fields of their own, sends with transactional data.

Rows are those of the simulated brand, or made up from a seed; time and message differ from row to row. They are spread
evenly over a span that ends with yesterday, and stand in its order.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle, islice
from random import Random
from typing import TYPE_CHECKING, Any

from benchmarks.wire import Index, fields_of, index_of
from reiterate.simulator import ServerOptions, Simulator, WorldOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

KEY = "0123456789abcdef0123456789abcdef"
DAY = timedelta(days=1)
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
FIELDS_OF_FIVE = 4
"""Of five fields of their own, users have so many."""
DIFFERENT_USERS = 10_000
ODD = 0x9E3779B97F4A7C15F39CC0605CEDC835
"""Multiplied by it, numbers look random and stay different."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Workload:
    """A file of *rows* for one table; *types* are DuckDB's, by field."""

    name: str
    about: str
    table: str
    data_type: str
    path: Path
    rows: int
    types: Mapping[str, str]
    start: datetime
    window: timedelta = timedelta(days=30)

    @property
    def size_bytes(self) -> int:
        return self.path.stat().st_size

    def remove(self) -> None:
        for file in (self.path, index_of(self.path), fields_of(self.path)):
            file.unlink(missing_ok=True)


@dataclass(frozen=True)
class Shape:
    """Rows to repeat, and the fields that differ: *time*, and *number* as its *spelling* has it."""

    rows: Sequence[Row]
    time: str
    number: str
    spelling: Callable[[int], str]

    def types(self) -> dict[str, str]:
        found = {self.number: "VARCHAR", self.time: "VARCHAR"}
        return found | {field: _type(value) for row in self.rows for field, value in row.items()}

    def tails(self) -> list[str]:
        """Return what follows the fields that differ, for each row."""
        kept = (
            {field: value for field, value in row.items() if field not in {self.time, self.number}} for row in self.rows
        )
        return [json.dumps(row, separators=(",", ":"))[1:] for row in kept]


def _type(value: object) -> str:
    return {bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE"}.get(type(value), "VARCHAR")


def write_rows(path: Path, shape: Shape, rows: int, start: datetime, span: timedelta, *, first: int = 0) -> None:
    """Write *rows* of *shape*, numbered from *first* on, spread over *span*, and their index."""
    index, offset = Index(), 0
    began, length_s = int(start.timestamp()), int(span.total_seconds())
    head = f'{{"{shape.number}":"'
    middle = f'","{shape.time}":"'
    last, pieces = -1, ("", "")
    with path.open("w", encoding="utf-8", newline="\n", buffering=2**20) as file:
        for number, tail in enumerate(islice(cycle(shape.tails()), rows)):
            second = number * length_s // rows
            if second != last:
                last = second
                at = datetime.fromtimestamp(began + second, UTC)
                pieces = (head, f'{middle}{at:%Y-%m-%d %H:%M:%S} +00:00",')
                index.seconds.append(began + second)
                index.offsets.append(offset)
            line = f"{pieces[0]}{shape.spelling(first + number)}{pieces[1]}{tail}\n"
            offset += len(line)
            file.write(line)
    index.write(path)


def hexadecimal(number: int) -> str:
    return f"{(number + 1) * ODD & (1 << 128) - 1:032x}"


def events(table: str) -> list[Row]:
    """Return the events of a day of the simulated brand."""
    with Simulator(WorldOptions(days=1, events_per_day=20_000, seed=3), ServerOptions(api_key=KEY)) as simulator:
        return simulator.truth(table)


def opens(directory: Path, rows: int) -> Workload:
    """Write opens of yesterday."""
    shape = Shape(events("email_open"), "createdAt", "messageId", hexadecimal)
    found = Workload(
        "opens", "emailOpen", "email_open", "emailOpen", directory / "opens.ndjson", rows, shape.types(), MIDNIGHT - DAY
    )
    write_rows(found.path, shape, rows, found.start, DAY)
    return found


def windows(directory: Path, rows: int, number: int) -> Workload:
    """Write opens spread over a *number* of windows of 30 minutes."""
    shape = Shape(events("email_open"), "createdAt", "messageId", hexadecimal)
    window = timedelta(minutes=30)
    span = timedelta(days=-(-number * window // DAY))
    found = Workload(
        "windows",
        f"emailOpen in {number:,} windows",
        "email_open",
        "emailOpen",
        directory / "windows.ndjson",
        rows,
        shape.types(),
        MIDNIGHT - span,
        window,
    )
    write_rows(found.path, shape, rows, found.start, number * window)
    return found


def sends(directory: Path, rows: int) -> Workload:
    """Write sends of yesterday, each with the order that it was triggered by."""
    random = Random(5)
    rows_of_brand = [{**row, "transactionalData": json.dumps(_order(random))} for row in events("email_send")]
    shape = Shape(rows_of_brand, "createdAt", "messageId", hexadecimal)
    found = Workload(
        "sends",
        "emailSend with transactionalData",
        "email_send",
        "emailSend",
        directory / "sends.ndjson",
        rows,
        shape.types(),
        MIDNIGHT - DAY,
    )
    write_rows(found.path, shape, rows, found.start, DAY)
    return found


def _order(random: Random) -> Row:
    return {
        "eventName": "orderShipped",
        "orderNumber": f"LG-{random.randrange(10**6)}",
        "total": round(random.random() * 200, 2),
        "shipping": {"carrier": random.choice(("DHL", "UPS")), "city": "Gent", "express": random.random() < 0.3},  # noqa: PLR2004
        "items": [
            {"sku": f"MUG-{random.randrange(500)}", "name": "a teapot of cast iron", "quantity": 1, "price": 12.5}
            for _ in range(random.randrange(1, 6))
        ],
    }


def _kinds(random: Random) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Yield 120 fields: their names, the types that the project declares, and what makes their values."""
    for n in range(40):
        yield f"favourite thing {n}", "string", partial(random.choice, ("mugs", "plates", "a teapot of cast iron"))
    for n in range(32):
        yield f"count{n}", "long", partial(random.randrange, 10**6)
    for n in range(16):
        yield f"score.{n}", "double", random.random
    for n in range(12):
        yield f"is_member_{n}", "boolean", partial(random.choice, (True, False))
    for n in range(8):
        yield f"day{n}", "string", lambda: f"{1950 + random.randrange(70)}-07-{random.randrange(1, 29):02}"
    for n in range(8):
        yield f"lastVisit{n}", "date", lambda: f"2026-01-14 06:{random.randrange(60):02}:22 +00:00"
    for n in range(4):
        yield f"tags{n}", "long", lambda: [random.randrange(100), random.randrange(100)]


def users(directory: Path, rows: int) -> Workload:
    """Write users who changed yesterday, with 120 fields of the project's own, of which each has four in five."""
    random = Random(5)
    kinds = list(_kinds(random))
    made = [
        {name: value() for name, _, value in kinds if random.randrange(5) < FIELDS_OF_FIVE}
        for _ in range(min(rows, DIFFERENT_USERS))
    ]
    shape = Shape(made, "profileUpdatedAt", "email", "user{}@example.com".format)
    found = Workload(
        "users",
        f"users with {len(kinds)} fields of the project's own",
        "users",
        "user",
        directory / "users.ndjson",
        rows,
        shape.types(),
        MIDNIGHT - DAY,
    )
    write_rows(found.path, shape, rows, found.start, DAY)
    declared = {"email": "string", "profileUpdatedAt": "date"} | {name: declared for name, declared, _ in kinds}
    fields_of(found.path).write_text(json.dumps({"fields": declared}), encoding="utf-8")
    return found


def nothing(directory: Path, start: datetime) -> Workload:
    """Write no rows at all."""
    path = directory / "nothing.ndjson"
    path.touch()
    return Workload("nothing", "nothing new", "email_open", "emailOpen", path, 0, {}, start)


def first(whole: Workload, rows: int) -> Workload:
    """Write as many of the first rows of *whole*; for who takes too long for all of them."""
    part = replace(whole, path=whole.path.with_name(f"first-{whole.path.name}"), rows=min(rows, whole.rows))
    index, lines = Index.read(whole.path), 0
    with whole.path.open("rb") as source, part.path.open("wb") as target:
        for line in islice(source, part.rows):
            target.write(line)
            lines += len(line)
    number = sum(offset < lines for offset in index.offsets)
    Index(index.seconds[:number], index.offsets[:number]).write(part.path)
    if fields_of(whole.path).exists():
        fields_of(part.path).write_bytes(fields_of(whole.path).read_bytes())
    return part
