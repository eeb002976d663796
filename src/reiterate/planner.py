"""
Which tasks bring the tables up to now.

Pure, and the only place that knows policy: lookback, window sizes, what is due.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, assert_never

from reiterate.catalog import DOCUMENTED
from reiterate.catalog.model import (
    AnyOf,
    ByEvent,
    Contents,
    Export,
    Figures,
    KeyedValues,
    Listing,
    ListMembers,
    PerParent,
)
from reiterate.errors import Forbidden, NotOffered
from reiterate.flow import Part, Task, Whole, Write
from reiterate.ledger import Ledger
from reiterate.windows import Window, gaps, span

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from reiterate.catalog.model import Table
    from reiterate.errors import ReiterateError
    from reiterate.flow import Job
    from reiterate.ledger import Fact
    from reiterate.settings import Reading

TARGET_WINDOW_BYTES = 512 * 2**20
"""Large enough that the cost of a request does not show, small enough to be read again when it breaks off."""

SHORTEST_WINDOW = timedelta(minutes=1)
"""No window is planned shorter because of its size; one that still breaks off is halved on the way."""

JOBS_LAST = timedelta(hours=12)
"""An export job that was started earlier is not gone on with; its files may be gone."""

LARGE_BYTES, LONG = 32 * 2**20, timedelta(days=1)

MANY_EXPORTS = 12
"""So many waiting exports take three minutes directly; where there are more, jobs take some, however small."""

LONG_ROUND_S = 3600.0
"""Tables of parts that are read in less are read whole by each run."""

NEVER = datetime.min.replace(tzinfo=UTC)

RATE_FACTS = 20
"""So many of the latest facts tell how many bytes a table has per second of its time."""


def plan(
    tables: Iterable[Table],
    reading: Callable[[str], Reading],
    ledger: Ledger,
    *,
    now: datetime,
    refreshed: Collection[str] = (),
) -> list[Task]:
    """
    Return the tasks that bring *tables* up to *now*: full tables and listings first, then windows, oldest first.

    Tables made of parts (lists, metadata tables) get one task for the whole; the walk asks Iterable for their parts.
    Tables that are *refreshed* are read as if they never were.
    """
    tasks = [
        replace(task, history=reading(table.name).history, snapshots=_keeps_days(table, reading(table.name)))
        for table in tables
        for task in _tasks(table, reading(table.name), Ledger() if table.name in refreshed else ledger, now=now)
    ]
    return sorted(tasks, key=lambda task: (task.scope.start, task.table.name) if isinstance(task.scope, Window) else ())


def _keeps_days(table: Table, reading: Reading) -> bool:
    return table.snapshots if reading.snapshots is None else reading.snapshots


def _tasks(table: Table, reading: Reading, ledger: Ledger, *, now: datetime) -> Iterator[Task]:
    match table.read:
        case Export():
            yield from _windows(table, reading, ledger.of(table.name), ledger.jobs(table.name), now=now)
        case Listing() if table.cursor is not None:
            # merged and restricted here, not by the request: states change without the cursor moving (FACTS.md 11)
            yield Task(table, Whole(), Write.MERGE, since=reading.start, shape=reading.shape)
        case ListMembers():
            yield Task(table, Whole(), Write.REPLACE, only=reading.lists, shape=reading.shape)
        case Listing() | AnyOf() | PerParent() | Figures() | Contents() | KeyedValues():
            yield Task(table, Whole(), Write.REPLACE, shape=reading.shape)
        case _:
            assert_never(table.read)


def _windows(
    table: Table, reading: Reading, facts: Sequence[Fact], jobs: Sequence[Job], *, now: datetime
) -> Iterator[Task]:
    """
    Yield the windows of an export table that are due.

    Iterable lists a row some time after it happened, so what was younger than the table's lookback when it was read
    is read again:

        start    last read - lookback   last read      now
        ──┼───────────────┼───────────────────┼──────────┼──▶ UTC
        done [════════════)                   │          │
        due ──────────────[═══════════════════╪══════════)

    Windows are half-open, at most ``reading.window`` long, and never overlap each other. Those that an export job of
    an earlier run works on stay as they are.
    """
    whole = span(reading.start, now)
    if whole is None:
        return
    read = [fact.window for fact in facts if fact.window is not None]
    settled = [window for fact in facts if (window := _settled(fact, reading.lookback)) is not None]
    rate = _bytes_per_s(facts)
    usable = [job for job in jobs if _usable(job, reading, now)]
    for gap in gaps(whole, settled):
        for window, job in _pieces(gap, _length(reading.window, rate), usable):
            first_read = isinstance(table.identity, ByEvent) and not any(window.overlaps(other) for other in read)
            yield Task(
                table,
                window,
                Write.APPEND if first_read else Write.MERGE,
                size_bytes=None if rate is None else rate * window.length.total_seconds(),
                job=job,
                shape=reading.shape,
            )


def resync(table: Table, reading: Reading, ledger: Ledger, *, of: Window) -> list[Task]:
    """Return the tasks that read the time *of* an export table again, whatever was read; they remove nothing."""
    rate = _bytes_per_s(ledger.of(table.name))
    return [
        Task(
            table,
            window,
            Write.MERGE,
            size_bytes=None if rate is None else rate * window.length.total_seconds(),
            shape=reading.shape,
            history=reading.history,
        )
        for window in of.cut(_length(reading.window, rate))
    ]


def left_over(ledger: Ledger, reading: Callable[[str], Reading], *, now: datetime) -> list[Job]:
    """Return the jobs of earlier runs that nobody will go on with, and that may still take places at Iterable."""
    return [
        job for job in ledger.jobs() if now - job.started_at < JOBS_LAST and not _usable(job, reading(job.table), now)
    ]


def _usable(job: Job, reading: Reading, now: datetime) -> bool:
    """
    Return whether a job of an earlier run may be gone on with: for the same fields of a window that was settled.

    One from the future was noted by a clock that was ahead: nobody knows when it was started.
    """
    settled = job.window.end <= job.started_at - reading.lookback and job.started_at <= now
    return settled and now - job.started_at < JOBS_LAST and job.asked == reading.shape.asked


def _pieces(gap: Window, length: timedelta, jobs: Iterable[Job]) -> Iterator[tuple[Window, Job | None]]:
    """Yield *gap* in pieces of at most *length*, oldest first; where a job works on a part of it, that is a piece."""
    found: dict[Window, Job] = {}
    for job in jobs:
        if gap.start <= job.window.start and job.window.end <= gap.end and not any(map(job.window.overlaps, found)):
            found[job.window] = job
    pieces: list[tuple[Window, Job | None]] = [*found.items()]
    pieces += [(window, None) for rest in gaps(gap, found) for window in rest.cut(length)]
    yield from sorted(pieces, key=lambda piece: piece[0])


def _settled(fact: Fact, lookback: timedelta) -> Window | None:
    """Return the part of the fact's window that was old enough, when it was read, to be complete."""
    if fact.window is None:
        return None
    return span(fact.window.start, min(fact.window.end, fact.read_at - lookback))


