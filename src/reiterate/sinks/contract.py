"""What every sink promises. Free of any database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from reiterate.catalog.model import Table
    from reiterate.flow import Batch, Column, Job, Part, RejectedRow, Status
    from reiterate.ledger import Fact, Ledger, Refusal
    from reiterate.windows import Window


@dataclass(frozen=True)
class Outcome:
    """What a load did to the rows of a table."""

    added: int
    changed: int
    removed: int
    new_columns: tuple[Column, ...]
    rejected: tuple[RejectedRow, ...] = ()
    newly_rejected: int = 0
    """those that were not on record"""


@dataclass(frozen=True)
class Run:
    """One run, as the destination records it; *asked* is JSON without secrets."""

    run_id: str
    connection: str
    started_at: datetime
    asked: str
    finished_at: datetime | None = None
    status: Status | None = None
    rows: int = 0
    message: str = ""


@dataclass(frozen=True)
class Change:
    """How many rows one read added to its window or part of a table, less those that it removed."""

    window: Window | None
    part: Part | None
    rows: int


@dataclass(frozen=True)
class TableState:
    """What stands in a table: its rows, and the newest value of its replication key (UTC), if it has one."""

    rows: int
    newest: datetime | None


class Sink(Protocol):
    """
    A destination that is open for one process.

    Rows and fact of a load become durable together or not at all; a process that dies at any instant leaves the
    destination as it was after the last load that returned. Each change is made only while the process still holds the
    destination.
    """

    @property
    def spool(self) -> Path:
        """A directory for raw files that no other process uses while this sink is open; empty at first."""

    @property
    def empty(self) -> bool:
        """Whether nothing was ever loaded into the dataset."""

    @property
    def most_columns(self) -> int | None:
        """How many columns new fields may bring a table to; nothing if that does not matter."""

    @property
    def supposes(self) -> bool:
        """Whether batches can be loaded that are *supposed*: rows of theirs that share an identity are told apart."""

    def ledger(self) -> Ledger:
        """Return the facts whose rows are in the destination."""

    def doubt(self, latest: datetime) -> int:
        """Let facts that were read after *latest*, the latest that it can be, count no more; return how many."""

    def columns(self, table: Table) -> tuple[Column, ...]:
        """Return the columns that *table* has, technical ones included; none if there is no such table."""

    def load(self, batch: Batch, fact: Fact) -> Outcome:
        """
        Write the rows of *batch* as its task says, and *fact* with them.

        :raises MostRowsGone: when it would take most rows of a table, and that many are not accepted
        :raises RowsRefused: when it refuses them for their data; nothing of the batch is kept then
        :raises LoadError: when the destination refuses for another reason; the same
        :raises HeldUp: when the same load may pass in a while; nothing is kept, or that load knows that all was
        :raises LockLost: when another process has taken over, as each method that changes something
        :raises SpoolError: when the raw file changed under the load; the same
        """

    @property
    def rolls_back(self) -> bool:
        """Whether a transaction takes back all that a load does, so that it can be tried out."""

    def try_out(self, batch: Batch) -> None:
        """
        Write the rows of *batch*, and undo it.

        :raises LoadError: as :meth:`load`
        """

    def rejected(self, table: Table) -> int:
        """Return how many rows of *table* were refused and never loaded since."""

    def retain(self, table: Table, parts: Collection[Part]) -> int:
        """
        Remove the rows of parts that are not among *parts*; return how many.

        :raises MostRowsGone: when these are most of the table, or a whole part that is not small, and not accepted
        """

    def accept(self, accepted: Mapping[str, Collection[int]]) -> None:
        """Let the run that begins take these numbers of rows from tables, by name, where the brake would hold it."""

    def rehearse(self, batch: Batch) -> None:
        """
        Write nothing; raise what the brake makes of *batch*.

        :raises MostRowsGone: as :meth:`load` would
        """

    def rehearse_retain(self, table: Table, parts: Collection[Part]) -> int:
        """
        Remove nothing; return how many rows :meth:`retain` would remove.

        :raises MostRowsGone: as that would
        """

    def refresh(self, table: Table) -> None:
        """
        Let rows of *table* go to another, empty one from now on, beside the old that stays as it is until the swap.

        What a run that died began is gone when the next one begins; a table that is not there needs nothing of this.
        """

    def swap(self, table: Table) -> tuple[int, int]:
        """
        Put the rows that were read anew in the place of the old ones, all at once; return how many were, and are.

        :raises MostRowsGone: when most of the old ones were not read again, and that many are not accepted
        :raises LoadError: when the destination refuses; the old rows stay then
        """

    def drop(self, table: Table) -> None:
        """Remove *table* and all that is known of it."""

    def refuse(self, refusal: Refusal) -> None:
        """Note that a part could not be read; a load of the part strikes it out."""

    def keep(self, job: Job) -> None:
        """Note an export job at once and for good; called from any thread. A load of its window strikes it out."""

    def forget(self, job: Job) -> None:
        """Strike out *job*; called from any thread."""

    def begin(self, run: Run) -> Sequence[str]:
        """
        Record a run that starts; one that never finished is marked as interrupted.

        A dataset of an older format is migrated first thing; return what a person should know of that.
        """

    def finish(self, run: Run) -> None:
        """Record how a run ended."""

    def renew(self) -> None:
        """
        Stay the holder while nothing is loaded; to be called every few seconds by whoever loads.

        :raises LockLost: when another process has taken over
        """

    def runs(self, limit: int) -> Sequence[Run]:
        """Return the latest runs, newest first."""

    def state(self, table: Table) -> TableState | None:
        """Return what stands in *table*, or nothing if there is no such table."""

    def changes(self, table: Table) -> Sequence[Change]:
        """Return what each read that is in the ledger did to *table*."""

    def count(self, table: Table, scope: Window | Part) -> int:
        """Return how many rows of *table* lie in *scope*."""

    def doubles(self, table: Table) -> int:
        """Return how many rows of *table* repeat the identity of another, or have none."""

    def compare(self, batch: Batch) -> tuple[int, int]:
        """Return how many rows of *batch* the destination lacks, and how many it has in the batch's window besides."""

    def close(self) -> None:
        """Let go of the destination."""
