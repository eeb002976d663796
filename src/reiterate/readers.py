"""
Threads that read tasks while others load: which task goes by which lane, and how much may lie on the spool.

    exports waiting ─┬─ smallest first ─► direct lane (4 requests a minute) ─┐
                     └─ largest first ──► export jobs (4 at a time) ─────────┼─► reports, to whoever iterates
    all other tasks ──── in their order ─► a lane for each limit ────────────┘
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from multiprocessing.pool import ThreadPool
from queue import Empty, SimpleQueue
from threading import Condition, Lock
from typing import TYPE_CHECKING

from reiterate import extract, planner
from reiterate.api import limit_of
from reiterate.catalog.model import Export
from reiterate.errors import ExportCut, ReiterateError, SourceError, SpoolError
from reiterate.flow import Progress, RawFile, Started, Waiting
from reiterate.windows import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from reiterate.api import Caller, Client, Pacer
    from reiterate.catalog.model import Table, Type
    from reiterate.extract import JobBook
    from reiterate.flow import Job, Task

JOBS = "jobs"
JOBS_AT_A_TIME = 4
"""Iterable runs as many for an organisation and lets the others wait (swagger, startExport)."""

READERS_PER_LIMIT = 2
"""Two requests of a kind at a time: while one is loaded, the other arrives."""

READERS = 24

SHARES = 3
"""No window takes more of the spool than one of so many, if it can be halved."""

LOOKS_AHEAD = 500
"""Among so many waiting tasks the next one is chosen."""

VALUE_READERS = 8
"""Threads that read single values of metadata tables."""

PROGRESS_EVERY_S = 0.2
STOPS_WITHIN_S = 0.5


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
    Threads that read tasks into *directory*, at most *spool_bytes* at a time.

    Iterating gives their reports, until all tasks are read, or raises Stopped soon after a stop, whatever they wait
    for. A task keeps its place, and its room on the spool, until its last report was dealt with.
    """

    def __init__(
        self, client: Client, book: JobBook, directory: Path, *, spool_bytes: int, clock: Callable[[], datetime]
    ) -> None:
        self._client = client
        self._book = book
        self._directory = directory
        self._clock = clock
        self._spool = Spool(spool_bytes, client.pacer)
        self._threads = ThreadPool(READERS)
        self._value_threads = ThreadPool(VALUE_READERS)
        self._waiting: dict[str, list[Task]] = defaultdict(list)
        self._reading: Counter[str] = Counter()
        self._reports: SimpleQueue[tuple[str, Report]] = SimpleQueue()
        self._rates = Rates()
        self._files = count()
        self._jobs_open = True
        self._declared: dict[str, Mapping[str, Type]] = {}
        self._declared_lock = Lock()

    def close(self) -> None:
        self._client.pacer.stop.set()
        self._threads.terminate()
        self._value_threads.terminate()

    def add(self, tasks: Sequence[Task], *, first: bool = False) -> None:
        """Read *tasks*, too, in their order: after those that wait, or before them if *first*."""
        for task in reversed(tasks) if first else tasks:
            self._rates.expect(task)
            waiting = self._waiting[_lane(task)]
            waiting.insert(0 if first else len(waiting), task)
        self._start()

    def give_up(self, jobs: Sequence[Job]) -> None:
        """Cancel *jobs* of ours, beside all else."""
        for job in jobs:
            self._threads.apply_async(extract.give_up, (job, self._client.caller(), self._book))

    def drop(self, table: Table | None = None) -> list[Task]:
        """Forget the tasks, of *table* if given, that have not begun; return them."""
        dropped = []
        for lane, tasks in self._waiting.items():
            dropped += [task for task in tasks if table in {None, task.table}]
            self._waiting[lane] = [task for task in tasks if table not in {None, task.table}]
        return dropped

    def close_jobs(self) -> bool:
        """Use no more export jobs; return whether they were used until now."""
        was_open, self._jobs_open = self._jobs_open, False
        return was_open

    def learn(self, raw: RawFile) -> list[tuple[Task, tuple[Task, ...]]]:
        """Learn from *raw* how large its table is; return the tasks that were too large for that, with their pieces."""
        self._rates.note(raw)
        lane = _lane(raw.task)
        if not self._rates.may_be_large(raw.task.table):
            return []
        cut = [
            (task, pieces)
            for task in self._waiting[lane]
            if task.table is raw.task.table and len(pieces := planner.pieces(task, self._rates.size_bytes(task))) > 1
        ]
        for task, pieces in cut:
            at = self._waiting[lane].index(task)
            self._waiting[lane][at : at + 1] = pieces
        return cut

    def __iter__(self) -> Iterator[Report]:
        while self._reading.total():
            self._client.pacer.check()
            try:
                lane, report = self._reports.get(timeout=STOPS_WITHIN_S)
            except Empty:
                continue
            yield report
            if isinstance(report, Parts | RawFile | Refused):
                self._spool.release(report.task)
                self._reading[lane] -= 1
                self._start()

    def _start(self) -> None:
        for lane in (JOBS, *self._waiting):
            places = JOBS_AT_A_TIME if lane == JOBS else READERS_PER_LIMIT
            while self._reading[lane] < places and (task := self._next(lane)) is not None:
                self._reading[lane] += 1
                self._threads.apply_async(self._read, (task, lane))

    def _next(self, lane: str) -> Task | None:
        """Take the task that *lane* should read next; nothing if none suits it."""
        exports = lane in {JOBS, EXPORTS}
        waiting = self._waiting[EXPORTS if exports else lane]
        # the first ones, for backfills in small windows are tasks by the ten thousand
        seen = enumerate(waiting[:LOOKS_AHEAD])
        suited = [place for place, task in seen if not exports or self._suits(lane, task)]
        if not suited:
            return None
        if lane == JOBS:
            chosen = max(suited, key=lambda at: (waiting[at].job is not None, self._rates.weight(waiting[at])))
        else:
            chosen = min(suited, key=lambda at: self._rates.weight(waiting[at])) if exports else suited[0]
        return waiting.pop(chosen)

    def _suits(self, lane: str, task: Task) -> bool:
        if lane == JOBS:
            waiting = len(self._waiting[EXPORTS])
            return self._jobs_open and planner.suits_jobs(task, self._rates.size_bytes(task), waiting=waiting)
        return task.job is None or not self._jobs_open

    def _read(self, task: Task, lane: str) -> None:
        self._reports.put((lane, Started(task)))
        self._reports.put((lane, self._answer(task, lane)))

    def _answer(self, task: Task, lane: str) -> Report:
        caller = self._client.caller(_Listener(task, lane, self._reports, self._spool))
        target = self._directory / f"{next(self._files):06d}.ndjson"
        try:
            if (parts := extract.parts(task, caller)) is not None:
                return Parts(task, parts)
            raw = extract.fetch(
                task,
                caller,
                target,
                pool=self._value_threads.imap,
                clock=self._clock,
                book=self._book if lane == JOBS else None,
            )
            return self._with_types(raw, caller)
        except ReiterateError as error:
            refused = Refused(task, error)
        except OSError as error:
            refused = Refused(task, SpoolError(reason=error.strerror))
        except Exception as error:  # noqa: BLE001 (a thread must report, whatever happened)
            reason = f"{type(error).__name__}: {error}"
            refused = Refused(task, SourceError("Reading failed in an unforeseen way.", reason=reason))
        for file in self._directory.glob(f"{target.stem}.*"):
            file.unlink(missing_ok=True)
        return refused

    def _with_types(self, raw: RawFile, caller: Caller) -> RawFile:
        """Let *raw* know how Iterable declares its fields, where it does; a refusal costs no row."""
        read = raw.task.table.read
        if not isinstance(read, Export) or not read.declares or not raw.rows:
            return raw
        with self._declared_lock:
            if read.declares not in self._declared:
                self._declared[read.declares] = {}
                with suppress(SourceError):
                    self._declared[read.declares] = extract.declared(read.declares, caller)
        return replace(raw, declared=self._declared[read.declares], requests=caller.requests)


