"""
What destinations share that take SQL and keep rows and definitions in one transaction; each holds only its difference.

    load ─► one transaction: [ make or widen the table ─► write the rows ─► keep what they were ─► note the fact ]
"""

from __future__ import annotations

import contextlib
import uuid
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from threading import RLock
from typing import TYPE_CHECKING, Any, assert_never

import duckdb

from reiterate import sql
from reiterate.catalog.model import ByEvent, ByFields, ByFirst, KeyedValues, ListMembers, PerParent, Type
from reiterate.errors import ConnectionMismatch, LoadError, RowsRefused
from reiterate.flow import Column, Job, Part, Status, Write
from reiterate.ledger import IN_DOUBT, MIGRATION, Fact, Ledger, Refusal
from reiterate.sinks import dataset_format, keys, people, rejections
from reiterate.sinks.brake import Brake
from reiterate.sinks.contract import Change, Outcome, Run, TableState
from reiterate.sinks.doubled import Doubled
from reiterate.sinks.rejections import REJECTED
from reiterate.sinks.spools import RawFiles
from reiterate.windows import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from reiterate.catalog.model import Table
    from reiterate.flow import Batch

RUNS, READS, COLUMNS = "_reiterate_runs", "_reiterate_reads", "_reiterate_columns"
JOBS, REFUSALS = "_reiterate_jobs", "_reiterate_refusals"
FORMAT_VERSION = "_reiterate_format_version"

OWN_TABLES: Mapping[str, Mapping[str, Type]] = {
    RUNS: {
        "run_id": Type.TEXT,
        "connection": Type.TEXT,
        "started_at": Type.TIMESTAMP,
        "finished_at": Type.TIMESTAMP,
        "status": Type.TEXT,
        "rows": Type.BIGINT,
        "message": Type.TEXT,
        "asked": Type.JSON,
        "reiterate_version": Type.TEXT,
        "duckdb_version": Type.TEXT,
    },
    READS: {
        "run_id": Type.TEXT,
        "table_name": Type.TEXT,
        "part": Type.TEXT,
        "window_start": Type.TIMESTAMP,
        "window_end": Type.TIMESTAMP,
        "read_at": Type.TIMESTAMP,
        "loaded_at": Type.TIMESTAMP,
        "rows": Type.BIGINT,
        "added": Type.BIGINT,
        "changed": Type.BIGINT,
        "removed": Type.BIGINT,
        "bytes": Type.BIGINT,
        "requests": Type.BIGINT,
        "seconds": Type.DOUBLE,
        "lane": Type.TEXT,
        "rejected": Type.BIGINT,
    },
    COLUMNS: {
        "table_name": Type.TEXT,
        "source_field": Type.TEXT,
        "column_name": Type.TEXT,
        "type": Type.TEXT,
        "variant": Type.BOOLEAN,
        "since": Type.TIMESTAMP,
    },
    JOBS: {
        "job_id": Type.BIGINT,
        "table_name": Type.TEXT,
        "window_start": Type.TIMESTAMP,
        "window_end": Type.TIMESTAMP,
        "started_at": Type.TIMESTAMP,
        "asked": Type.TEXT,
    },
    REFUSALS: {
        "run_id": Type.TEXT,
        "table_name": Type.TEXT,
        "part": Type.TEXT,
        "refused_at": Type.TIMESTAMP,
        "reason": Type.TEXT,
    },
    REJECTED: rejections.COLUMNS,
    FORMAT_VERSION: {"format": Type.BIGINT, "reiterate_version": Type.TEXT, "since": Type.TIMESTAMP},
}
"""
Names and columns are a contract with people's warehouses. A table or column that a dataset lacks is added when it is
opened for writing.
"""

FRESH = dataset_format.BESIDE
"""Before the name of a table: what is read anew, until it is whole."""

