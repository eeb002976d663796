"""
Small raw files that wait are loaded at once, as the one of a longer window.

    waiting  [──a──)[──b──)[──c──)       [──e──)
    loaded   [─────────abc───────)  then [──e──)

Whoever loads never waits for more of them: what has arrived is joined, and becomes durable with one fact.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from reiterate.errors import SpoolError
from reiterate.flow import RawFile
from reiterate.shape import Policy
from reiterate.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

SMALL_BYTES = 1 << 20
"""A larger file takes so long to load that what a load costs besides does not show."""

JOINED_BYTES = 8 << 20


def may_join(raw: RawFile) -> bool:
    """
    Return whether *raw* may be loaded with its neighbours.

    Where a table beside keeps what rows were, each read counts; where columns are not to change, it matters which
    window comes first.
    """
    task = raw.task
    return (
        isinstance(task.scope, Window)
        and raw.size_bytes <= SMALL_BYTES
        and not (task.history or task.snapshots)
        and task.shape.policy is Policy.EVOLVE
    )


def neighbours(first: RawFile, others: Iterable[RawFile]) -> tuple[RawFile, ...]:
    """
    Return *first* and those of *others* whose windows make up one with its own, oldest first.

    Windows that overlap do not; nor do several tables or lanes, or reads that are not written in the same way.
    """
    if not may_join(first):
        return (first,)
    alike = [raw for raw in others if _alike(first, raw) and may_join(raw)]
    later = {_window(raw).start: raw for raw in alike}
    earlier = {_window(raw).end: raw for raw in alike}
    found, size_bytes = deque([first]), first.size_bytes
    while (raw := later.get(_window(found[-1]).end)) and size_bytes + raw.size_bytes <= JOINED_BYTES:
        found.append(raw)
        size_bytes += raw.size_bytes
    while (raw := earlier.get(_window(found[0]).start)) and size_bytes + raw.size_bytes <= JOINED_BYTES:
        found.appendleft(raw)
        size_bytes += raw.size_bytes
    return tuple(found)


def _alike(one: RawFile, other: RawFile) -> bool:
    task, another = one.task, other.task
    return (
        task.table is another.table
        and task.write is another.write
        and one.lane == other.lane
        and (task.shape, task.since, task.only) == (another.shape, another.since, another.only)
    )


def _window(raw: RawFile) -> Window:
    if not isinstance(raw.task.scope, Window):
        message = f"only windows are joined, not {raw.task.scope}"
        raise TypeError(message)
    return raw.task.scope


def path_of(raws: Sequence[RawFile]) -> Path:
    """Return where the lines of *raws* stand together: beside them, or, of a single one, where they are."""
    first, last = raws[0].path, raws[-1].path
    return first if first == last else first.with_name(f"{first.stem}-{last.name}")


def joined(raws: Sequence[RawFile]) -> RawFile:
    """
    Return neighbours, oldest first, as the raw file of the window that they make up.

    Until the last byte of all had arrived counts as its time.

    :raises SpoolError: when somebody else has changed one of them, or the disk is full
    """
    first, last = raws[0], raws[-1]
    path = path_of(raws)
    if len(raws) > 1:
        try:
            _write(raws, path)
        except OSError as error:
            raise SpoolError(table=first.task.table.name, reason=error.strerror) from error
    for raw in raws:
        raw.check_unchanged()
    if len(raws) == 1:
        return first
    read_at = min(raw.read_at for raw in raws)
    found = path.stat()
    return RawFile(
        task=replace(first.task, scope=Window(_window(first).start, _window(last).end), size_bytes=None, job=None),
        path=path,
        rows=sum(raw.rows for raw in raws),
        size_bytes=found.st_size,
        requests=sum(raw.requests for raw in raws),
        read_at=read_at,
        seconds=max((raw.read_at - read_at).total_seconds() + raw.seconds for raw in raws),
        lane=first.lane,
        modified_ns=found.st_mtime_ns,
        declared=next((raw.declared for raw in raws if raw.declared), {}),
    )


def _write(raws: Sequence[RawFile], path: Path) -> None:
    with path.open("wb") as target:
        for raw in raws:
            if raw.size_bytes:
                lines = raw.path.read_bytes()
                target.write(lines if lines.endswith(b"\n") else lines + b"\n")
