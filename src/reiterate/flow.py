"""
The nouns that walk through the house, and the events that a run yields.

    Connection ─► plan ─► Task ─► fetch ─► RawFile ─► parse ─► Batch ─► Sink ─► rows and a Fact

A task is the unit of reading, of retry and of commit. Every event is a value; bars, logs and JSON only render it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from dataclasses import field as field_of
from enum import StrEnum
from typing import TYPE_CHECKING

from reiterate.catalog.model import ByFirst
from reiterate.errors import HOPELESS, SpoolError
from reiterate.secret import masked
from reiterate.shape import Shape
from reiterate.windows import Window

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from reiterate.catalog.model import Table, Type
    from reiterate.errors import ReiterateError


# ── from the planner to the sink ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Whole:
    """All rows of a table at once."""

    def __str__(self) -> str:
        return "whole table"


@dataclass(frozen=True)
class Part:
    """The rows of a table whose *field* (source spelling) holds *value*: one list, one metadata table."""

    field: str
    value: str | int
    label: str = field_of(default="", compare=False)
    """what people call it"""

    def __str__(self) -> str:
        return f"{self.field} {self.value}"


class Write(StrEnum):
    """What the rows of a task do to those that the destination has."""

    APPEND = "append"
    """They are new: nothing of their window was ever read before."""
    MERGE = "merge"
    """They are added or replace the row of the same identity; none is removed."""
    REPLACE = "replace"
    """They take the place of all rows of the task's scope."""


@dataclass(frozen=True)
class Job:
    """
    An export job that Reiterate started at Iterable for one window of a table.

    *started_at* is the instant (UTC) before the request: what Iterable did not list then may not be in its files.
    """

    job_id: int
    table: str
    window: Window
    started_at: datetime
    asked: str = ""
    """the fields that were asked for, as the table's shape has it"""


@dataclass(frozen=True)
class Task:
    """
    A table and a part of it, to be read whole or not at all.

    *since* restricts a merged listing to rows whose replication key is not older (UTC). *size_bytes* is how much is
    expected, if that is known, *job* an export job that already works on it.
    """

    table: Table
    scope: Window | Part | Whole
    write: Write
    since: datetime | None = None
    size_bytes: float | None = field_of(default=None, compare=False)
    job: Job | None = None
    only: tuple[str, ...] = ()
    """the parts that are wanted, by their value or by a glob of their label; all if empty"""
    shape: Shape = field_of(default_factory=Shape)
    """the columns that are wanted"""
    history: bool = False
    """whether a table beside keeps what its rows were"""
    snapshots: bool = False
    """whether a table beside keeps its rows of each day"""

    def __str__(self) -> str:
        return f"{self.table.name} ({self.scope})"

    def halves(self) -> tuple[Task, ...]:
        """Return two tasks with half the window each; none if the scope cannot be halved."""
        if not isinstance(self.scope, Window):
            return ()
        size_bytes = None if self.size_bytes is None else self.size_bytes / 2
        return tuple(replace(self, scope=half, size_bytes=size_bytes, job=None) for half in self.scope.halves())


@dataclass(frozen=True)
class RawFile:
    """
    What Iterable answered for one task, on disk: one JSON object a line, read to the end.

    *read_at* is the instant (UTC) before the first request, *seconds* the time from there to the last byte,
    *size_bytes* the size on disk, *rows* the number of lines, *modified_ns* when the file was last written, *declared*
    the types that Iterable declares for fields of the project's own.
    """

    task: Task
    path: Path
    rows: int
    size_bytes: int
    requests: int
    read_at: datetime
    seconds: float
    lane: str
    modified_ns: int
    declared: Mapping[str, Type] = field_of(default_factory=dict)

    def check_unchanged(self) -> None:
        """
        Make sure that the file still is what was read.

        :raises SpoolError: when somebody else has changed or removed it
        """
        try:
            found = self.path.stat()
        except OSError as error:
            raise SpoolError(table=self.task.table.name, reason=error.strerror) from error
        if (found.st_size, found.st_mtime_ns) != (self.size_bytes, self.modified_ns):
            raise SpoolError("A raw file was changed by somebody else.", table=self.task.table.name, file=self.path)