def _lane(task: Task) -> str:
    return limit_of(task.table.read.path).name


EXPORTS = limit_of(Export("").path).name


class Rates:
    """How many bytes tables have for a second of their time, by what this run has read."""

    def __init__(self) -> None:
        self._size_bytes: Counter[str] = Counter()
        self._seconds: Counter[str] = Counter()
        self._longest: dict[str, Task] = {}

    def expect(self, task: Task) -> None:
        """Note that *task* will be read."""
        longest = self._longest.get(task.table.name)
        if isinstance(task.scope, Window) and (longest is None or task.scope.length > _length(longest)):
            self._longest[task.table.name] = task

    def may_be_large(self, table: Table) -> bool:
        """Return whether the longest window of *table* that was expected should be read in pieces."""
        longest = self._longest.get(table.name)
        return longest is not None and len(planner.pieces(replace(longest, job=None), self.size_bytes(longest))) > 1

    def note(self, raw: RawFile) -> None:
        if isinstance(raw.task.scope, Window):
            self._size_bytes[raw.task.table.name] += raw.size_bytes
            self._seconds[raw.task.table.name] += round(raw.task.scope.length.total_seconds())

    def size_bytes(self, task: Task) -> float | None:
        """Return how much *task* will be: by this run, or by what the planner knew of earlier ones."""
        if (seconds := self._seconds[task.table.name]) and isinstance(task.scope, Window):
            return self._size_bytes[task.table.name] / seconds * task.scope.length.total_seconds()
        return task.size_bytes

    def weight(self, task: Task) -> tuple[bool, float]:
        """Return what sorts tasks by their size; those of unknown size come last, by their length."""
        size_bytes = self.size_bytes(task)
        if size_bytes is None and isinstance(task.scope, Window):
            return True, task.scope.length.total_seconds()
        return False, size_bytes or 0.0


