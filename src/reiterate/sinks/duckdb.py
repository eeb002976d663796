"""The embedded destination: the relation goes straight into a DuckDB file, in one transaction with its fact."""

from __future__ import annotations

import contextlib
import shutil
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from threading import Lock
from typing import TYPE_CHECKING, Any

import duckdb

from reiterate import sql
from reiterate.catalog.model import ByEvent, ByFirst, KeyedValues, ListMembers, Type
from reiterate.errors import ConnectionMismatch, DestinationBusy, LoadError, SettingsError
from reiterate.flow import Column, Job, Part, Status, Write
from reiterate.ledger import Fact, Ledger, Refusal
from reiterate.sinks.contract import Change, Outcome, Run, TableState
from reiterate.windows import Window

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from reiterate.catalog.model import Table
    from reiterate.flow import Batch

CONFIG: dict[str, str | bool | int | float | list[str]] = {"memory_limit": "300MB", "preserve_insertion_order": "false"}

WIDE = 100
"""More columns are written by one thread: what several have under way does not fit into the memory."""

SLICE_BYTES = 100_000_000
"""So much of a file at a time is merged into a wide table."""

STAGED = "staged"

RUNS, READS, COLUMNS = "_reiterate_runs", "_reiterate_reads", "_reiterate_columns"
JOBS, REFUSALS = "_reiterate_jobs", "_reiterate_refusals"