@dataclass(frozen=True)
class Column:
    """
    A column of a table in the destination, and the source field that it holds.

    *variant* marks the second column of a field, for values that the type of its first one cannot hold. Technical
    columns hold no field.
    """

    name: str
    type: Type
    field: str | None
    variant: bool = False

    @property
    def tells_content(self) -> bool:
        """Whether it is the ``_content_id``, which has another name where an older version gave that to a field."""
        return self.field is None and self.name.startswith(ByFirst.column)


@dataclass(frozen=True)
class RejectedRow:
    """A row that a destination refused: its columns as JSON *text*, without nulls, a *digest* of that, and why."""

    text: str
    digest: str
    reason: str


@dataclass(frozen=True)
class Batch:
    """
    The typed rows of one task: a DuckDB query over its raw file, not yet run, with *columns* in order.

    Whoever has run the query makes sure with *raw* that the file did not change under it. Rows are unique by the
    table's identity, which is the first of its fields that a row has if *first_of*.
    """

    raw: RawFile
    columns: tuple[Column, ...]
    first_of: bool
    cursor_range: tuple[datetime, datetime] | None
    """
    smallest and largest value (UTC) of the replication key, or bounds of them, if every row of a window has one
    """
    query: str
    source_rows: int
    """rows of the raw file, repetitions included"""
    repeats: bool = False
    """whether several rows of the raw file share an identity"""
    again: str = ""
    """
    of events at which nobody has looked, their ``_event_id`` from the second on that share one: an expression of the
    columns of their table and of ``sql.OCCURRENCE``; whoever loads the rows gives it to these
    """
    discarded: tuple[Column, ...] = ()
    """columns that these rows would have added, had their table's schema not been closed"""
    rejected: tuple[RejectedRow, ...] = ()
    """rows of the raw file that the destination refused, and that are not among these"""

    @property
    def task(self) -> Task:
        return self.raw.task

    @property
    def supposed(self) -> bool:
        """Whether nobody has looked at the rows: the query fails on any that is not as it should be."""
        return bool(self.again)

    @property
    def new(self) -> bool:
        """Whether no row can be in the destination yet: the window was never read, and all rows lie inside it."""
        if self.task.write is not Write.APPEND or not isinstance(self.task.scope, Window):
            return False
        window = self.task.scope
        return not self.source_rows or (
            self.cursor_range is not None and window.start <= self.cursor_range[0] and self.cursor_range[1] < window.end
        )