def _bytes_per_s(facts: Sequence[Fact]) -> float | None:
    """Return how many bytes the table has for a second of its time, by what was seen; nothing if nothing was."""
    recent = [fact for fact in facts if fact.window is not None][-RATE_FACTS:]
    seconds = sum(fact.window.length.total_seconds() for fact in recent if fact.window is not None)
    return sum(fact.size_bytes for fact in recent) / seconds if seconds else None


def _length(upper_bound: timedelta, rate: float | None) -> timedelta:
    """Return how long a window may be: at most *upper_bound*, and about ``TARGET_WINDOW_BYTES`` by what was seen."""
    if not rate:
        return upper_bound
    aim = timedelta(seconds=min(TARGET_WINDOW_BYTES / rate, upper_bound.total_seconds()))
    return min(max(aim, SHORTEST_WINDOW), upper_bound)


def pieces(task: Task, size_bytes: float | None) -> tuple[Task, ...]:
    """Return *task* in windows of about ``TARGET_WINDOW_BYTES`` where *size_bytes* is much more; else as it is."""
    if size_bytes is None or size_bytes < 2 * TARGET_WINDOW_BYTES or task.job or not isinstance(task.scope, Window):
        return (task,)
    rate = size_bytes / task.scope.length.total_seconds()
    cut = list(task.scope.cut(_length(task.scope.length, rate)))
    return tuple(replace(task, scope=window, size_bytes=size_bytes / len(cut)) for window in cut)


def suits_jobs(task: Task, size_bytes: float | None, *, waiting: int) -> bool:
    """
    Return whether a job is worth its start and its looks: for much, for a long time, or where many are *waiting*.

    Backfills go by both lanes, so that neither waits for the other; the increment of every hour goes directly, unless
    it is one of many tables.
    """
    if task.job is not None or not isinstance(task.scope, Window):
        return task.job is not None
    return waiting > MANY_EXPORTS or task.scope.length >= LONG or (size_bytes or 0) >= LARGE_BYTES


def parts_due(parts: Sequence[Task], ledger: Ledger, *, round_s: float, now: datetime) -> list[Task]:
    """
    Return those of a table's *parts* that are due, in order: never read, then longest not read, then refused ones.

    *round_s* is how long it takes to read them all. Lists by the thousand take hours at 5 a minute: then a part that
    was read within the time of a round is not due, so that runs that are cut short, or start every hour, go on where
    the last one ended. Parts that cannot be read hold nothing back.
    """
    table = parts[0].table.name if parts else ""
    last_read = {fact.part: fact.read_at for fact in ledger.of(table)}
    refused = {refusal.part for refusal in ledger.refusals(table)}
    fresh = set()
    if round_s > LONG_ROUND_S:
        fresh = {part for part, at in last_read.items() if now - at < timedelta(seconds=round_s)} - refused

    def turn(task: Task) -> tuple[bool, datetime]:
        return part_name(task) in refused, last_read.get(part_name(task), NEVER)

    return sorted((task for task in parts if part_name(task) not in fresh), key=turn)


def may_be_missing(task: Task, error: ReiterateError, ledger: Ledger) -> bool:
    """
    Return whether it is no failure that *task* cannot be read: the project, or the key, does not have its table.

    What is documented, what was there before, and what Iterable has listed as a part should be there.
    """
    lacks = isinstance(error, NotOffered | Forbidden) and not isinstance(task.scope, Part)
    table = task.table.name
    return lacks and table not in DOCUMENTED and not any(fact.rows for fact in ledger.of(table))


def part_name(task: Task) -> str | None:
    """Return the name under which the ledger knows a part; nothing if *task* is none."""
    return str(task.scope.value) if isinstance(task.scope, Part) else None
