"""
Which tasks bring the tables up to now.

Pure, and the only place that knows policy: lookback, window sizes, what is due.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, assert_never

from reiterate.catalog.model import ByEvent, Export, KeyedValues, Listing, ListMembers
from reiterate.flow import Task, Whole, Write
from reiterate.windows import Window, gaps, span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from reiterate.catalog.model import Table
    from reiterate.ledger import Fact, Ledger
    from reiterate.settings import Reading

TARGET_WINDOW_BYTES = 512 * 2**20
"""Large enough that the cost of a request does not show, small enough to be read again when it breaks off."""

SHORTEST_WINDOW = timedelta(minutes=1)
"""No window is planned shorter because of its size; one that still breaks off is halved on the way."""

RATE_FACTS = 20
"""So many of the latest facts tell how many bytes a table has per second of its time."""


def plan(tables: Iterable[Table], reading: Callable[[str], Reading], ledger: Ledger, *, now: datetime) -> list[Task]:
    """
    Return the tasks that bring *tables* up to *now*: full tables and listings first, then windows, oldest first.

    Tables made of parts (lists, metadata tables) get one task for the whole; the walk asks Iterable for their parts.
    """
    tasks = [task for table in tables for task in _tasks(table, reading(table.name), ledger, now=now)]
    return sorted(tasks, key=lambda task: (task.scope.start, task.table.name) if isinstance(task.scope, Window) else ())


def _tasks(table: Table, reading: Reading, ledger: Ledger, *, now: datetime) -> Iterator[Task]:
    match table.read:
        case Export():
            yield from _windows(table, reading, ledger.of(table.name), now=now)
        case Listing() if table.cursor is not None:
            # merged and restricted here, not by the request: states change without the cursor moving (FACTS.md 11)
            yield Task(table, Whole(), Write.MERGE, since=reading.start)
        case Listing() | ListMembers() | KeyedValues():
            yield Task(table, Whole(), Write.REPLACE)
        case _:
            assert_never(table.read)


def _windows(table: Table, reading: Reading, facts: Sequence[Fact], *, now: datetime) -> Iterator[Task]:
    """
    Yield the windows of an export table that are due.

    Iterable lists a row some time after it happened, so what was younger than the table's lookback when it was read
    is read again:

        start    last read - lookback   last read      now
        ──┼───────────────┼───────────────────┼──────────┼──▶ UTC
        done [════════════)                   │          │
        due ──────────────[═══════════════════╪══════════)

    Windows are half-open, at most ``reading.window`` long, and never overlap each other.
    """
    whole = span(reading.start, now)
    if whole is None:
        return
    read = [fact.window for fact in facts if fact.window is not None]
    settled = [window for fact in facts if (window := _settled(fact, reading.lookback)) is not None]
    length = _length(reading.window, facts)
    for gap in gaps(whole, settled):
        for window in gap.cut(length):
            first_read = isinstance(table.identity, ByEvent) and not any(window.overlaps(other) for other in read)
            yield Task(table, window, Write.APPEND if first_read else Write.MERGE)


def _settled(fact: Fact, lookback: timedelta) -> Window | None:
    """Return the part of the fact's window that was old enough, when it was read, to be complete."""
    if fact.window is None:
        return None
    return span(fact.window.start, min(fact.window.end, fact.read_at - lookback))


def _length(upper_bound: timedelta, facts: Sequence[Fact]) -> timedelta:
    """Return how long a window may be: at most *upper_bound*, and about ``TARGET_WINDOW_BYTES`` by what was seen."""
    recent = [fact for fact in facts if fact.window is not None][-RATE_FACTS:]
    size_bytes = sum(fact.size_bytes for fact in recent)
    seconds = sum(fact.window.length.total_seconds() for fact in recent if fact.window is not None)
    if not size_bytes:
        return upper_bound
    aim = timedelta(seconds=min(TARGET_WINDOW_BYTES * seconds / size_bytes, upper_bound.total_seconds()))
    return min(max(aim, SHORTEST_WINDOW), upper_bound)