@dataclass(frozen=True)
class Loaded:
    """
    A task is in the destination, rows and fact committed together.

    Small windows that had arrived are loaded at once, as the longer window that they are *joined* to; that is the task
    then.
    """

    task: Task
    rows: int
    """rows read from Iterable"""
    added: int
    changed: int
    removed: int
    size_bytes: int
    requests: int
    seconds: float
    """reading, in seconds; loading is ``load_seconds``"""
    load_seconds: float
    new_columns: tuple[Column, ...] = ()
    discarded: tuple[Column, ...] = ()
    """columns that were not added, by the table's schema policy"""
    joined: tuple[Task, ...] = ()
    rejected: int = 0
    """rows that the destination refused for their data; they stand in ``_reiterate_rejected_rows``"""
    newly_rejected: int = 0
    """those of them that did not stand there yet"""
    reason: str = ""
    """why the first of them was refused"""

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that are done now: more than one if they were joined."""
        return self.joined or (self.task,)


# ── what else a run yields ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class RunStarted:
    """The plan is made; reading begins."""

    run_id: str
    connection: str
    at: datetime
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class Notice:
    """Something that a person should know about the whole run: a dataset that was migrated, a clock that is wrong."""

    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", masked(self.text))


@dataclass(frozen=True)
class Discovered:
    """Iterable named the parts of a table; a task for each that is due joins the run."""

    task: Task
    into: tuple[Task, ...]
    fresh: int
    """parts that were read a short while ago: by the limits, they cannot be read more often"""
    removed: int
    """rows that went because their part is no longer listed"""
    error: ReiterateError | None = None
    """why they stayed, though there are such rows"""


@dataclass(frozen=True)
class Started:
    """Reading of a task begins."""

    task: Task


@dataclass(frozen=True)
class Progress:
    """So many rows and bytes of a task have arrived up to now."""

    task: Task
    rows: int
    size_bytes: int


@dataclass(frozen=True)
class Waiting:
    """A task waits *seconds* for *reason*: a documented limit, or a retry."""

    task: Task
    seconds: float
    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", masked(self.reason))


@dataclass(frozen=True)
class Split:
    """An export broke off, or, without an error, is larger than it should be; its window is read in pieces instead."""

    task: Task
    into: tuple[Task, ...]
    error: ReiterateError | None


@dataclass(frozen=True)
class LaneClosed:
    """Export jobs were refused; the task and all others are read by direct exports."""

    task: Task
    error: ReiterateError


@dataclass(frozen=True)
class Refreshed:
    """A table was read anew, and its *rows* stand in the place of those that were there *before*."""

    task: Task
    rows: int
    before: int


@dataclass(frozen=True)
class Skipped:
    """
    The project, or the key, does not have a table: it stays empty, and nothing has failed.

    *dropped* is how many other tasks of the table will not be done.
    """

    task: Task
    error: ReiterateError
    dropped: int


@dataclass(frozen=True)
class Failed:
    """A task could not be done; its table is incomplete until a later run does it."""

    task: Task
    error: ReiterateError


class Status(StrEnum):
    """How a run ended."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    """some tables failed"""
    FAILED = "failed"
    """nothing could be done"""
    STOPPED = "stopped"
    """a person asked to stop; what was committed stays"""
    INTERRUPTED = "interrupted"
    """the process died; found by the next run"""


@dataclass(frozen=True)
class TableSummary:
    """What a run did to one table: *tasks* were loaded, *left* were neither loaded nor failed."""

    table: Table
    tasks: int = 0
    left: int = 0
    rows: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    size_bytes: int = 0
    requests: int = 0
    seconds: float = 0.0
    new_columns: tuple[Column, ...] = ()
    discarded: frozenset[Column] = frozenset()
    errors: tuple[ReiterateError, ...] = ()
    rejected: int = 0
    newly_rejected: int = 0
    reason: str = ""
    """why the first row was rejected that was not before"""
    skipped: ReiterateError | None = None
    """why the project, or the key, does not have it"""


@dataclass(frozen=True)
class RunFinished:
    """The run is over; the last event."""

    run_id: str
    status: Status
    at: datetime
    elapsed_s: float
    tables: tuple[TableSummary, ...] = ()

    @property
    def rows(self) -> int:
        return sum(summary.rows for summary in self.tables)

    @property
    def hopeless(self) -> ReiterateError | None:
        """The one reason for which nothing could be done, if there was one that holds for every request."""
        errors = {str(error): error for summary in self.tables for error in summary.errors}
        one = next(iter(errors.values())) if len(errors) == 1 and self.status is Status.FAILED else None
        return one if isinstance(one, HOPELESS) else None

    @property
    def problems(self) -> list[str]:
        """What went wrong, each error once with the tables that it stopped."""
        found: dict[str, list[str]] = {}
        for summary in self.tables:
            for error in dict.fromkeys(map(str, summary.errors)):
                found.setdefault(error, []).append(summary.table.name)
        return [f"{', '.join(tables)}: {error}" for error, tables in found.items()]


Event = (
    RunStarted
    | Notice
    | Discovered
    | Started
    | Progress
    | Waiting
    | Split
    | LaneClosed
    | Loaded
    | Refreshed
    | Skipped
    | Failed
    | RunFinished
)