VALID_FROM, VALID_TO, SNAPSHOT_DATE = "_valid_from", "_valid_to", "_snapshot_date"
HISTORY = {VALID_FROM: Type.TIMESTAMP, VALID_TO: Type.TIMESTAMP}
SNAPSHOTS = {SNAPSHOT_DATE: Type.DATE}
KEPT = HISTORY | SNAPSHOTS
"""Columns that tables have which keep what rows were, behind those of the table itself."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Kept:
    """
    Which rows are looked at to keep what they were: those of *scope*, a condition on ``t``, *at* an instant.

    *part* is the part of the table, if that is the scope. Rows that are not there any more are *gone*.
    """

    at: datetime
    scope: str = "true"
    part: Part | None = None
    gone: bool = False

    def of(self, side: str) -> str:
        """Return the scope as a condition on rows that are called otherwise."""
        return self.scope.replace("t.", f"{side}.", 1) if self.scope.startswith("t.") else self.scope

    @property
    def day(self) -> str:
        return f"{sql.literal(self.at.astimezone(UTC).date())}::DATE"


class _Undone(Exception):
    """A load was tried out."""


class RelationalSink(ABC):
    """
    A schema of a database; see :class:`reiterate.sinks.Sink` for what each method promises.

    *schema* is its quoted name with all that belongs before it, *shown* what people call the destination.
    """

    TYPES: Mapping[Type, str]
    ERRORS: tuple[type[Exception], ...]
    """what the database raises, and what reading the rows of a batch does"""
    most_columns: int | None = None
    supposes: bool = False
    rolls_back: bool = True
    """whether rows that a transaction removed are there again if it fails"""

    def __init__(self, schema: str, dataset: str, shown: object, run_id: str = "") -> None:
        self.dataset = dataset
        self._schema = schema
        self._shown = shown
        self._run_id = run_id or uuid.uuid4().hex
        self._raw_files: RawFiles | None = None
        self._aside_lock = RLock()
        self._closed = False
        self._fresh: dict[str, int] = {}
        """how many rows this process has loaded into tables that it reads anew"""
        self._unheard: dict[object, Any] = {}
        """what a transaction came to of which it is not known whether it was committed"""
        self._tables_with_rejected: set[str] | None = None
        self._brake = Brake({})

    # ── what a database has of its own ───────────────────────────────────────────────────────────────────────────────

    @abstractmethod
    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""

    @abstractmethod
    def _do(self, statement: str) -> int:
        """Do a statement; return how many rows it touched."""

    @abstractmethod
    def _do_aside(self, *statements: str) -> None:
        """Do and commit statements beside whatever transaction the main thread is in."""

    @property
    @abstractmethod
    def _spools(self) -> Path:
        """The directory in which runs have their directories for raw files."""

    @abstractmethod
    def _let_go(self) -> None:
        """Close what is open, which nobody uses any more."""

    @abstractmethod
    def _atomic(self) -> AbstractContextManager[object]:
        """Keep all that happens inside, or nothing of it."""

    @abstractmethod
    def _staged(self, batch: Batch, *, again: bool = False) -> AbstractContextManager[str]:
        """Hand out a table expression with the rows of *batch*; it is read more than once if *again*."""

    @abstractmethod
    def _append(self, batch: Batch) -> int:
        """Add the rows of *batch*; return how many there were."""

    @abstractmethod
    def _us(self, expression: str) -> str:
        """Return the expression of an instant in microseconds since 1970."""

    @abstractmethod
    def _same_value(self, left: str, right: str) -> str:
        """Return the condition that two values are equal or both null."""

    def _do_removal(self, table: str, condition: str) -> int:
        """Remove the rows ``t`` of *table* (a quoted name) that fulfil *condition*; return how many there were."""
        return self._do(f"DELETE FROM {table} AS t WHERE {condition}")

    def _reason(self, error: Exception) -> str:
        """Return what the database says, in one line without secrets."""
        return first_line(error)

    def _same_first(self, left: str, right: str) -> str:
        """Return the condition that two values are equal of which neither is null."""
        return f"{left} = {right}"

    def _lay_out(self, table: Table, name: str, columns: Collection[Column], *, new: bool) -> None:  # noqa: B027 (not all need it)
        """Help a table, called *name*, to find its rows; it is *new*, or may have got some of *columns* just now."""

    # ── facts ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _make_own_tables(self) -> None:
        """
        Make or widen the tables of the ledger.

        :raises SettingsError: when a newer version has written the dataset; nothing is changed then
        """
        new = self.empty
        self._check_version()
        for table, columns in OWN_TABLES.items():
            self._make_as_wide(table, columns)
        if new:
            self._set_format(dataset_format.FORMAT)

    def _check_version(self) -> None:
        """
        Make sure that this version may write to the dataset, if it is there.

        :raises SettingsError: when a newer version has written it
        """
        number, version_of_it = self._format()
        dataset_format.check(number, version_of_it, destination=self._shown, dataset=self.dataset)

    def _format(self) -> tuple[int, str]:
        """Return the format of the dataset, and the version of Reiterate that gave it."""
        if not self._there(FORMAT_VERSION):
            return dataset_format.UNNUMBERED, ""
        found = self._rows(f"SELECT format, reiterate_version FROM {self._name(FORMAT_VERSION)}")
        return max(found, default=(dataset_format.UNNUMBERED, ""))

    def _set_format(self, number: int) -> None:
        self._do(f"DELETE FROM {self._name(FORMAT_VERSION)} WHERE true")
        self._do(self._insertion(FORMAT_VERSION, (number, version("reiterate"), datetime.now(UTC))))

    def _migrate(self) -> Iterator[str]:
        """Bring an older dataset to the format of this version, step by step; yield what a person should know."""
        number, _ = self._format()
        dataset = dataset_format.Dataset(self._find_doubled, self._keep_latest)
        for step in dataset_format.steps_from(number):
            with self._transaction(partial(step.define, dataset), step.tables):
                notice = step.migrate(dataset)
                self._set_format(step.to)
            if notice:
                yield notice
        if number < dataset_format.FORMAT:
            with self._transaction():
                self._set_format(dataset_format.FORMAT)

    def _find_doubled(self, table: Table) -> None:
        """Make a table beside each that has rows of *table*, now or of the past, which agree in their key."""
        for doubled in self._doubled(table):
            beside = f"{FRESH}{doubled.name}"
            # what a process left that died while it dropped it
            self._drop_table(beside)
            if self._number(doubled.number):
                types = {column.name: column.type for column in self._columns(table.name)}
                self._make(beside, types | {name: type_ for name, type_ in KEPT.items() if name in doubled.names})

    def _keep_latest(self, table: Table) -> int:
        """Of the rows of *table*, now and of the past, that agree in their key, keep one; return how many went now."""
        removed = {doubled.name: self._replace_doubled(doubled) for doubled in self._doubled(table)}
        if gone := removed.get(table.name, 0):
            ((run,),) = self._rows(f"SELECT max(run_id) FROM {self._name(RUNS)} WHERE status = 'running'")
            now = datetime.now(UTC)
            values = {"run_id": run, "table_name": table.name, "read_at": now, "loaded_at": now, "removed": gone}
            noted = values | {"lane": MIGRATION}
            zeros = dict.fromkeys(("rows", "added", "changed", "bytes", "requests", "seconds"), 0)
            self._do(self._insertion(READS, [(zeros | noted).get(name) for name in OWN_TABLES[READS]]))
        return removed.get(table.name, 0)

    def _doubled(self, table: Table) -> Iterator[Doubled]:
        """Yield the queries for rows of *table*, now and of the past, that agree in what tells them apart."""
        columns = self._columns(table.name)
        for name, more in ((table.name, ()), (history_of(table), HISTORY), (snapshots_of(table), SNAPSHOTS)):
            there = self._column_names(name) if columns else []
            names = [one for one in (*(column.name for column in columns), *more) if one in there]
            if not {*more} <= {*there} or not there:
                continue

            def key(side: str, there: Collection[str] = there, more: Collection[str] = more) -> str:
                of_row = self._key_of_old(table, columns, side, there)
                return f"({of_row} || CAST({side}.{SNAPSHOT_DATE} AS TEXT))" if SNAPSHOT_DATE in more else of_row

            yield Doubled(
                name,
                names,
                rows=self._all(name),
                key=key,
                latest=f"t.{sql.name(names_of(columns)[table.cursor])}",
                order=[self._text(column, "t") for column in columns if column.name in there],
                where=f"t.{VALID_TO} IS NULL" if VALID_TO in more else "true",
                versions=(VALID_FROM, VALID_TO) if VALID_TO in more else None,
            )

    def _replace_doubled(self, doubled: Doubled) -> int:
        """Put rows that are chosen in the place of those that agree in their key; return how many fewer there are."""
        beside = f"{FRESH}{doubled.name}"
        if not self._there(beside):
            return 0
        names = sql.listed(map(sql.name, doubled.names))
        table, other = self._name(doubled.name), self._name(beside)
        before = self._size_of(doubled.name)
        self._do(f"INSERT INTO {other} ({names}) {doubled.chosen}")
        if self.rolls_back:
            self._do_removal(table, doubled.replaced_by(other))
            self._do(f"INSERT INTO {table} ({names}) SELECT {names} FROM {other}")
        else:
            listed = sql.listed(f"t.{sql.name(name)}" for name in doubled.names)
            # in one act, where there are no transactions
            rest = f"SELECT {listed} FROM {table} AS t WHERE NOT coalesce({doubled.replaced_by(other)}, false)"
            self._do(f"INSERT INTO {other} ({names}) {rest}")
            self._put_in_place(doubled.name, beside, doubled.names)
        after = self._size_of(doubled.name)
        self._drop_table(beside)
        return before - after

    def _make(self, table: str, columns: Mapping[str, Type], *, by: str | None = None) -> None:  # noqa: ARG002
        """Make a table, its rows *by* a column where the database can keep them so."""
        definitions = sql.listed(self._definition(name, type_) for name, type_ in columns.items())
        self._do(f"CREATE TABLE {self._name(table)} ({definitions})")

    def _definition(self, name: str, type_: Type) -> str:
        """Return what a statement that makes a table says of a column."""
        return f"{sql.name(name)} {self.TYPES[type_]}"

    @property
    def empty(self) -> bool:
        """Whether nothing was ever loaded into the dataset."""
        return not self._there(READS)

    def _there(self, table: str) -> bool:
        return bool(self._column_names(table))

    def _column_names(self, table: str) -> list[str]:
        """Return the columns that a table really has, in their order."""
        found = self._rows(
            f"""SELECT column_name FROM information_schema.columns WHERE table_catalog = current_database()
                AND table_schema = {sql.literal(self.dataset)} AND table_name = {sql.literal(table)}
                ORDER BY ordinal_position"""
        )
        return [name for (name,) in found]

    def _still_there(self, tables: Collection[str]) -> Collection[str]:
        """Return those of *tables* that nobody dropped."""
        found = self._rows(
            f"""SELECT table_name FROM information_schema.tables
                WHERE table_catalog = current_database() AND table_schema = {sql.literal(self.dataset)}"""
        )
        return {name for (name,) in found}.intersection(tables)

    def ledger(self) -> Ledger:
        found = self._rows(
            f"""SELECT run_id, table_name, {self._us("window_start")}, {self._us("window_end")}, part,
                {self._us("read_at")}, "rows", bytes, requests, seconds, lane FROM {self._name(READS)}"""
        )
        there = self._still_there({table for _, table, *_ in found})
        facts = (
            Fact(run, table, _window(start, end), part, _moment(read_at), *numbers)
            for run, table, start, end, part, read_at, *numbers in found
            if table in there
        )
        return Ledger(facts, self._jobs(), self._refusals())

    def doubt(self, latest: datetime) -> int:
        after = f"read_at > {sql.literal(latest)}"
        found = self._number(f"SELECT count(*) FROM {self._name(READS)} WHERE {after}")
        if found:
            with self._transaction():
                self._do(f"UPDATE {self._name(READS)} SET read_at = {sql.literal(IN_DOUBT)} WHERE {after}")
        return found

    def _jobs(self) -> Iterator[Job]:
        if not self._there(JOBS):
            return
        found = self._rows(
            f"""SELECT job_id, table_name, {self._us("window_start")}, {self._us("window_end")},
                {self._us("started_at")}, asked FROM {self._name(JOBS)}"""
        )
        for job_id, table, start, end, started_at, asked in found:
            yield Job(job_id, table, Window(_moment(start), _moment(end)), _moment(started_at), asked)

    def _refusals(self) -> Iterator[Refusal]:
        if not self._there(REFUSALS):
            return
        found = self._rows(
            f"SELECT run_id, table_name, part, {self._us('refused_at')}, reason FROM {self._name(REFUSALS)}"
        )
        for run_id, table, part, at, reason in found:
            yield Refusal(run_id, table, part, _moment(at), reason)

    def keep(self, job: Job) -> None:
        values = (job.job_id, job.table, job.window.start, job.window.end, job.started_at, job.asked)
        # it may be there: where a connection broke, both are done once more
        self._aside(self._strike_out(job), self._insertion(JOBS, values))

    def forget(self, job: Job) -> None:
        self._aside(self._strike_out(job))

    def _strike_out(self, job: Job) -> str:
        return f"DELETE FROM {self._name(JOBS)} WHERE job_id = {sql.literal(job.job_id)}"

    def _aside(self, *statements: str) -> None:
        try:
            with self._aside_lock:
                if self._closed:
                    raise LoadError("The destination is closed.", destination=self._shown)
                self._do_aside(*statements)
        except self.ERRORS as error:
            raise self._refusal(error) from error

    def refuse(self, refusal: Refusal) -> None:
        values = (refusal.run_id, refusal.table, refusal.part, refusal.at, refusal.reason)
        same = f"run_id = {sql.literal(refusal.run_id)} AND table_name = {sql.literal(refusal.table)}"
        with self._transaction(table=refusal.table):
            self._do(f"DELETE FROM {self._name(REFUSALS)} WHERE {same} AND part = {sql.literal(refusal.part)}")
            self._do(self._insertion(REFUSALS, values))

    def columns(self, table: Table) -> tuple[Column, ...]:
        return self._columns(self._called(table))

    def _columns(self, table: str) -> tuple[Column, ...]:
        # what a person dropped is not there any more
        there = {name: place for place, name in enumerate(self._column_names(table))}
        if not there:
            return ()
        columns = [column for column in self._recorded(table) if column.name in there]
        return tuple(sorted(columns, key=lambda column: there[column.name]))

    def _recorded(self, table: str) -> set[Column]:
        """Return the columns that are on record, whether or not a person has dropped them."""
        found = self._rows(
            f"""SELECT column_name, type, source_field, variant FROM {self._name(COLUMNS)}
                WHERE table_name = {sql.literal(table)}"""
        )
        return {Column(name, Type(type_), field, variant) for name, type_, field, variant in found}

    def begin(self, run: Run) -> Sequence[str]:
        others = self._rows(
            f"SELECT DISTINCT connection FROM {self._name(RUNS)} WHERE connection <> {sql.literal(run.connection)}"
        )
        if others:
            raise ConnectionMismatch(
                dataset=self.dataset, destination=self._shown, belongs_to=others[0][0], connection=run.connection
            )
        values = (
            *(run.run_id, run.connection, run.started_at, None, Status.RUNNING, None, None, run.asked),
            *(version("reiterate"), duckdb.__version__),
        )
        self._start(run.run_id)
        with self._transaction():
            self._do(
                f"UPDATE {self._name(RUNS)} SET status = {sql.literal(Status.INTERRUPTED)} "
                f"WHERE status = {sql.literal(Status.RUNNING)}"
            )
            self._do(f"DELETE FROM {self._name(RUNS)} WHERE run_id = {sql.literal(run.run_id)}")
            self._do(self._insertion(RUNS, values))
            for table in self._left_behind():
                self._forget_table(table)
        return [*self._migrate()]

    def _start(self, run_id: str) -> None:
        """Let the destination know which run holds it."""
        self._run_id = run_id

    def renew(self) -> None:  # noqa: B027 (as the contract has it)
        """Nothing is to be renewed where the lock lives as long as its holder."""

    def _left_behind(self) -> list[str]:
        """Return tables that a run began to read anew and did not finish."""
        found = self._rows(f"SELECT DISTINCT table_name FROM {self._name(COLUMNS)}")
        return [name for (name,) in found if name.startswith(FRESH)]

    def finish(self, run: Run) -> None:
        with self._transaction():
            self._do(
                f"""UPDATE {self._name(RUNS)} SET finished_at = {sql.literal(run.finished_at)},
                    status = {sql.literal(run.status)}, "rows" = {sql.literal(run.rows)},
                    message = {sql.literal(run.message)} WHERE run_id = {sql.literal(run.run_id)}"""
            )

    def runs(self, limit: int) -> Sequence[Run]:
        found = self._rows(
            f"""SELECT run_id, connection, {self._us("started_at")}, asked::VARCHAR, {self._us("finished_at")}, status,
                "rows", message FROM {self._name(RUNS)} ORDER BY started_at DESC, run_id DESC LIMIT {limit:d}"""
        )
        return [
            Run(
                run_id,
                connection,
                _moment(started_at),
                asked,
                None if finished_at is None else _moment(finished_at),
                Status(status),
                rows or 0,
                message or "",
            )
            for run_id, connection, started_at, asked, finished_at, status, rows, message in found
        ]

    # ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def load(self, batch: Batch, fact: Fact) -> Outcome:
        table = batch.task.table
        arrived: Outcome | None = self._heard(fact, lambda: self._is_noted(fact))
        if arrived is None:
            with self._transaction(
                self._definitions(batch), self._tables_of(table), table=table.name, part=batch.task.scope
            ):
                new = self._fit(batch, fact.read_at)
                added, changed, removed = self._write(batch)
                if table.name not in self._fresh:
                    self._keep(batch, fact.read_at)
                batch.raw.check_unchanged()
                self._note(fact, self._called(table), added, changed, removed)
                newly_rejected = self._note_rejected(batch, fact)
                arrived = Outcome(added, changed, removed, new, batch.rejected, newly_rejected)
                self._unheard[fact] = arrived
        self._unheard.clear()
        self._brake.went(table, arrived.removed)
        if table.name in self._fresh:
            self._fresh[table.name] += arrived.added - arrived.removed
        return arrived

    def _heard(self, key: object, happened: Callable[[], bool]) -> Any:  # noqa: ANN401 (what was kept)
        """
        Return what the last transaction came to, if it was that of *key* and the destination has it all the same.

        A connection that breaks during a commit says nothing about it; the destination does.
        """
        if key not in self._unheard:
            self._unheard.clear()
            return None
        with self._transaction():
            return self._unheard[key] if happened() else None

    def _is_noted(self, fact: Fact) -> bool:
        """Return whether the ledger has *fact*."""
        bounds = (None, None) if fact.window is None else (fact.window.start, fact.window.end)
        of_part = {"part": fact.part, "window_start": bounds[0], "window_end": bounds[1]}
        same = [
            f"{sql.name(name)} IS NULL" if value is None else f"{sql.name(name)} = {sql.literal(value)}"
            for name, value in of_part.items()
        ]
        same += [
            f"run_id = {sql.literal(fact.run_id)}",
            f"table_name = {sql.literal(f'{FRESH}{fact.table}' if fact.table in self._fresh else fact.table)}",
            f"read_at = {sql.literal(fact.read_at)}",
        ]
        return bool(self._rows(f"SELECT 1 FROM {self._name(READS)} WHERE {sql.listed(same, ' AND ')}"))

    def try_out(self, batch: Batch) -> None:
        table = batch.task.table
        with (
            contextlib.suppress(_Undone),
            self._transaction(
                self._definitions(batch), self._tables_of(table), table=table.name, part=batch.task.scope
            ),
        ):
            self._write(batch)
            if table.name not in self._fresh:
                self._keep(batch, batch.raw.read_at)
            self._check_deferred()
            raise _Undone

    def _check_deferred(self) -> None:  # noqa: B027 (not all check anything later)
        """Let the database check now what it would check at the end of the transaction."""

    def rejected(self, table: Table) -> int:
        if not self._there(REJECTED):
            return 0
        return self._number(f"SELECT count(*) FROM {self._name(REJECTED)} WHERE table_name = {sql.literal(table.name)}")

    def _note_rejected(self, batch: Batch, fact: Fact) -> int:
        """Note the rows of *batch* that were refused, strike out those that are settled; return how many are new."""
        table = fact.table
        if self._tables_with_rejected is None:
            found = self._rows(f"SELECT DISTINCT table_name FROM {self._name(REJECTED)}")
            self._tables_with_rejected = {name for (name,) in found}
        known = self._rejected_before(batch) if table in self._tables_with_rejected else []
        if gone := rejections.settled(batch, known, self._local_rows):
            digests = sql.listed(sql.literal(one.digest) for one in gone)
            of_table = f"table_name = {sql.literal(table)}"
            self._do(f"DELETE FROM {self._name(REJECTED)} WHERE {of_table} AND row_hash IN ({digests})")
        digests_known = {one.digest for one in known}
        new = [row for row in batch.rejected if row.digest not in digests_known]
        if new:
            start, end = (fact.window.start, fact.window.end) if fact.window else (None, None)
            now = datetime.now(UTC)
            rows = ((fact.run_id, table, start, end, fact.part, now, row.reason, row.text, row.digest) for row in new)
            self._do(self._insertion(REJECTED, *rows))
            self._tables_with_rejected.add(table)
        return len(new)

    def _rejected_before(self, batch: Batch) -> list[rejections.OnRecord]:
        """Return the rejected rows on record that may be rows of *batch*."""
        if not self._there(REJECTED):
            return []
        found = self._rows(
            f"SELECT {sql.name('row')}, row_hash FROM {self._name(REJECTED)} WHERE {rejections.in_scope(batch)}"
        )
        return [rejections.OnRecord(*one) for one in found]

    @abstractmethod
    def _local_rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query over those of a batch, by the DuckDB of this process."""

    def _note(self, fact: Fact, called: str, added: int, changed: int, removed: int) -> None:
        """Note *fact*; what was open about its window or part is settled by it."""
        bounds = (None, None) if fact.window is None else (fact.window.start, fact.window.end)
        values = (
            *(fact.run_id, called, fact.part, *bounds, fact.read_at, datetime.now(UTC)),
            *(fact.rows, added, changed, removed, fact.size_bytes, fact.requests, fact.seconds, fact.lane),
            fact.rejected,
        )
        self._do(self._insertion(READS, values))
        of_table = f"table_name = {sql.literal(fact.table)}"
        if fact.window is not None:
            start, end = map(sql.literal, bounds)
            self._do(
                f"DELETE FROM {self._name(JOBS)} WHERE {of_table} AND window_start >= {start} AND window_end <= {end}"
            )
        if fact.part is not None:
            self._do(f"DELETE FROM {self._name(REFUSALS)} WHERE {of_table} AND part = {sql.literal(fact.part)}")

    def _tables_of(self, table: Table) -> tuple[str, ...]:
        """Return the names of all tables that a load of *table* may write to, or look at."""
        return self._called(table), table.name, history_of(table), snapshots_of(table)

    def _definitions(self, batch: Batch) -> Callable[[], None]:
        """Return what makes the tables that *batch* needs, or the columns that they lack."""

        def define() -> None:
            self._widen(batch)
            types = {column.name: column.type for column in batch.columns}
            if batch.task.history:
                self._make_as_wide(history_of(batch.task.table), types | HISTORY)
            if batch.task.snapshots:
                self._make_as_wide(snapshots_of(batch.task.table), types | SNAPSHOTS)

        return define

    def _fit(self, batch: Batch, since: datetime) -> tuple[Column, ...]:
        """Record the columns of the table that is as wide as the batch; return those that are new to one that was."""
        table = self._called(batch.task.table)
        of_table = f"table_name = {sql.literal(table)}"
        recorded = self._recorded(table)
        new = [column for column in batch.columns if column not in recorded]
        if new:
            # a person may have dropped one that is recorded; at once, for each statement costs a warehouse a second
            names = sql.listed(sql.literal(column.name) for column in new)
            self._do(f"DELETE FROM {self._name(COLUMNS)} WHERE {of_table} AND column_name IN ({names})")
            records = ((table, one.field, one.name, one.type, one.variant, since) for one in new)
            self._do(self._insertion(COLUMNS, *records))
        return tuple(new) if recorded else ()

    def _widen(self, batch: Batch) -> None:
        """Make the table, or the columns that it lacks."""
        table = self._called(batch.task.table)
        types = {column.name: column.type for column in batch.columns}
        if not (there := self._column_names(table)):
            if batch.task.table.name in self._fresh:
                raise LoadError(
                    "The table that is read anew is gone; what stands in its place stays as it is.",
                    table=batch.task.table.name,
                    destination=self._shown,
                )
            # a table that a person dropped starts anew; its facts went with it
            for own in (READS, COLUMNS, REFUSALS):
                self._do(f"DELETE FROM {self._name(own)} WHERE table_name = {sql.literal(table)}")
            names = names_of(batch.columns)
            cursor = batch.task.table.cursor
            self._make(table, types, by=names[cursor] if cursor else None)
            self._lay_out(batch.task.table, table, batch.columns, new=True)
            return
        self._add_columns(table, types, there)
        self._lay_out(batch.task.table, table, batch.columns, new=False)

    def _make_as_wide(self, table: str, columns: Mapping[str, Type]) -> None:
        """Give a table those of *columns* that it lacks; make it if it is not there."""
        if there := self._column_names(table):
            self._add_columns(table, columns, there)
        else:
            self._make(table, columns)

    def _add_columns(self, table: str, columns: Mapping[str, Type], there: Collection[str]) -> None:
        for name, type_ in columns.items():
            if name not in there:
                self._add_column(table, name, type_)

    def _add_column(self, table: str, name: str, type_: Type) -> None:
        self._do(f"ALTER TABLE {self._name(table)} ADD COLUMN {sql.name(name)} {self.TYPES[type_]}")

    def _write(self, batch: Batch) -> tuple[int, int, int]:
        """Return how many rows were added, changed and removed."""
        if not batch.source_rows and batch.task.write is not Write.REPLACE:
            return 0, 0, 0
        if self._occupied(batch):
            if batch.supposed:
                raise LoadError("Rows that are supposed to be new may be there.", table=batch.task.table.name)
            return self._rewrite(batch)
        added = self._append(batch)
        if batch.new and added != batch.source_rows:
            raise LoadError(
                "A load has another number of rows than were read.",
                table=batch.task.table.name,
                rows=batch.source_rows,
                loaded=added,
            )
        return added, 0, 0

    def _rewrite(self, batch: Batch) -> tuple[int, int, int]:
        """Merge the rows of *batch* into its scope, or put them in the place of what is there."""
        scope, removed = self._bounds(batch), 0
        replaces = batch.task.write is Write.REPLACE
        with self._recognised(batch, again=replaces) as staged:
            if replaces:
                removed = self._let_rows_go(batch, f"{scope} AND {self._gone(batch, staged)}")
            elif told := self._told_anew(batch, staged):
                removed = self._do_removal(self._name(self._called(batch.task.table)), told)
            return *self._merge(batch, staged, scope), removed

    @contextlib.contextmanager
    def _recognised(self, batch: Batch, *, again: bool = False) -> Iterator[str]:
        """Hand out the rows of *batch* as :meth:`_staged` does, each event under the id that it is stored under."""
        with self._staged(batch, again=again) as staged:
            if self._lacks_stored(batch, staged):
                self._rename(self._renamed(batch, staged), staged)
            yield staged

    def _lacks_stored(self, batch: Batch, staged: str) -> bool:
        """Return whether events are stored that a window's answer, *staged*, does not have under their id."""
        return people.may_be_renamed(batch) and bool(self._rows(self._renamed(batch, staged).unlisted))

    def _renamed(self, batch: Batch, staged: str) -> people.Renamed:
        """Return the queries for the events of *batch* that are stored under another id."""
        window = batch.task.scope
        if not isinstance(window, Window):
            raise TypeError(window)
        return people.Renamed(
            batch,
            stored=self._touchable(batch),
            there=self._column_names(self._called(batch.task.table)),
            staged=staged,
            bounds=self._bounds(batch),
            within=lambda instant: within(window, instant),
            text=self._text,
        )

    def _rename(self, renamed: people.Renamed, staged: str) -> None:
        """Let the rows of *staged*, which is a table, have the ids that their events are stored under."""
        self._do(
            f"UPDATE {staged} AS x SET {people.ID} = p.stored FROM ({renamed.pairs}) AS p "
            f"WHERE x.{people.ID} = p.answered"
        )

    def _text(self, column: Column, side: str) -> str:
        """Return the expression of a value as text; null for null."""
        return f"CAST({keys.qualified(column.name, side)} AS TEXT)"

    def _told_anew(self, batch: Batch, staged: str) -> str:
        """
        Return the condition that an older version wrote a row ``t``, without a ``_content_id``, that *staged* has.

        It is empty where no row is told apart by its content.
        """
        content = next((sql.name(one.name) for one in batch.columns if one.tells_content), "")
        if not content:
            return ""
        (nameless,) = self._key(batch.task.table, batch.columns, "t")
        stored, listed = (self._all_of(batch.columns, side) for side in ("t", "s"))
        twin = f"SELECT 1 FROM {staged} AS s WHERE {stored} = {listed} AND s.{content} IS NOT NULL"
        return f"({nameless} IS NULL AND EXISTS ({twin}))"

    def _written_before(self, batch: Batch, table: str, there: Collection[str]) -> str:
        """Return a further condition on rows ``s``: that no older version wrote them, without a ``_content_id``."""
        content = next((sql.name(one.name) for one in batch.columns if one.tells_content), "")
        if not content:
            return ""
        (nameless,) = self._key(batch.task.table, batch.columns, "t", there)
        stored, listed = (self._all_of(batch.columns, side, there) for side in ("t", "s"))
        twin = f"SELECT 1 FROM {table} AS t WHERE {stored} = {listed} AND {nameless} IS NULL"
        return f" AND NOT (s.{content} IS NOT NULL AND EXISTS ({twin}))"

    def _all_of(self, columns: Collection[Column], side: str, there: Collection[str] | None = None) -> str:
        """Return the expression of all that a row holds, but for its ``_content_id``."""
        texts = (
            f"coalesce('=' || {self._text(column, side)}, '')"
            for column in columns
            if not column.tells_content and (there is None or column.name in there)
        )
        joined = sql.listed(texts, " || ',' || ")
        return f"({joined})"

    def _key_of_old(
        self, table: Table, columns: Collection[Column], side: str, there: Collection[str] | None = None
    ) -> str:
        """Return what tells a row apart, also if an older version wrote it without a ``_content_id``."""
        (key,) = self._key(table, columns, side, there)
        return f"coalesce({key}, '?' || {self._all_of(columns, side, there)})"

    def _gone(self, batch: Batch, staged: str) -> str:
        """Return the condition that a row ``t`` of the destination is not among those of *staged*."""
        # what is stored of rows that are refused now stays
        spared = [f"NOT coalesce({rejections.is_row(batch, row.text, 't')}, false)" for row in batch.rejected]
        return sql.listed([f"NOT EXISTS (SELECT 1 FROM {staged} AS s WHERE {self._same(batch)})", *spared], " AND ")

    def _let_rows_go(self, batch: Batch, condition: str) -> int:
        """Remove the rows ``t`` of the batch's scope that fulfil *condition*, if the brake allows; return how many."""
        table = self._name(self._called(batch.task.table))
        if self.rolls_back:
            removed = self._do_removal(table, condition)
            self._hold(batch, removed, gone_already=removed)
            return removed
        self._hold(batch, self._number(f"SELECT count(*) FROM {table} AS t WHERE {condition}"))
        return self._do_removal(table, condition)

    def _hold(self, batch: Batch, gone: int, *, gone_already: int = 0) -> None:
        """
        Ask the brake whether *gone* rows of the batch's scope may go; *gone_already* of them went in this transaction.

        :raises MostRowsGone: when they may not
        """
        table, scope = batch.task.table, batch.task.scope
        if self._brake.may_hold(table, gone):
            rows = self._number(f"SELECT count(*) FROM {self._touchable(batch)} AS t WHERE {self._bounds(batch)}")
            self._brake.hold(
                table,
                gone,
                of_table=lambda: self._size_of(self._called(table)) + gone_already,
                losses=[(rows + gone_already, gone)],
                part=scope if isinstance(scope, Part) else None,
            )

    def _size_of(self, table: str) -> int:
        return self._number(f"SELECT count(*) FROM {self._all(table)} AS t")

    def accept(self, accepted: Mapping[str, Collection[int]]) -> None:
        self._brake = Brake(accepted)

    def rehearse(self, batch: Batch) -> None:
        if batch.task.write is Write.REPLACE and self.columns(batch.task.table):
            with self._staged(batch, again=True) as staged:
                gone = f"{self._bounds(batch)} AND {self._gone(batch, staged)}"
                self._hold(batch, self._number(f"SELECT count(*) FROM {self._touchable(batch)} AS t WHERE {gone}"))

    def _merge(self, batch: Batch, staged: str, scope: str) -> tuple[int, int]:
        """Add the rows of *staged* or let them replace their like in *scope*; return how many were added, changed."""
        found = f"{scope} AND {self._same(batch)}"
        changed = self._do(self._update_of(batch, staged, found))
        added = self._do(self._insertion_of(batch, staged, self._missing_from(batch, found)))
        return added, changed

    def _occupied(self, batch: Batch) -> bool:
        """Whether rows are there that the batch could touch; else there is nothing to merge with."""
        return bool(self._rows(f"SELECT 1 FROM {self._touchable(batch)} AS t WHERE {self._bounds(batch)} LIMIT 1"))

    def _touchable(self, batch: Batch) -> str:
        """Return the table expression of the rows that *batch* could touch, and perhaps others."""
        return self._all(self._called(batch.task.table))

    def _insertion_of(self, batch: Batch, staged: str, condition: str = "true") -> str:
        """Return the statement that adds those rows ``s`` of *staged* that fulfil *condition*."""
        names = [sql.name(name) for name in names_in(batch)]
        return (
            f"INSERT INTO {self._name(self._called(batch.task.table))} ({sql.listed(names)}) "
            f"SELECT {sql.listed(f's.{name}' for name in names)} FROM {staged} AS s WHERE {condition}"
        )

    def _update_of(self, batch: Batch, staged: str, found: str) -> str:
        """Return the statement that changes rows ``t`` to the rows ``s`` of *staged* for which *found* holds."""
        changes = sql.listed(f"{name} = s.{name}" for name in map(sql.name, names_in(batch)))
        return (
            f"UPDATE {self._name(self._called(batch.task.table))} AS t SET {changes} "
            f"FROM {staged} AS s WHERE {found} AND {self._differs(batch)}"
        )

    def _merger_of(self, batch: Batch, staged: str, found: str) -> str:
        """Return the statement that does both at once."""
        names = [sql.name(name) for name in names_in(batch)]
        return (
            f"MERGE INTO {self._name(self._called(batch.task.table))} AS t USING {staged} AS s ON {found} "
            f"WHEN MATCHED AND {self._differs(batch)} "
            f"THEN UPDATE SET {sql.listed(f'{name} = s.{name}' for name in names)} "
            f"WHEN NOT MATCHED THEN INSERT ({sql.listed(names)}) VALUES ({sql.listed(f's.{name}' for name in names)})"
        )

    def _missing_from(self, batch: Batch, found: str) -> str:
        """Return the condition that no row ``t`` is there for which *found* holds."""
        return f"NOT EXISTS (SELECT 1 FROM {self._name(self._called(batch.task.table))} AS t WHERE {found})"

    def _differs(self, batch: Batch) -> str:
        """
        Return the condition that row ``s`` of the batch changes row ``t`` of the destination.

        No row takes the place of one with a later replication key: windows may be loaded in any order. Events keep
        theirs, to the second.
        """
        changed = sql.listed(map(self._differs_in, batch.columns), separator=" OR ")
        if batch.task.table.cursor is None or isinstance(batch.task.table.identity, ByEvent):
            return f"({changed})"
        cursor = cursor_of(batch)
        return f"({changed}) AND (s.{cursor} >= t.{cursor} OR s.{cursor} IS NULL OR t.{cursor} IS NULL)"

    def _differs_in(self, column: Column, left: str = "s", right: str = "t") -> str:
        name = sql.name(column.name)
        return f"{left}.{name} IS DISTINCT FROM {right}.{name}"

    def _bounds(self, batch: Batch) -> str:
        """Return the condition on ``t`` that every row of the destination fulfils that the batch could touch."""
        scope = batch.task.scope
        if isinstance(scope, Part):
            return f"t.{sql.name(names_of(batch.columns)[scope.field])} = {sql.literal(scope.value)}"
        if isinstance(scope, Window) and batch.cursor_range and not batch.first_of:
            # events keep their second: the cost of a merge depends on the window, not on the table
            return f"t.{cursor_of(batch)} BETWEEN {seconds_of(batch.cursor_range)}"
        return "true"

    def _same(self, batch: Batch, there: Collection[str] | None = None) -> str:
        """
        Return the condition that a row ``s`` of the batch is the row ``t`` of the destination.

        *there* are the names of the columns that the destination has, if it may lack some of the batch's.
        """
        return self._same_row(batch.task.table, batch.columns, "t", "s", there)

    def _same_row(
        self, table: Table, columns: Collection[Column], left: str, right: str, there: Collection[str] | None = None
    ) -> str:
        """Return the condition that rows of *left*, which has the columns *there*, and *right* are the same row."""
        pairs = zip(self._key(table, columns, left, there), self._key(table, columns, right), strict=True)
        match table.identity:
            case ByEvent():
                return sql.listed((f"{one} = {other}" for one, other in pairs), " AND ")
            case ByFirst():
                return sql.listed((self._same_first(*pair) for pair in pairs), " AND ")
            case ByFields():
                return sql.listed((self._same_value(*pair) for pair in pairs), " AND ")
            case _:
                assert_never(table.identity)

    def _key(
        self, table: Table, columns: Collection[Column], side: str, there: Collection[str] | None = None
    ) -> list[str]:
        """Return the expressions that tell the rows of *side* apart, see :func:`reiterate.sinks.keys.key`."""
        return keys.key(table, columns, side, self._text, there)

    def retain(self, table: Table, parts: Collection[Part]) -> int:
        there = self.columns(table)
        if not there:
            return 0
        gone = _not_among(parts, there)
        names = sql.listed(sql.literal(str(part.value)) for part in parts) or "''"
        with self._transaction(
            lambda: self._widen_others(table, there), (history_of(table), snapshots_of(table)), table=table.name
        ):
            going = self._hold_parts(table, there, gone)
            # the facts of rows go with the rows
            of_table = f"table_name = {sql.literal(table.name)}"
            self._do(f"DELETE FROM {self._name(READS)} WHERE {of_table} AND part NOT IN ({names})")
            removed = self._remove(table.name, gone) if going else 0
            now = datetime.now(UTC)
            if removed and self._there(history_of(table)):
                self._keep_history(table, there, Kept(now, gone=True))
            if removed and self._there(snapshots_of(table)):
                self._keep_snapshot(table, there, Kept(now))
        self._brake.went(table, removed)
        return removed

    def rehearse_retain(self, table: Table, parts: Collection[Part]) -> int:
        there = self.columns(table)
        return self._hold_parts(table, there, _not_among(parts, there)) if there else 0

    def _hold_parts(self, table: Table, columns: Collection[Column], condition: str) -> int:
        """
        Ask the brake whether whole parts may go, the rows ``t`` that fulfil *condition*; return how many rows.

        :raises MostRowsGone: when they may not
        """
        field = _part_field(table)
        part = "NULL" if field is None else f"t.{sql.name(names_of(columns)[field])}"
        found = self._rows(f"SELECT {part}, count(*) FROM {self._all(table.name)} AS t WHERE {condition} GROUP BY 1")
        sizes = [int(rows) for _, rows in found]
        self._brake.hold(
            table, sum(sizes), of_table=lambda: self._size_of(table.name), losses=[(rows, rows) for rows in sizes]
        )
        return sum(sizes)

    def _widen_others(self, table: Table, columns: Collection[Column]) -> None:
        """Let history and snapshots, where they are kept, have all columns of their table."""
        types = {column.name: column.type for column in columns}
        for other, more in ((history_of(table), HISTORY), (snapshots_of(table), SNAPSHOTS)):
            if self._there(other):
                self._make_as_wide(other, types | more)

    def _remove(self, table: str, condition: str) -> int:
        """Remove the rows of which *condition* is true; return how many."""
        return self._do_removal(self._name(table), condition)

    def state(self, table: Table) -> TableState | None:
        columns = names_of(self.columns(table))
        if not columns:
            return None
        newest = self._us(f"max({sql.name(columns[table.cursor])})") if table.cursor else "NULL"
        ((rows, newest_us),) = self._rows(f"SELECT count(*), {newest} FROM {self._all(table.name)} AS t")
        return TableState(rows, None if newest_us is None else _moment(newest_us))

    # ── a table that is read anew ────────────────────────────────────────────────────────────────────────────────────

    def _called(self, table: Table) -> str:
        """Return the name of the table that rows of *table* go to now."""
        return f"{FRESH}{table.name}" if table.name in self._fresh else table.name

    def refresh(self, table: Table) -> None:
        columns = self.columns(table)
        if not columns:
            return
        fresh = f"{FRESH}{table.name}"

        def define() -> None:
            # what a process left that died while it dropped it
            self._drop_table(fresh)
            self._make(fresh, {column.name: column.type for column in columns})
            self._lay_out(table, fresh, columns, new=True)

        with self._transaction(define, (fresh,), table=table.name):
            names = sql.listed(map(sql.name, OWN_TABLES[COLUMNS]))
            copied = names.replace(sql.name("table_name"), sql.literal(fresh))
            self._do(
                f"INSERT INTO {self._name(COLUMNS)} ({names}) SELECT {copied} FROM {self._name(COLUMNS)} "
                f"WHERE table_name = {sql.literal(table.name)}"
            )
        self._fresh[table.name] = 0

    def swap(self, table: Table) -> tuple[int, int]:
        if table.name not in self._fresh:
            return 0, 0
        fresh, at = f"{FRESH}{table.name}", datetime.now(UTC)
        columns = self._columns(fresh)
        of_table = f"table_name = {sql.literal(table.name)}"

        def define() -> None:
            self._make_as_wide(table.name, {column.name: column.type for column in columns})
            self._widen_others(table, columns)

        if (swapped := self._heard((fresh, "swap"), lambda: not self._there(fresh))) is not None:
            return self._swapped(table, *swapped)
        before = self._number(f"SELECT count(*) FROM {self._all(table.name)} AS t")
        with self._transaction(define, (fresh, *self._tables_of(table)), table=table.name):
            after = self._proved(table)
            gone = self._hold_swap(table, columns, before)
            self._put_in_place(table.name, fresh, [column.name for column in columns])
            for own in (READS, COLUMNS):
                self._do(f"DELETE FROM {self._name(own)} WHERE {of_table}")
                self._do(f"UPDATE {self._name(own)} SET {of_table} WHERE table_name = {sql.literal(fresh)}")
            if self._there(history_of(table)):
                self._keep_history(table, columns, Kept(at, gone=True))
            if self._there(snapshots_of(table)):
                self._keep_snapshot(table, columns, Kept(at))
            self._forget_table(fresh)
            swapped = self._unheard[fresh, "swap"] = before, after, gone
        return self._swapped(table, *swapped)

    def _swapped(self, table: Table, before: int, after: int, gone: int) -> tuple[int, int]:
        self._unheard.clear()
        self._brake.went(table, gone)
        del self._fresh[table.name]
        return before, after

    def _proved(self, table: Table) -> int:
        """
        Return how many rows were read anew.

        :raises LoadError: when they are not those that this process has loaded: somebody else made or changed the table
        """
        found, loaded = (
            self._number(f"SELECT count(*) FROM {self._all(self._called(table))} AS t"),
            self._fresh[table.name],
        )
        # without transactions, what a load that failed has left is there, too, and was merged with
        if found < loaded or (found > loaded and self.rolls_back):
            raise LoadError(
                "The table that was read anew does not hold what was loaded; the old one stays.",
                hint="Run the sync with --full-refresh again, when no other sync runs.",
                table=table.name,
                destination=self._shown,
                loaded=loaded,
                found=found,
            )
        return found

    def _hold_swap(self, table: Table, columns: Collection[Column], rows: int) -> int:
        """
        Ask the brake whether those of *rows* may go that were not read again; return how many.

        :raises MostRowsGone: when they may not
        """
        if not self._brake.may_hold(table, rows):
            return 0
        same = self._same_row(table, columns, "t", "s")
        again = f"SELECT 1 FROM {self._all(f'{FRESH}{table.name}')} AS s WHERE {same}"
        gone = self._number(f"SELECT count(*) FROM {self._all(table.name)} AS t WHERE NOT EXISTS ({again})")
        self._brake.hold(table, gone, of_table=lambda: rows, losses=[(rows, gone)])
        return gone

    def _put_in_place(self, table: str, fresh: str, columns: Collection[str]) -> None:
        """Let the rows of *fresh* take the place of those of *table*: views, rights and columns of people stay."""
        names = sql.listed(map(sql.name, columns))
        self._do(f"DELETE FROM {self._name(table)} WHERE true")
        self._do(f"INSERT INTO {self._name(table)} ({names}) SELECT {names} FROM {self._name(fresh)}")

    def drop(self, table: Table) -> None:
        with self._transaction(table=table.name):
            self._forget_table(table.name)

    def _forget_table(self, table: str) -> None:
        self._drop_table(table)
        for own in (READS, COLUMNS, REFUSALS, JOBS, REJECTED):
            self._do(f"DELETE FROM {self._name(own)} WHERE table_name = {sql.literal(table)}")

    def _drop_table(self, table: str) -> None:
        self._do(f"DROP TABLE IF EXISTS {self._name(table)}")

    # ── what rows were ───────────────────────────────────────────────────────────────────────────────────────────────

    def _keep(self, batch: Batch, at: datetime) -> None:
        """Keep, where it is wanted, what the rows were before and are now."""
        task = batch.task
        if not task.history and not task.snapshots:
            return
        part = task.scope if isinstance(task.scope, Part) else None
        kept = Kept(at, self._bounds(batch), part, gone=task.write is Write.REPLACE)
        if task.history:
            if isinstance(task.scope, Window) and batch.cursor_range:
                # what the batch has changed lies in its time now
                kept = replace(kept, scope=f"t.{cursor_of(batch)} BETWEEN {seconds_of(batch.cursor_range)}")
            self._keep_history(task.table, batch.columns, kept)
        if task.snapshots:
            self._keep_snapshot(task.table, batch.columns, kept)

    def _keep_history(self, table: Table, columns: Collection[Column], kept: Kept) -> None:
        """End the versions of rows in the scope that are others now (or gone), and begin those that they are now."""
        now, history, moment = self._name(table.name), self._name(history_of(table)), sql.literal(kept.at)
        same = self._same_row(table, columns, "h", "t")
        names = [sql.name(column.name) for column in columns]
        is_open = f"h.{sql.name(VALID_TO)} IS NULL"
        other = f"{same} AND {is_open} AND ({self._differ(columns, 'h', 't')})"
        ended = [f"EXISTS (SELECT 1 FROM {now} AS t WHERE {kept.scope} AND {other})"]
        if kept.gone:
            ended.append(f"{kept.of('h')} AND NOT EXISTS (SELECT 1 FROM {now} AS t WHERE {same})")
        ended += self._versions_before(table, columns, kept, now)
        for condition in ended:
            self._do(f"UPDATE {history} AS h SET {sql.name(VALID_TO)} = {moment} WHERE {is_open} AND {condition}")
        self._do(
            f"INSERT INTO {history} ({sql.listed([*names, sql.name(VALID_FROM)])}) "
            f"SELECT {sql.listed(f't.{name}' for name in names)}, {moment} FROM {now} AS t WHERE {kept.scope} "
            f"AND NOT EXISTS (SELECT 1 FROM {history} AS h WHERE {is_open} AND {same})"
        )

    def _versions_before(self, table: Table, columns: Collection[Column], kept: Kept, now: str) -> list[str]:
        """
        Return the condition that an older version began a version ``h``, without a ``_content_id``, of a row of *now*.

        There is none where no row is told apart by its content.
        """
        content = next((sql.name(one.name) for one in columns if one.tells_content), "")
        if not content:
            return []
        (nameless,) = self._key(table, columns, "h")
        version, row = (self._all_of(columns, side) for side in ("h", "t"))
        twin = f"SELECT 1 FROM {now} AS t WHERE {kept.scope} AND {version} = {row} AND t.{content} IS NOT NULL"
        return [f"{nameless} IS NULL AND EXISTS ({twin})"]

    def _keep_snapshot(self, table: Table, columns: Collection[Column], kept: Kept) -> None:
        """Let the snapshot of the day hold the rows of the scope as they are now."""
        now, snapshots = self._name(table.name), self._name(snapshots_of(table))
        names = sql.listed(sql.name(column.name) for column in columns)
        self._do(f"DELETE FROM {snapshots} AS t WHERE t.{sql.name(SNAPSHOT_DATE)} = {kept.day} AND {kept.scope}")
        self._do(
            f"INSERT INTO {snapshots} ({names}, {sql.name(SNAPSHOT_DATE)}) "
            f"SELECT {names}, {kept.day} FROM {now} AS t WHERE {kept.scope}"
        )

    def _differ(self, columns: Collection[Column], left: str, right: str) -> str:
        """Return the condition that two versions of a row are not the same."""
        return sql.listed((self._differs_in(column, left, right) for column in columns), " OR ")

    # ── looking back ─────────────────────────────────────────────────────────────────────────────────────────────────

    def changes(self, table: Table) -> Sequence[Change]:
        found = self._rows(
            f"""SELECT {self._us("window_start")}, {self._us("window_end")}, part, added - removed
                FROM {self._name(READS)} WHERE table_name = {sql.literal(table.name)}"""
        )
        field = _part_field(table)
        return [
            Change(_window(start, end), None if part is None or field is None else Part(field, part), rows)
            for start, end, part, rows in found
        ]

    def count(self, table: Table, scope: Window | Part) -> int:
        columns = {field: sql.name(name) for field, name in names_of(self.columns(table)).items()}
        match scope:
            case Window():
                where = within(scope, columns[table.cursor])
            case Part(field, value):
                where = f"{columns[field]}::VARCHAR = {sql.literal(str(value))}"
        return self._number(f"SELECT count(*) FROM {self._all(table.name)} AS t WHERE {where}")

    def doubles(self, table: Table) -> int:
        columns = self.columns(table)
        key = [self._key_of_old(table, columns, "t")] if isinstance(table.identity, ByFirst) else []
        key = key or self._key(table, columns, "t")
        return self._number(
            f"""SELECT (SELECT count(*) FROM {self._all(table.name)} AS t)
                - (SELECT count(*) FROM (SELECT DISTINCT {sql.listed(key)} FROM {self._all(table.name)} AS t) AS d)"""
        )

    def compare(self, batch: Batch) -> tuple[int, int]:
        table, scope = self._all(batch.task.table.name), batch.task.scope
        columns = self._column_names(batch.task.table.name)
        same, old = self._same(batch, there=columns), self._written_before(batch, table, columns)
        known = [
            f"NOT coalesce({rejections.is_row(batch, one.text, 's')}, false)" for one in self._rejected_before(batch)
        ]
        with self._recognised(batch, again=True) as staged:
            missing = self._number(
                f"""SELECT count(*) FROM {staged} AS s WHERE {sql.listed(known, " AND ") or "true"} AND
                    NOT EXISTS (SELECT 1 FROM {table} AS t WHERE {same}){old}"""
            )
            if not isinstance(scope, Window):
                return missing, 0
            only_here = self._number(
                f"""SELECT count(*) FROM {table} AS t WHERE {within(scope, f"t.{cursor_of(batch)}")}
                    AND NOT EXISTS (SELECT 1 FROM {staged} AS s WHERE {same})"""
            )
        return missing, only_here

    @property
    def spool(self) -> Path:
        return self._raw_files.path if self._raw_files else self._spools / self._run_id

    def _make_spool(self) -> None:
        self._raw_files = RawFiles(self._spools, self._run_id)

    def close(self) -> None:
        """Let go of the destination, once no thread is noting anything; who comes later is refused."""
        with self._aside_lock:
            self._closed = True
            try:
                self._let_go()
            finally:
                if self._raw_files:
                    self._raw_files.remove()
                    self._raw_files = None

    # ── the database ─────────────────────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def _transaction(
        self,
        define: Callable[[], None] | None = None,
        tables: Collection[str] = (),
        **facts: Any,  # noqa: ANN401 (passed on to the error)
    ) -> Iterator[None]:
        """
        Keep all that happens inside, or nothing of it; what the database refuses is a LoadError.

        What is to be defined first is that of *tables*; inside, no others are looked at.
        """
        try:
            with self._defined(define or _nothing, tables):
                yield
        except self.ERRORS as error:
            raise self._refusal(error, **facts) from error

    def _refusal(self, error: Exception, **facts: Any) -> LoadError:  # noqa: ANN401 (passed on to the error)
        """Return what becomes of an error of the database."""
        refused = RowsRefused if self._refuses_data(error) else LoadError
        return refused(destination=self._shown, **facts, reason=self._reason(error))

    @abstractmethod
    def _refuses_data(self, error: Exception) -> bool:
        """Return whether the database refuses rows for their data."""

    @contextlib.contextmanager
    def _defined(self, define: Callable[[], None], tables: Collection[str]) -> Iterator[None]:  # noqa: ARG002
        """Define tables in the transaction, for those whose definitions are part of one."""
        with self._atomic():
            define()
            yield

    def _name(self, table: str) -> str:
        return f"{self._schema}.{sql.name(table)}"

    def _all(self, table: str) -> str:
        """Return the table expression of all rows of *table*."""
        return self._name(table)

    def _number(self, query: str) -> int:
        ((number,),) = self._rows(query)
        return int(number)

    def _insertion(self, table: str, *rows: Collection[object]) -> str:
        """Return the statement that adds *rows* to a table of our own."""
        names = sql.listed(map(sql.name, OWN_TABLES[table]))
        values = sql.listed(f"({sql.listed(map(sql.literal, row))})" for row in rows)
        return f"INSERT INTO {self._name(table)} ({names}) VALUES {values}"


