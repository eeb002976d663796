"""
Threads that read tasks while others load: which task goes by which lane, and how much may lie on the spool.

    exports waiting ─┬─ smallest first ─► direct lane (4 requests a minute) ─┐
                     └─ largest first ──► export jobs (4 at a time) ─────────┼─► reports, to whoever iterates
    all other tasks ──── in their order ─► a lane for each limit ────────────┘
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count
from multiprocessing.pool import ThreadPool
from queue import Empty, SimpleQueue
from threading import Condition, Lock, RLock
from typing import TYPE_CHECKING

from reiterate import extract, joining, planner
from reiterate.api import JOBS_AT_A_TIME, limit_of
from reiterate.catalog.model import Export
from reiterate.errors import BrokenAnswer, ReiterateError, SourceError, SpoolError
from reiterate.flow import Progress, RawFile, Started, Task, Waiting
from reiterate.rates import Rates
from reiterate.spool import STOPS_WITHIN_S, Spool
from reiterate.threads import pools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from reiterate.api import Caller, Client
    from reiterate.catalog.model import Table, Type
    from reiterate.extract import JobBook
    from reiterate.flow import Job

JOBS = "jobs"
READERS_PER_LIMIT = 2
"""Two requests of a kind at a time: while one is loaded, the other arrives."""

AHEAD = 500
"""So many small files may wait to be loaded without a place."""

READERS = 24

LOOKS_AHEAD = 500
"""Among so many waiting tasks the next one is chosen."""

VALUE_READERS = 8
"""Threads that read single values of metadata tables."""

PROGRESS_EVERY_S = 0.2

LEAVES_WITHIN_S = 3.0
"""So long a reader is waited for at the end; one that still waits for an answer then is left to itself."""


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


@dataclass(frozen=True)
class Arrived:
    """Tasks were read: one, or several small ones that make up a longer window, oldest first."""

    raws: tuple[RawFile, ...]


@dataclass(frozen=True)
class _Ended:
    """The last report of a task, which until that was dealt with keeps its place in a *lane*, if any."""

    task: Task
    report: Parts | RawFile | Refused
    lane: str | None


Event = Started | Progress | Waiting
Report = Parts | Arrived | Refused | Event


def contact(client: Client) -> SourceError | None:
    """
    Ask Iterable for its time, as :meth:`Client.contact` does, but for no longer than nobody asks to stop.

    The request is made by a thread of its own: a signal does not end a wait for an answer.
    """
    with ThreadPool(1) as thread:
        asked = thread.apply_async(client.contact)
        while not asked.ready():
            if client.pacer.stop.is_set():
                return None
            asked.wait(STOPS_WITHIN_S)
        return asked.get()


class Readers:
    """
    Threads that read tasks into *directory*, at most *spool_bytes* at a time.

    Iterating gives their reports, until all tasks are read, or raises Stopped soon after a stop, whatever they wait
    for. A task keeps its room on the spool until its last report was dealt with, and its place; but small windows let
    others be read meanwhile, and when whoever iterates is ready for one, those that follow each other come with it.
    *meanwhile* is called at least twice a second by the thread that iterates.
    """

    def __init__(
        self, client: Client, book: JobBook, directory: Path, *, spool_bytes: int, meanwhile: Callable[[], None]
    ) -> None:
        self._client = client
        self._book = book
        self._directory = directory
        self._meanwhile = meanwhile
        self._spool = Spool(spool_bytes, client.pacer)
        self._threads, self._value_threads = pools(READERS, VALUE_READERS)
        self._reports: SimpleQueue[_Ended | Event] = SimpleQueue()
        self._files = count()
        self._declared: dict[str, Mapping[str, Type]] = {}
        self._declared_lock = Lock()
        self._at_work = 0
        self._closed = False
        self._leaving = Condition()
        # what follows, threads that read change, too
        self._lock = RLock()
        self._waiting: dict[str, list[Task]] = defaultdict(list)
        self._reading: Counter[str] = Counter()
        self._under_way = self._ahead = 0
        self._rates = Rates()
        self._jobs_open = True

    def close(self) -> None:
        """Let no reader begin any more, and wait some time for those at work: what they note is noted then."""
        self._client.pacer.stop.set()
        self._threads.terminate()
        with self._leaving:
            self._closed = True
            self._leaving.wait_for(lambda: not self._at_work, timeout=LEAVES_WITHIN_S)
        # until now, readers may have waited for these
        self._value_threads.terminate()

    @contextmanager
    def _working(self) -> Iterator[bool]:
        """Let :meth:`close` wait for what happens inside; tell whether anything should."""
        with self._leaving:
            self._at_work += 1
            goes_on = not self._closed
        try:
            yield goes_on
        finally:
            with self._leaving:
                self._at_work -= 1
                self._leaving.notify_all()

    def add(self, tasks: Sequence[Task], *, first: bool = False) -> None:
        """Read *tasks*, too, in their order: after those that wait, or before them if *first*."""
        with self._lock:
            for task in reversed(tasks) if first else tasks:
                self._rates.expect(task)
                waiting = self._waiting[_lane(task)]
                waiting.insert(0 if first else len(waiting), task)
        self._start()

    def give_up(self, jobs: Sequence[Job]) -> None:
        """Cancel *jobs* of ours, beside all else."""
        for job in jobs:
            self._threads.apply_async(self._give_up, (job,))

    def _give_up(self, job: Job) -> None:
        with self._working() as goes_on:
            if goes_on:
                extract.give_up(job, self._client.caller(), self._book)

    def drop(self, table: Table | None = None) -> list[Task]:
        """Forget the tasks, of *table* if given, that have not begun; return them."""
        dropped = []
        with self._lock:
            for lane, tasks in self._waiting.items():
                dropped += [task for task in tasks if table in {None, task.table}]
                self._waiting[lane] = [task for task in tasks if table not in {None, task.table}]
        return dropped

    def close_jobs(self) -> bool:
        """Use no more export jobs; return whether they were used until now."""
        with self._lock:
            was_open, self._jobs_open = self._jobs_open, False
        return was_open

    def cut(self, table: Table) -> list[tuple[Task, tuple[Task, ...]]]:
        """Return the tasks that are too large, by what was read of *table*, with the pieces that are read instead."""
        with self._lock:
            if not self._rates.may_be_large(table):
                return []
            waiting = self._waiting[limit_of(table.read.path).name]
            cut = [
                (task, pieces)
                for task in waiting
                if task.table is table and len(pieces := planner.pieces(task, self._rates.size_bytes(task))) > 1
            ]
            for task, pieces in cut:
                at = waiting.index(task)
                waiting[at : at + 1] = pieces
            return cut

    def __iter__(self) -> Iterator[Report]:
        ended: deque[_Ended] = deque()
        while self._under_way:
            self._client.pacer.check()
            self._meanwhile()
            for report in self._heard(wait=not ended):
                if isinstance(report, _Ended):
                    ended.append(report)
                else:
                    yield report
            if ended:
                yield from self._dealt_with(ended)

    def _heard(self, *, wait: bool) -> Iterator[_Ended | Event]:
        """Yield what threads have reported; *wait* some time for it if there is nothing."""
        with suppress(Empty):
            yield self._reports.get(block=wait, timeout=STOPS_WITHIN_S)
            for _ in range(self._reports.qsize()):
                yield self._reports.get_nowait()

    def _dealt_with(self, ended: deque[_Ended]) -> Iterator[Report]:
        """Yield the first of the reports, with the files that can be loaded with it, and take them away."""
        if not isinstance(raw := ended[0].report, RawFile):
            yield raw
            self._let_go([ended.popleft()])
            return
        raws = joining.neighbours(raw, (each.report for each in ended if isinstance(each.report, RawFile)))
        together = joining.path_of(raws)
        if len(raws) > 1 and not self._spool.take(together, sum(each.size_bytes for each in raws)):
            raws = (raw,)
        yield Arrived(raws)
        self._spool.release(together)
        done = {*map(id, raws)}
        self._let_go([each for each in ended if id(each.report) in done])
        others = [each for each in ended if id(each.report) not in done]
        ended.clear()
        ended.extend(others)

    def _let_go(self, ended: Sequence[_Ended]) -> None:
        with self._lock:
            for each in ended:
                self._spool.release(each.task)
                self._under_way -= 1
                if each.lane is None:
                    self._ahead -= 1
                else:
                    self._reading[each.lane] -= 1
        self._start()

    def _start(self) -> None:
        with self._lock:
            for lane in (JOBS, *self._waiting):
                places = JOBS_AT_A_TIME if lane == JOBS else READERS_PER_LIMIT
                while self._reading[lane] < places and (task := self._next(lane)) is not None:
                    self._reading[lane] += 1
                    self._under_way += 1
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
        """Read *task*, and go on with others as long as what was read can wait without a place."""
        with self._working() as goes_on:
            following = task if goes_on else None
            while following is not None:
                self._reports.put(Started(following))
                ended, report = following, self._answer(following, lane)
                following = self._following(report, lane)
                self._reports.put(_Ended(ended, report, lane if following is None else None))

    def _following(self, report: Parts | RawFile | Refused, lane: str) -> Task | None:
        """Return what is read in the place of a task that has ended, before its report was dealt with; if anything."""
        if not isinstance(report, RawFile):
            return None
        with self._lock:
            self._rates.note(report)
            if not joining.may_join(report) or self._ahead >= AHEAD or self._rates.may_be_large(report.task.table):
                return None
            if (task := self._next(lane)) is not None:
                self._under_way += 1
                self._ahead += 1
            return task

    def _answer(self, task: Task, lane: str) -> Parts | RawFile | Refused:
        caller = self._client.caller(_Listener(task, self._reports, self._spool))
        target = self._directory / f"{next(self._files):06d}.ndjson"
        try:
            if (parts := extract.parts(task, caller)) is not None:
                return Parts(task, parts)
            raw = extract.fetch(
                task,
                caller,
                target,
                pool=self._value_threads.imap,
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
                self._declared[read.declares] = self._types_at(read.declares, caller)
        return replace(raw, declared=self._declared[read.declares], requests=caller.requests)

    def _types_at(self, path: str, caller: Caller) -> Mapping[str, Type]:
        try:
            return extract.declared(path, caller)
        except BrokenAnswer:
            raise  # by what stands in its place, columns would get other types for good
        except SourceError:
            return {}


def _lane(task: Task) -> str:
    return limit_of(task.table.read.path).name


EXPORTS = limit_of(Export("").path).name


class _Listener:
    """Passes on how the requests of one task fare, not too often, and holds them back while the spool is full."""

    def __init__(self, task: Task, reports: SimpleQueue[_Ended | Event], spool: Spool) -> None:
        self._task = task
        self._reports = reports
        self._spool = spool
        self._told_at = 0.0

    def waiting(self, seconds: float, reason: str) -> None:
        self._reports.put(Waiting(self._task, seconds, reason))

    def progress(self, rows: int, size_bytes: int) -> None:
        self._spool.hold(self._task, size_bytes)
        if (now := time.monotonic()) - self._told_at >= PROGRESS_EVERY_S:
            self._told_at = now
            self._reports.put(Progress(self._task, rows, size_bytes))
