"""From a task to a raw file on disk; one module per kind of read."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar, assert_never

from reiterate.catalog.model import AnyOf, Contents, Export, Figures, KeyedValues, Listing, ListMembers, PerParent
from reiterate.errors import NotOffered, SourceError
from reiterate.extract import children, contents, exports, figures, jobs, listings, members, metadata
from reiterate.extract.costs import calls
from reiterate.extract.fields import declared
from reiterate.extract.jobs import JobBook, give_up
from reiterate.extract.probes import probe, probe_jobs
from reiterate.flow import RawFile, Whole, Write
from reiterate.windows import Window, span

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reiterate.api import Caller
    from reiterate.flow import Job, Task


Fetched = TypeVar("Fetched")

CLOCK_TRIES = 3
"""The first may tell Iterable's time, the second be asked for up to there."""

__all__ = ["JobBook", "calls", "declared", "fetch", "give_up", "parts", "probe", "probe_jobs"]


def parts(task: Task, caller: Caller) -> tuple[Task, ...] | None:
    """
    Return the tasks that *task* is made of, as Iterable lists them now; nothing if it is to be read as it is.

    :raises SourceError: when Iterable does not list them
    """
    if not isinstance(task.scope, Whole):
        return None
    match task.table.read:
        case ListMembers() as read:
            return members.parts(task, read, caller)
        case KeyedValues() as read:
            return metadata.parts(task, read, caller)
        case PerParent() as read if read.parts:
            return children.parts(task, read, caller)
        case Export() | Listing() | AnyOf() | PerParent() | Figures() | Contents():
            return None
        case _:
            assert_never(task.table.read)


def fetch(task: Task, caller: Caller, target: Path, *, pool: metadata.Mapper, book: JobBook | None = None) -> RawFile:
    """
    Read *task* whole into *target*, one JSON object a line: an export by a job if there is a *book* for jobs.

    *pool* maps a function over values in several threads, in order. A window that ends later than Iterable's clock had
    reached is read up to there alone; the task of the file is that then.

    :raises SourceError: when it cannot be read whole; *target* is then of no use
    """
    for _ in range(CLOCK_TRIES):
        raw, job = _fetch(task, caller, target, pool=pool, book=book)
        if not isinstance(task.scope, Window) or task.job or task.scope.end <= caller.until:
            return raw
        if job is not None and book is not None:
            book.forget(job)
        if (scope := span(task.scope.start, caller.until)) is None:
            return _nothing_yet(raw)
        task = replace(task, scope=scope)
    raise SourceError(
        "Iterable's clock cannot be told from its answers.",
        hint="Let no cache answer in the place of Iterable; the next sync reads the window again.",
        window=task.scope,
        until=caller.until,
    )


def _nothing_yet(raw: RawFile) -> RawFile:
    """Return the file of a window that has not begun by Iterable's clock: nothing of it counts as read."""
    raw.path.write_bytes(b"")
    there = raw.path.stat()
    task = replace(raw.task, scope=Whole(), write=Write.MERGE)
    return replace(raw, task=task, rows=0, size_bytes=0, modified_ns=there.st_mtime_ns)


def _fetch(
    task: Task, caller: Caller, target: Path, *, pool: metadata.Mapper, book: JobBook | None
) -> tuple[RawFile, Job | None]:
    began = time.monotonic()
    job = None
    match task.table.read:
        case Export() as read if book is not None:
            arrived, job = _by_either_name(read, lambda named: jobs.fetch(task, named, caller, target, book=book))
        case Export() as read:
            arrived = _by_either_name(read, lambda named: exports.fetch(task, named, caller, target))
        case Listing() as read:
            arrived = listings.fetch(task, read, caller, target)
        case AnyOf() as read:
            arrived = listings.fetch_any(task, read, caller, target)
        case PerParent() as read:
            arrived = children.fetch(task, read, caller, target, pool=pool)
        case Figures() as read:
            arrived = figures.fetch(task, read, caller, target)
        case Contents() as read:
            arrived = contents.fetch(task, read, caller, target, pool=pool)
        case ListMembers() as read:
            arrived = members.fetch(task, read, caller, target)
        case KeyedValues() as read:
            arrived = metadata.fetch(task, read, caller, target, pool=pool)
        case _:
            assert_never(task.table.read)
    raw = RawFile(
        task=task,
        path=target,
        rows=arrived.rows,
        size_bytes=arrived.size_bytes,
        modified_ns=target.stat().st_mtime_ns,
        requests=caller.requests,
        read_at=job.started_at if job else caller.read_at,
        seconds=time.monotonic() - began,
        lane="direct" if book is None else "jobs",
    )
    raw.check_unchanged()
    return raw, job


def _by_either_name(read: Export, fetch: Callable[[Export], Fetched]) -> Fetched:
    """Fetch a data type by its name, or by its former one where the project knows that alone (FACTS.md 8.6)."""
    try:
        return fetch(read)
    except NotOffered:
        if not read.formerly:
            raise
        return fetch(replace(read, data_type=read.formerly, formerly=""))