def _nothing() -> None:
    """Define nothing."""


def first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:300]


def names_of(columns: Collection[Column]) -> dict[str | None, str]:
    """Return the first column of each field, by the field."""
    return {column.field: column.name for column in columns if not column.variant}


def history_of(table: Table) -> str:
    return f"{table.name}_history"


def snapshots_of(table: Table) -> str:
    return f"{table.name}_snapshots"


def cursor_of(batch: Batch) -> str:
    return sql.name(names_of(batch.columns)[batch.task.table.cursor])


def names_in(batch: Batch) -> list[str]:
    return [column.name for column in batch.columns]


def seconds_of(instants: tuple[datetime, datetime]) -> str:
    """Return the bounds of the whole seconds from the first to the last of two instants, both included."""
    first, last = instants[0].replace(microsecond=0), instants[1].replace(microsecond=999_999)
    return f"{sql.literal(first)} AND {sql.literal(last)}"


def within(window: Window, instant: str) -> str:
    return f"({instant} >= {sql.literal(window.start)} AND {instant} < {sql.literal(window.end)})"


def _not_among(parts: Collection[Part], columns: Collection[Column]) -> str:
    """Return the condition that a row ``t`` belongs to none of *parts*."""
    names = names_of(columns)
    values = sql.listed(sql.literal(part.value) for part in parts)
    fields = sorted({part.field for part in parts})
    return " AND ".join(f"t.{sql.name(names[field])} NOT IN ({values})" for field in fields) or "true"


def _part_field(table: Table) -> str | None:
    """Return the field that says which part of its table a row belongs to."""
    match table.read:
        case ListMembers(_, parameter):
            return parameter
        case KeyedValues():
            return "table"
        case PerParent(field=field, parts=True):
            return field
        case _:
            return None


def _moment(epoch_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=epoch_us)


def _window(start_us: int | None, end_us: int | None) -> Window | None:
    return None if start_us is None or end_us is None else Window(_moment(start_us), _moment(end_us))