OWN_TABLES = {
    RUNS: """
        run_id VARCHAR, connection VARCHAR, started_at TIMESTAMPTZ, finished_at TIMESTAMPTZ, status VARCHAR,
        "rows" BIGINT, message VARCHAR, asked JSON, reiterate_version VARCHAR, duckdb_version VARCHAR""",
    READS: """
        run_id VARCHAR, table_name VARCHAR, part VARCHAR, window_start TIMESTAMPTZ, window_end TIMESTAMPTZ,
        read_at TIMESTAMPTZ, loaded_at TIMESTAMPTZ, "rows" BIGINT, added BIGINT, changed BIGINT, removed BIGINT,
        bytes BIGINT, requests BIGINT, seconds DOUBLE, lane VARCHAR""",
    COLUMNS: """
        table_name VARCHAR, source_field VARCHAR, column_name VARCHAR, type VARCHAR, variant BOOLEAN,
        since TIMESTAMPTZ""",
    JOBS: """
        job_id BIGINT, table_name VARCHAR, window_start TIMESTAMPTZ, window_end TIMESTAMPTZ, started_at TIMESTAMPTZ,
        asked VARCHAR""",
    REFUSALS: """
        run_id VARCHAR, table_name VARCHAR, part VARCHAR, refused_at TIMESTAMPTZ, reason VARCHAR""",
}
"""Names and columns are a contract with people's warehouses."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class DuckDBSink:
    """
    A schema of a DuckDB file; see :class:`reiterate.sinks.Sink` for what each method promises.

    DuckDB lets one process at a time open a file for writing, so runs cannot interleave.

    A sink that is *read_only* only tells what is there.

    :raises SettingsError: when the file cannot be opened, or is no database
    :raises DestinationBusy: when another process has it open
    """

    def __init__(self, path: Path, dataset: str, *, read_only: bool = False) -> None:
        self.path = path
        self.dataset = dataset
        self._database = _open(path, read_only=read_only)
        self._read_only = read_only
        self._aside_lock = Lock()
        # a schema may be called like its file, as iterable in iterable.duckdb: only the whole path is clear then
        ((catalog,),) = self._rows("SELECT current_database()")
        self._schema = f"{sql.name(catalog)}.{sql.name(dataset)}"
        if read_only:
            return
        with self._transaction():
            self._database.execute(f"CREATE SCHEMA IF NOT EXISTS {self._schema}")
            for table, definition in OWN_TABLES.items():
                self._database.execute(f"CREATE TABLE IF NOT EXISTS {self._name(table)} ({definition})")
        # whoever wrote there is dead: the file's lock is ours
        shutil.rmtree(self.spool, ignore_errors=True)
        try:
            self.spool.mkdir()
        except OSError as error:
            self._database.close()
            raise SettingsError(
                "The directory for raw files cannot be made.",
                hint="It stands beside the destination; remove what is in its place.",
                directory=self.spool,
                reason=error.strerror,
            ) from error

    @property
    def spool(self) -> Path:
        return self.path.with_name(f"{self.path.name}.spool")

    def close(self) -> None:
        if not self._read_only:
            shutil.rmtree(self.spool, ignore_errors=True)
        self._database.close()

    @property
    def empty(self) -> bool:
        """Whether nothing was ever loaded into the dataset."""
        return not self._there(READS)

    def _there(self, table: str) -> bool:
        found = """SELECT 1 FROM duckdb_tables()
            WHERE database_name = current_database() AND schema_name = ? AND table_name = ?"""
        return bool(self._rows(found, self.dataset, table))

    # ── facts ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def ledger(self) -> Ledger:
        found = self._rows(
            f"""SELECT run_id, table_name, {_us("window_start")}, {_us("window_end")}, part, {_us("read_at")}, "rows",
                bytes, requests, seconds, lane FROM {self._name(READS)}
                WHERE table_name IN (SELECT table_name FROM duckdb_tables()
                    WHERE database_name = current_database() AND schema_name = ?)""",
            self.dataset,
        )
        facts = (
            Fact(run, table, _window(start, end), part, _moment(read_at), *numbers)
            for run, table, start, end, part, read_at, *numbers in found
        )
        return Ledger(facts, self._jobs(), self._refusals())

    def _jobs(self) -> Iterator[Job]:
        if not self._there(JOBS):
            return
        found = self._rows(
            f"""SELECT job_id, table_name, {_us("window_start")}, {_us("window_end")}, {_us("started_at")}, asked
                FROM {self._name(JOBS)}"""
        )
        for job_id, table, start, end, started_at, asked in found:
            yield Job(job_id, table, Window(_moment(start), _moment(end)), _moment(started_at), asked)

    def _refusals(self) -> Iterator[Refusal]:
        if not self._there(REFUSALS):
            return
        found = self._rows(f"SELECT run_id, table_name, part, {_us('refused_at')}, reason FROM {self._name(REFUSALS)}")
        for run_id, table, part, at, reason in found:
            yield Refusal(run_id, table, part, _moment(at), reason)

    def keep(self, job: Job) -> None:
        self._aside(
            f"INSERT INTO {self._name(JOBS)} VALUES (?, ?, ?, ?, ?, ?)",
            [job.job_id, job.table, job.window.start, job.window.end, job.started_at, job.asked],
        )

    def forget(self, job: Job) -> None:
        self._aside(f"DELETE FROM {self._name(JOBS)} WHERE job_id = ?", [job.job_id])

    def _aside(self, statement: str, values: list[object]) -> None:
        """Do and commit *statement* beside whatever transaction the main thread is in."""
        try:
            with self._aside_lock, self._database.cursor() as cursor:
                cursor.execute(statement, values)
        except duckdb.Error as error:
            raise LoadError(destination=self.path, reason=_first_line(error)) from error

    def refuse(self, refusal: Refusal) -> None:
        with self._transaction(table=refusal.table):
            self._database.execute(
                f"INSERT INTO {self._name(REFUSALS)} VALUES (?, ?, ?, ?, ?)",
                [refusal.run_id, refusal.table, refusal.part, refusal.at, refusal.reason],
            )

    def columns(self, table: Table) -> tuple[Column, ...]:
        # what a person dropped is not there any more
        found = self._rows(
            f"""SELECT column_name, type, source_field, variant FROM {self._name(COLUMNS)}
                WHERE table_name = ? AND column_name IN (SELECT column_name FROM duckdb_columns()
                    WHERE database_name = current_database() AND schema_name = ? AND table_name = ?)
                ORDER BY rowid""",
            table.name,
            self.dataset,
            table.name,
        )
        return tuple(Column(name, Type(type_), field, variant) for name, type_, field, variant in found)

    def begin(self, run: Run) -> None:
        others = self._rows(f"SELECT DISTINCT connection FROM {self._name(RUNS)} WHERE connection <> ?", run.connection)
        if others:
            raise ConnectionMismatch(
                dataset=self.dataset, destination=self.path, belongs_to=others[0][0], connection=run.connection
            )
        with self._transaction():
            self._database.execute(
                f"UPDATE {self._name(RUNS)} SET status = ? WHERE status = ?", [Status.INTERRUPTED, Status.RUNNING]
            )
            self._database.execute(
                f"""INSERT INTO {self._name(RUNS)} (run_id, connection, started_at, status, asked, reiterate_version,
                    duckdb_version) VALUES (?, ?, ?, ?, ?, ?, ?)""",
                [
                    run.run_id,
                    run.connection,
                    run.started_at,
                    Status.RUNNING,
                    run.asked,
                    version("reiterate"),
                    duckdb.__version__,
                ],
            )

    def finish(self, run: Run) -> None:
        with self._transaction():
            self._database.execute(
                f"""UPDATE {self._name(RUNS)} SET finished_at = ?, status = ?, "rows" = ?, message = ?
                    WHERE run_id = ?""",
                [run.finished_at, run.status, run.rows, run.message, run.run_id],
            )

    def runs(self, limit: int) -> Sequence[Run]:
        found = self._rows(
            f"""SELECT run_id, connection, {_us("started_at")}, asked, {_us("finished_at")}, status, "rows", message
                FROM {self._name(RUNS)} ORDER BY started_at DESC, rowid DESC LIMIT {limit:d}"""
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
        try:
            self._database.execute("SET threads = 1" if len(batch.columns) > WIDE else "RESET threads")
            return self._load(batch, fact)
        except LoadError as error:
            if not isinstance(error.__cause__, duckdb.OutOfMemoryException):
                raise
        self._database.execute("SET threads = 1")
        return self._load(batch, fact)

    def _load(self, batch: Batch, fact: Fact) -> Outcome:
        table = batch.task.table
        with self._transaction(table=table.name, part=batch.task.scope):
            new = self._fit(batch, fact.read_at)
            added, changed, removed = self._write(batch)
            batch.raw.check_unchanged()
            self._note(fact, added, changed, removed)
        return Outcome(added, changed, removed, new)

    def _note(self, fact: Fact, added: int, changed: int, removed: int) -> None:
        """Note *fact*; what was open about its window or part is settled by it."""
        bounds = [None, None] if fact.window is None else [fact.window.start, fact.window.end]
        self._database.execute(
            f"INSERT INTO {self._name(READS)} VALUES (?, ?, ?, ?, ?, ?, now(), ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                fact.run_id,
                fact.table,
                fact.part,
                *bounds,
                fact.read_at,
                fact.rows,
                added,
                changed,
                removed,
                fact.size_bytes,
                fact.requests,
                fact.seconds,
                fact.lane,
            ],
        )
        if fact.window is not None:
            self._database.execute(
                f"DELETE FROM {self._name(JOBS)} WHERE table_name = ? AND window_start >= ? AND window_end <= ?",
                [fact.table, *bounds],
            )
        if fact.part is not None:
            self._database.execute(
                f"DELETE FROM {self._name(REFUSALS)} WHERE table_name = ? AND part = ?", [fact.table, fact.part]
            )

    def _fit(self, batch: Batch, since: datetime) -> tuple[Column, ...]:
        """Make the table as wide as the batch; return the columns that are new to a table that was there."""
        table = batch.task.table.name
        there = {
            name
            for (name,) in self._rows(
                """SELECT column_name FROM duckdb_columns()
                    WHERE database_name = current_database() AND schema_name = ? AND table_name = ?""",
                self.dataset,
                table,
            )
        }
        if not there:
            # a table that a person dropped starts anew; its facts went with it
            for own in (READS, COLUMNS, REFUSALS):
                self._database.execute(f"DELETE FROM {self._name(own)} WHERE table_name = ?", [table])
            self._database.execute(f"CREATE TABLE {self._name(table)} AS {batch.query} LIMIT 0")
        types = dict(self._rows(f"SELECT column_name, column_type FROM (DESCRIBE {batch.query})"))
        recorded = {column.name for column in self.columns(batch.task.table)}
        for column in batch.columns:
            if there and column.name not in there:
                self._database.execute(
                    f"ALTER TABLE {self._name(table)} ADD COLUMN {sql.name(column.name)} {types[column.name]}"
                )
            if column.name not in recorded:
                # the record of a column that a person dropped
                self._database.execute(
                    f"DELETE FROM {self._name(COLUMNS)} WHERE table_name = ? AND column_name = ?", [table, column.name]
                )
                self._database.execute(
                    f"INSERT INTO {self._name(COLUMNS)} VALUES (?, ?, ?, ?, ?, ?)",
                    [table, column.field, column.name, column.type, column.variant, since],
                )
        return tuple(column for column in batch.columns if there and column.name not in recorded)

    def _write(self, batch: Batch) -> tuple[int, int, int]:
        """Return how many rows were added, changed and removed."""
        table = self._name(batch.task.table.name)
        if batch.new and not self._occupied(batch):
            added = self._count(f"INSERT INTO {table} BY NAME {batch.query}")
            if added != batch.source_rows:
                raise LoadError(
                    "A load has another number of rows than were read.",
                    table=batch.task.table.name,
                    rows=batch.source_rows,
                    loaded=added,
                )
            return added, 0, 0
        scope, query, removed = self._bounds(batch), f"({batch.query})", 0
        if batch.task.write is Write.REPLACE:
            query = STAGED
            self._database.execute(f"CREATE OR REPLACE TEMP TABLE {query} AS {batch.query}")
            removed = self._count(
                f"DELETE FROM {table} AS t WHERE {scope} AND NOT EXISTS (FROM {query} AS s WHERE {_same(batch)})"
            )
        if len(batch.columns) > WIDE:
            return *self._write_wide(batch, table, scope, query), removed
        before = self._size(table)
        names = [sql.name(column.name) for column in batch.columns]
        touched = self._count(
            f"""MERGE INTO {table} AS t USING {query} AS s ON {scope} AND {_same(batch)}
                WHEN MATCHED AND ({_differ(names)}) {_not_older(batch)} THEN UPDATE SET {_all(names)}
                WHEN NOT MATCHED THEN INSERT ({sql.listed(names)})
                    VALUES ({sql.listed(f"s.{name}" for name in names)})"""
        )
        added = self._size(table) - before
        return added, touched - added, removed

    def _write_wide(self, batch: Batch, table: str, scope: str, query: str) -> tuple[int, int]:
        """Merge in steps, and slices, for which there is memory; return how many rows were added and changed."""
        names = [sql.name(column.name) for column in batch.columns]
        slices = 1 if query == STAGED else batch.raw.size_bytes // SLICE_BYTES + 1
        added = changed = 0
        for number in range(slices):
            if query != STAGED:
                some = f"SELECT * FROM {query} WHERE hash(coalesce({sql.listed(map(sql.name, batch.key))})) % {slices}"
                self._database.execute(f"CREATE OR REPLACE TEMP TABLE {STAGED} AS {some} = {number}")
            changed += self._count(
                f"""UPDATE {table} AS t SET {_all(names)} FROM {STAGED} AS s
                    WHERE {scope} AND {_same(batch)} AND ({_differ(names)}) {_not_older(batch)}"""
            )
            added += self._count(
                f"""INSERT INTO {table} BY NAME
                    FROM {STAGED} AS s WHERE NOT EXISTS (FROM {table} AS t WHERE {scope} AND {_same(batch)})"""
            )
        self._database.execute(f"DROP TABLE {STAGED}")
        return added, changed

    def _occupied(self, batch: Batch) -> bool:
        """Whether rows lie in the range of a batch all the same: with another window's, or their facts were removed."""
        found = f"SELECT 1 FROM {self._name(batch.task.table.name)} AS t WHERE {self._bounds(batch)} LIMIT 1"
        return batch.cursor_range is not None and bool(self._rows(found))

    def _bounds(self, batch: Batch) -> str:
        """Return the condition on ``t`` that every row of the destination fulfils that the batch could touch."""
        scope = batch.task.scope
        if isinstance(scope, Part):
            column = next(column for column in batch.columns if column.field == scope.field and not column.variant)
            return f"t.{sql.name(column.name)} = {sql.literal(scope.value)}"
        if isinstance(scope, Window) and batch.cursor_range and not batch.first_of:
            # events keep their instant: the cost of a merge depends on the window, not on the table
            cursor = _cursor(batch)
            first, last = (sql.literal(moment.isoformat()) for moment in batch.cursor_range)
            return f"t.{cursor} BETWEEN {first}::TIMESTAMPTZ AND {last}::TIMESTAMPTZ"
        return "true"

    def retain(self, table: Table, parts: Collection[Part]) -> int:
        columns = {column.field: column.name for column in self.columns(table) if not column.variant}
        if not columns:
            return 0
        fields = {part.field for part in parts}
        kept = " AND ".join(
            f"{sql.name(columns[field])} NOT IN ({sql.listed(sql.literal(part.value) for part in parts)})"
            for field in fields
        )
        names = sql.listed(sql.literal(str(part.value)) for part in parts) or "''"
        with self._transaction(table=table.name):
            # the facts of rows go with the rows
            self._database.execute(
                f"DELETE FROM {self._name(READS)} WHERE table_name = ? AND part NOT IN ({names})", [table.name]
            )
            return self._count(f"DELETE FROM {self._name(table.name)} WHERE {kept or 'true'}")

    def state(self, table: Table) -> TableState | None:
        columns = {column.field: column.name for column in self.columns(table) if not column.variant}
        if not columns:
            return None
        newest = _us(f"max({sql.name(columns[table.cursor])})") if table.cursor else "NULL"
        ((rows, newest_us),) = self._rows(f"SELECT count(*), {newest} FROM {self._name(table.name)}")
        return TableState(rows, None if newest_us is None else _moment(newest_us))

    # ── looking back ─────────────────────────────────────────────────────────────────────────────────────────────────

    def changes(self, table: Table) -> Sequence[Change]:
        found = self._rows(
            f"""SELECT {_us("window_start")}, {_us("window_end")}, part, added - removed FROM {self._name(READS)}
                WHERE table_name = ?""",
            table.name,
        )
        field = _part_field(table)
        return [
            Change(_window(start, end), None if part is None or field is None else Part(field, part), rows)
            for start, end, part, rows in found
        ]

    def count(self, table: Table, scope: Window | Part) -> int:
        columns = {column.field: sql.name(column.name) for column in self.columns(table) if not column.variant}
        match scope:
            case Window(start, end):
                cursor = columns[table.cursor]
                where = f"{cursor} >= {_instant(start)} AND {cursor} < {_instant(end)}"
            case Part(field, value):
                where = f"{columns[field]}::VARCHAR = {sql.literal(str(value))}"
        return self._count(f"SELECT count(*) FROM {self._name(table.name)} WHERE {where}")

    def doubles(self, table: Table) -> int:
        names = {column.field: column.name for column in self.columns(table) if not column.variant}
        key = [sql.name(names[field]) for field in table.identity.fields]
        if isinstance(table.identity, ByEvent):
            key = [sql.name("_event_id")]
        elif isinstance(table.identity, ByFirst):
            key = [f"coalesce({sql.listed(key)})"]
        distinct = f"(SELECT DISTINCT {sql.listed(key)} FROM {self._name(table.name)})"
        return self._size(self._name(table.name)) - self._size(distinct)

    def compare(self, batch: Batch) -> tuple[int, int]:
        table, read = self._name(batch.task.table.name), f"({batch.query})"
        missing = self._count(
            f"SELECT count(*) FROM {read} AS s WHERE NOT EXISTS (FROM {table} AS t WHERE {_same(batch)})"
        )
        if not isinstance(batch.task.scope, Window):
            return missing, 0
        cursor, scope = _cursor(batch), batch.task.scope
        only_here = self._count(
            f"""SELECT count(*) FROM {table} AS t
                WHERE t.{cursor} >= {_instant(scope.start)} AND t.{cursor} < {_instant(scope.end)}
                AND NOT EXISTS (FROM {read} AS s WHERE {_same(batch)})"""
        )
        return missing, only_here

    # ── the database ─────────────────────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def _transaction(self, **facts: Any) -> Iterator[None]:  # noqa: ANN401 (passed on to the error)
        """Keep all that happens inside, or nothing of it."""
        self._database.begin()
        try:
            yield
            self._database.commit()
        except BaseException as error:
            with contextlib.suppress(duckdb.Error):
                self._database.rollback()
            if isinstance(error, duckdb.Error):
                raise LoadError(destination=self.path, **facts, reason=_first_line(error)) from error
            raise

    def _name(self, table: str) -> str:
        return f"{self._schema}.{sql.name(table)}"

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return self._database.execute(query, list(values)).fetchall()

    def _count(self, statement: str) -> int:
        ((count,),) = self._database.execute(statement).fetchall()
        return int(count)

    def _size(self, table: str) -> int:
        return self._count(f"SELECT count(*) FROM {table}")


