"""
The walk: plan, read in a few threads, load in this one, say what happens.

    plan ─► tasks ─┬─► reader ─► raw file ─┐
                   ├─► reader ─► raw file ─┼─► parse ─► load ─► Loaded
                   └─► reader ─► raw file ─┘

Readers wait for Iterable's limits, each kind of request for its own, so slow ones do not hold back the others.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from multiprocessing.pool import ThreadPool
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from reiterate import extract
from reiterate.api import limit_of
from reiterate.errors import (
    ExportCut,
    GatewayError,
    LoadError,
    ReiterateError,
    SourceError,
    Stopped,
    Unauthorized,
    Unreachable,
)
from reiterate.flow import (
    Discovered,
    Event,
    Failed,
    Loaded,
    Part,
    Progress,
    RawFile,
    RunFinished,
    RunStarted,
    Split,
    Started,
    Status,
    TableSummary,
    Task,
    Waiting,
)
from reiterate.ledger import Fact
from reiterate.parse import Parser
from reiterate.windows import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime
    from threading import Event as Flag

    from reiterate.api import Client
    from reiterate.catalog.model import Table
    from reiterate.sinks import Run, Sink

READERS_PER_LIMIT = 2
"""Two requests of a kind at a time: while one is loaded, the other arrives."""

READERS = 16
VALUE_READERS = 8
"""Threads that read single values of metadata tables."""

PROGRESS_EVERY_S = 0.2
STOPS_WITHIN_S = 0.5

HOPELESS = (Unauthorized, GatewayError, Unreachable)
"""After such an error no other request would fare better."""

CUTS_IN_A_ROW = 64
"""
A table whose exports broke off so often, none coming through, is given up for this run: halved 22 times, a window of
30 days is a single second, so this is more than two seconds that cannot be read cost.
"""


@dataclass(frozen=True)
class Walk:
    """What a run needs: an open sink, a client, a clock that gives aware UTC, and a flag that stops it."""

    sink: Sink
    client: Client
    clock: Callable[[], datetime]
    stop: Flag


def run(walk: Walk, tasks: Sequence[Task], record: Run) -> Iterator[Event]:
    """
    Do *tasks*, and yield what happens; the last event is RunFinished.

    A task whose export breaks off is done in halves. A task that fails leaves a gap in the ledger, which the next run
    plans again; the others go on. Closing the iterator, or an interrupt, stops the readers; what is committed stays.

    :raises ConnectionMismatch: when the destination holds the data of another connection
    """
    began = time.monotonic()
    tally = Tally(tasks)
    walk.sink.begin(record)
    status = Status.STOPPED
    try:
        yield RunStarted(record.run_id, record.connection, record.started_at, tuple(tasks))
        for event in _events(walk, tasks, record.run_id):
            tally.note(event)
            yield event
        status = tally.status
    except Stopped:
        pass
    finally:
        walk.stop.set()
        finished = RunFinished(record.run_id, status, walk.clock(), time.monotonic() - began, tally.summaries)
        walk.sink.finish(
            replace(
                record,
                finished_at=finished.at,
                status=status,
                rows=finished.rows,
                message="; ".join(finished.problems),
            )
        )
    yield finished


def _events(walk: Walk, tasks: Sequence[Task], run_id: str) -> Iterator[Event]:
    with closing(Readers(walk)) as readers, closing(Parser(walk.sink.spool)) as parser:
        readers.add(tasks)
        cuts: Counter[str] = Counter()
        for report in readers:
            match report:
                case Parts(task, parts):
                    readers.add(parts)
                    yield _discovered(walk.sink, task, parts)
                case RawFile() as raw:
                    cuts[raw.task.table.name] = 0
                    yield _load(walk.sink, parser, raw, run_id)
                case Refused(_, Stopped() as stopped):
                    raise stopped
                case Refused(task, error):
                    cuts[task.table.name] += isinstance(error, ExportCut)
                    yield from _refused(readers, task, error, cuts[task.table.name])
                case Started() | Progress() | Waiting() as event:
                    yield event


def _refused(readers: Readers, task: Task, error: ReiterateError, cuts_in_a_row: int) -> Iterator[Event]:
    given_up = cuts_in_a_row >= CUTS_IN_A_ROW
    if isinstance(error, ExportCut) and not given_up and (halves := task.halves()):
        readers.add(halves, first=True)
        yield Split(task, halves, error)
        return
    yield Failed(task, error)
    if isinstance(error, HOPELESS):
        yield from (Failed(other, error) for other in readers.drop())
    elif given_up:
        yield from (Failed(other, error) for other in readers.drop(task.table))


def _discovered(sink: Sink, task: Task, parts: tuple[Task, ...]) -> Discovered | Failed:
    try:
        removed = sink.retain(task.table, [part.scope for part in parts if isinstance(part.scope, Part)])
    except LoadError as error:
        return Failed(task, error)
    return Discovered(task, parts, removed)


def _load(sink: Sink, parser: Parser, raw: RawFile, run_id: str) -> Loaded | Failed:
    began = time.monotonic()
    task = raw.task
    try:
        batch = parser.parse(raw, sink.columns(task.table))
        fact = Fact(
            run_id=run_id,
            table=task.table.name,
            window=task.scope if isinstance(task.scope, Window) else None,
            part=str(task.scope.value) if isinstance(task.scope, Part) else None,
            read_at=raw.read_at,
            rows=batch.source_rows,
            size_bytes=raw.size_bytes,
            requests=raw.requests,
            seconds=raw.seconds,
            lane=raw.lane,
        )
        outcome = sink.load(batch, fact)
    except (SourceError, LoadError) as error:
        return Failed(task, error)
    finally:
        for file in raw.path.parent.glob(f"{raw.path.stem}.*"):
            file.unlink()
    return Loaded(
        task=task,
        rows=batch.source_rows,
        added=outcome.added,
        changed=outcome.changed,
        removed=outcome.removed,
        size_bytes=raw.size_bytes,
        requests=raw.requests,
        seconds=raw.seconds,
        load_seconds=time.monotonic() - began,
        new_columns=outcome.new_columns,
    )


# ── reading, in threads ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Parts:
    """Iterable named the parts of a table."""

    task: Task
    parts: tuple[Task, ...]


@dataclass(frozen=True)
class Refused:
    """A task could not be read."""

    task: Task
    error: ReiterateError


Report = Parts | RawFile | Refused | Started | Progress | Waiting


class Readers:
    """
    Threads that read tasks, at most ``READERS_PER_LIMIT`` for each of Iterable's limits.

    Iterating gives their reports, until all tasks are read, or raises Stopped soon after a stop, whatever they wait
    for. A task keeps its place until its last report was dealt with: that bounds what lies on the spool.
    """

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._threads = ThreadPool(READERS)
        self._value_threads = ThreadPool(VALUE_READERS)
        self._waiting: dict[str, deque[Task]] = defaultdict(deque)
        self._reading: Counter[str] = Counter()
        self._reports: SimpleQueue[Report] = SimpleQueue()
        self._files = count()

    def close(self) -> None:
        self._walk.stop.set()
        self._threads.terminate()
        self._value_threads.terminate()

    def add(self, tasks: Sequence[Task], *, first: bool = False) -> None:
        """Read *tasks*, too, in their order: after those that wait, or before them if *first*."""
        for task in reversed(tasks) if first else tasks:
            waiting = self._waiting[_lane(task)]
            waiting.appendleft(task) if first else waiting.append(task)
        for lane in self._waiting:
            self._start(lane)

    def drop(self, table: Table | None = None) -> list[Task]:
        """Forget the tasks, of *table* if given, that have not begun; return them."""
        dropped = []
        for lane, tasks in self._waiting.items():
            dropped += [task for task in tasks if table in {None, task.table}]
            self._waiting[lane] = deque(task for task in tasks if table not in {None, task.table})
        return dropped

    def __iter__(self) -> Iterator[Report]:
        while self._reading.total():
            self._walk.client.pacer.check()
            try:
                report = self._reports.get(timeout=STOPS_WITHIN_S)
            except Empty:
                continue
            yield report
            if isinstance(report, Parts | RawFile | Refused):
                lane = _lane(report.task)
                self._reading[lane] -= 1
                self._start(lane)

    def _start(self, lane: str) -> None:
        while self._waiting[lane] and self._reading[lane] < READERS_PER_LIMIT:
            self._reading[lane] += 1
            self._threads.apply_async(self._read, (self._waiting[lane].popleft(),))

    def _read(self, task: Task) -> None:
        self._reports.put(Started(task))
        self._reports.put(self._answer(task))

    def _answer(self, task: Task) -> Report:
        caller = self._walk.client.caller(_Listener(task, self._reports))
        target = self._walk.sink.spool / f"{next(self._files):06d}.ndjson"
        try:
            if (parts := extract.parts(task, caller)) is not None:
                return Parts(task, parts)
            return extract.fetch(task, caller, target, pool=self._value_threads.imap, clock=self._walk.clock)
        except ReiterateError as error:
            return Refused(task, error)
        except Exception as error:  # noqa: BLE001 (a thread must report, whatever happened)
            return Refused(
                task, SourceError("Reading failed in an unforeseen way.", reason=f"{type(error).__name__}: {error}")
            )


def _lane(task: Task) -> str:
    return limit_of(task.table.read.path).name


class _Listener:
    """Passes on how the requests of one task fare, not too often."""

    def __init__(self, task: Task, reports: SimpleQueue[Report]) -> None:
        self._task = task
        self._reports = reports
        self._told_at = 0.0

    def waiting(self, seconds: float, reason: str) -> None:
        self._reports.put(Waiting(self._task, seconds, reason))

    def progress(self, rows: int, size_bytes: int) -> None:
        if (now := time.monotonic()) - self._told_at >= PROGRESS_EVERY_S:
            self._told_at = now
            self._reports.put(Progress(self._task, rows, size_bytes))


# ── adding up ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Tally:
    """What a run did, table by table."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        planned = Counter(task.table for task in tasks)
        self._tables = {table.name: TableSummary(table, left=left) for table, left in planned.items()}

    def note(self, event: Event) -> None:
        match event:
            case Loaded():
                self._note(event, lambda so_far: _with(so_far, event))
            case Discovered(_, parts, removed):
                self._note(
                    event,
                    lambda so_far: replace(so_far, left=so_far.left - 1 + len(parts), removed=so_far.removed + removed),
                )
            case Split(_, halves):
                self._note(event, lambda so_far: replace(so_far, left=so_far.left - 1 + len(halves)))
            case Failed(_, error):
                self._note(
                    event,
                    lambda so_far: replace(so_far, left=so_far.left - 1, errors=(*so_far.errors, error)),
                )
            case _:
                pass

    def _note(
        self, event: Loaded | Discovered | Split | Failed, change: Callable[[TableSummary], TableSummary]
    ) -> None:
        name = event.task.table.name
        self._tables[name] = change(self._tables[name])

    @property
    def summaries(self) -> tuple[TableSummary, ...]:
        return tuple(sorted(self._tables.values(), key=lambda summary: summary.table.name))

    @property
    def status(self) -> Status:
        if not any(summary.errors for summary in self.summaries):
            return Status.SUCCEEDED
        return Status.PARTIAL if any(summary.tasks for summary in self.summaries) else Status.FAILED


def _with(so_far: TableSummary, event: Loaded) -> TableSummary:
    return replace(
        so_far,
        tasks=so_far.tasks + 1,
        left=so_far.left - 1,
        rows=so_far.rows + event.rows,
        added=so_far.added + event.added,
        changed=so_far.changed + event.changed,
        removed=so_far.removed + event.removed,
        size_bytes=so_far.size_bytes + event.size_bytes,
        requests=so_far.requests + event.requests,
        seconds=so_far.seconds + event.seconds,
        new_columns=so_far.new_columns + event.new_columns,
    )