def _length(task: Task) -> timedelta:
    return task.scope.length if isinstance(task.scope, Window) else timedelta()


class Spool:
    """
    Bounds what lies on the spool.

    Who comes when it is full waits until others are loaded. When all who have something there wait, nobody would ever
    be: then the largest window gives way, or, without one, whatever is largest. A window that takes more than its share
    gives way at once: in pieces it needs less memory, and leaves room for others.
    """

    def __init__(self, limit_bytes: int, pacer: Pacer) -> None:
        self._limit_bytes = limit_bytes
        self._pacer = pacer
        self._held: dict[Task, int] = {}
        self._waiting: set[Task] = set()
        self._changed = Condition()

    def hold(self, task: Task, size_bytes: int) -> None:
        """
        Note that so much of *task* is there; return once all fits.

        :raises ExportCut: when *task* must give way
        """
        with self._changed:
            self._held[task] = size_bytes
            if size_bytes > self._limit_bytes / SHARES and task.halves():
                self._let_go(task)
                raise self._cut(task)
            while sum(self._held.values()) > self._limit_bytes:
                self._waiting.add(task)
                if self._gives_way() == task:
                    self._let_go(task)
                    raise self._cut(task)
                self._changed.wait(STOPS_WITHIN_S)
                self._pacer.check()
            self._waiting.discard(task)

    def _cut(self, task: Task) -> ExportCut:
        return ExportCut(
            "The raw files do not fit on the spool.",
            hint="It is read in smaller windows if it can be; else raise `spool_in_gb`.",
            spool_in_gb=self._limit_bytes / 1e9,
            table=task.table.name,
        )

    def _gives_way(self) -> Task | None:
        if self._held.keys() != self._waiting:
            return None
        return max(self._held, key=lambda task: (isinstance(task.scope, Window), self._held[task]))

    def _let_go(self, task: Task) -> None:
        self._held.pop(task, None)
        self._waiting.discard(task)
        self._changed.notify_all()

    def release(self, task: Task) -> None:
        with self._changed:
            self._let_go(task)


class _Listener:
    """Passes on how the requests of one task fare, not too often, and holds them back while the spool is full."""

    def __init__(self, task: Task, lane: str, reports: SimpleQueue[tuple[str, Report]], spool: Spool) -> None:
        self._task = task
        self._lane = lane
        self._reports = reports
        self._spool = spool
        self._told_at = 0.0

    def waiting(self, seconds: float, reason: str) -> None:
        self._reports.put((self._lane, Waiting(self._task, seconds, reason)))

    def progress(self, rows: int, size_bytes: int) -> None:
        self._spool.hold(self._task, size_bytes)
        if (now := time.monotonic()) - self._told_at >= PROGRESS_EVERY_S:
            self._told_at = now
            self._reports.put((self._lane, Progress(self._task, rows, size_bytes)))