def _open(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    if not path.parent.is_dir():
        raise SettingsError(
            "The directory of the destination does not exist.",
            hint="Create it, or name another file.",
            destination=path,
        )
    try:
        database = duckdb.connect(str(path), read_only, config=CONFIG)
    except duckdb.Error as error:
        if "Could not set lock" in str(error) or isinstance(error, duckdb.ConnectionException):
            raise DestinationBusy(destination=path, reason=_first_line(error)) from error
        raise SettingsError(
            "The destination cannot be opened.",
            hint="Name a DuckDB file that you may read and write, or a new one.",
            destination=path,
            reason=_first_line(error),
        ) from error
    database.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    return database


def _first_line(error: duckdb.Error) -> str:
    return str(error).splitlines()[0][:300]


def _same(batch: Batch) -> str:
    """Return the condition that a row ``s`` of the batch is the row ``t`` of the destination."""
    if batch.first_of:
        sides = (sql.listed(f"{side}.{sql.name(column)}" for column in batch.key) for side in "ts")
        return " = ".join(f"coalesce({side})" for side in sides)
    return " AND ".join(f"t.{sql.name(column)} IS NOT DISTINCT FROM s.{sql.name(column)}" for column in batch.key)


def _differ(names: Sequence[str]) -> str:
    """Return the condition that ``s`` and ``t`` differ in any of the columns *names*."""
    return sql.listed((f"s.{name} IS DISTINCT FROM t.{name}" for name in names), " OR ")


def _all(names: Sequence[str]) -> str:
    """Return the assignments that give a row the columns *names* of ``s``."""
    return sql.listed(f"{name} = s.{name}" for name in names)


def _not_older(batch: Batch) -> str:
    """Let no row take the place of one with a later replication key: windows may be loaded in any order."""
    if batch.task.table.cursor is None:
        return ""
    cursor = _cursor(batch)
    return f"AND (s.{cursor} >= t.{cursor} OR s.{cursor} IS NULL OR t.{cursor} IS NULL)"


def _cursor(batch: Batch) -> str:
    return next(
        sql.name(column.name)
        for column in batch.columns
        if column.field == batch.task.table.cursor and not column.variant
    )


def _part_field(table: Table) -> str | None:
    """Return the field that says which part of its table a row belongs to."""
    match table.read:
        case ListMembers(_, parameter):
            return parameter
        case KeyedValues():
            return "table"
        case _:
            return None


def _instant(moment: datetime) -> str:
    return f"{sql.literal(moment.isoformat())}::TIMESTAMPTZ"


def _us(expression: str) -> str:
    return f"epoch_us({expression})"


def _moment(epoch_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=epoch_us)


def _window(start_us: int | None, end_us: int | None) -> Window | None:
    return None if start_us is None or end_us is None else Window(_moment(start_us), _moment(end_us))
