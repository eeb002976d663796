"""PostgreSQL: rows travel as CSV through COPY, and are merged and noted in one transaction."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
from psycopg import errors

from reiterate import sql
from reiterate.catalog.model import ByEvent, ByFirst, ListMembers, Type
from reiterate.errors import DestinationBusy, LoadError, SettingsError
from reiterate.sinks.relational import first_line, names_in, names_of
from reiterate.sinks.server import ServerSink

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from reiterate.catalog.model import Table
    from reiterate.flow import Batch, Column
    from reiterate.secret import Secret

LOCK_WAIT_S = 10
"""How long a second process waits for the first; one that was killed holds its lock until the server notices."""

CHUNK_BYTES = 1 << 20
LEAST_VERSION = 13

MOST_COLUMNS = 330
"""
The 8,160 bytes of a row hold no more: values of up to 24 bytes are not moved out of it, however many there are.
"""

BEYOND_NUMERIC = "[0-9][eE][+-]?[0-9]{5,}"
"""Numbers that ``jsonb`` refuses, for it keeps every digit: at most 131,072 of them."""

NOT_FINITE = r"[:\[,]\s*-?(NaN|Infinity)"
"""Numbers that JSON does not know; they may stand in an object of several fields."""


class PostgresSink(ServerSink):
    """
    A schema of a PostgreSQL database.

    An advisory lock on the dataset keeps a second process out. A connection that broke is made anew for the next load.

    A sink that is *read_only* only tells what is there.

    :raises SettingsError: when the server cannot be reached, or does not let us in
    :raises DestinationBusy: when another process holds the dataset
    """

    TYPES: Mapping[Type, str] = {
        Type.TEXT: "TEXT",
        Type.BIGINT: "BIGINT",
        Type.DOUBLE: "DOUBLE PRECISION",
        Type.BOOLEAN: "BOOLEAN",
        Type.TIMESTAMP: "TIMESTAMP WITH TIME ZONE",
        Type.DATE: "DATE",
        Type.JSON: "JSONB",
    }
    ERRORS = (psycopg.Error, duckdb.Error, OSError)
    most_columns = MOST_COLUMNS

    def __init__(self, url: Secret, dataset: str, *, shown: str, read_only: bool = False) -> None:
        super().__init__(sql.name(dataset), dataset, shown, read_only=read_only)
        self._url = url
        self._connection = self._first_connection()
        info = self._connection.info
        self._reached = f"{info.host}:{info.port}/{info.dbname}"
        self._beside: psycopg.Connection[tuple[Any, ...]] | None = None
        if read_only:
            return
        try:
            with self._transaction():
                if not self._rows(f"SELECT 1 FROM pg_namespace WHERE nspname = {sql.literal(dataset)}"):
                    self._do(f"CREATE SCHEMA {self._schema}")
                self._make_own_tables()
            self._make_spool()
        except BaseException:
            self.close()
            raise

    @property
    def _place(self) -> str:
        return self._reached

    def _let_go(self) -> None:
        super()._let_go()
        self._connection.close()
        if self._beside is not None:
            self._beside.close()

    # ── connections ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _first_connection(self) -> psycopg.Connection[tuple[Any, ...]]:
        try:
            return self._connect(lock=not self._read_only)
        except psycopg.ProgrammingError:
            # its message may repeat parts of the address
            raise SettingsError("The address of the destination is not understood.", destination=self._shown) from None
        except psycopg.Error as error:
            raise SettingsError(
                "The destination cannot be opened.",
                hint="Check the address, that the server runs, and that this user may connect.",
                destination=self._shown,
                reason=first_line(error),
            ) from error

    def _connect(self, *, lock: bool) -> psycopg.Connection[tuple[Any, ...]]:
        connection = psycopg.connect(
            self._url.reveal(), autocommit=True, client_encoding="utf8", fallback_application_name="reiterate"
        )
        try:
            self._prepare(connection, lock=lock)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: psycopg.Connection[tuple[Any, ...]], *, lock: bool) -> None:
        if connection.info.server_version < LEAST_VERSION * 10_000:
            raise SettingsError(
                f"The server is older than PostgreSQL {LEAST_VERSION}.",
                destination=self._shown,
                version=connection.info.server_version // 10_000,
            )
        if (encoding := connection.info.parameter_status("server_encoding")) != "UTF8":
            raise SettingsError(
                "The database does not hold every character.",
                hint="Make a database with ENCODING 'UTF8'.",
                destination=self._shown,
                encoding=encoding,
            )
        connection.execute("SET TimeZone = 'UTC'")
        # a statement of a process that was killed ends, where the server can tell
        connection.execute(
            "SELECT set_config(name, '1000', false) FROM pg_settings WHERE name = 'client_connection_check_interval'"
        )
        if not lock:
            return
        try:
            connection.execute(f"SET lock_timeout = '{LOCK_WAIT_S}s'")
            place = sql.literal(f"reiterate {self.dataset}")
            connection.execute(f"SELECT pg_advisory_lock(hashtextextended({place}, 0))".encode())
            connection.execute("SET lock_timeout = 0")
        except errors.LockNotAvailable as error:
            raise DestinationBusy(destination=self._shown, dataset=self.dataset) from error

    @property
    def _live(self) -> psycopg.Connection[tuple[Any, ...]]:
        if self._connection.closed:
            self._connection = self._connect(lock=not self._read_only)
        return self._connection

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        try:
            return self._live.execute(query.encode()).fetchall()
        except psycopg.Error as error:
            raise LoadError(destination=self._shown, reason=first_line(error)) from error

    def _do(self, statement: str) -> int:
        return self._live.execute(statement.encode()).rowcount

    def _do_aside(self, statement: str) -> None:
        if self._beside is None or self._beside.closed:
            self._beside = self._connect(lock=False)
        self._beside.execute(statement.encode())

    @contextlib.contextmanager
    def _atomic(self) -> Iterator[None]:
        with self._live.transaction():
            yield

    # ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _lay_out(self, table: Table, name: str, columns: Collection[Column], *, new: bool) -> None:
        """Let the cost of a merge depend on what is merged, not on the table."""
        if isinstance(table.identity, ByFirst):
            # an index holds no long texts; a column that joins the key makes it another one
            (key,) = self._key(table, columns, "")
            index = f"{name[:40]}_{hashlib.sha256(key.encode()).hexdigest()[:8]}_key"
            if not self._rows(f"SELECT 1 WHERE to_regclass({sql.literal(self._name(index))}) IS NOT NULL"):
                self._do(f"CREATE INDEX {sql.name(index)} ON {self._name(name)} (md5({key}))")
        elif new and isinstance(table.identity, ByEvent):
            self._do(f"CREATE INDEX ON {self._name(name)} ({sql.name(names_of(columns)[table.cursor])})")
        elif new and isinstance(table.read, ListMembers):
            self._do(f"CREATE INDEX ON {self._name(name)} ({sql.name(names_of(columns)[table.read.parameter])})")

    def _append(self, batch: Batch) -> int:
        return self._copy(batch, self._name(self._called(batch.task.table)))

    @contextlib.contextmanager
    def _staged(self, batch: Batch, *, again: bool = False) -> Iterator[str]:  # noqa: ARG002 (a table may always be)
        with self._live.transaction():
            columns = sql.listed(f"{sql.name(column.name)} {self.TYPES[column.type]}" for column in batch.columns)
            self._do(f"CREATE TEMP TABLE staged ({columns}) ON COMMIT DROP")
            self._copy(batch, "pg_temp.staged")
            self._do("ANALYZE pg_temp.staged")
            yield "pg_temp.staged"

    def _copy(self, batch: Batch, target: str) -> int:
        """Bring the rows of *batch* into a table that is there; return how many there were."""
        file = batch.raw.path.with_suffix(".csv")
        values = sql.listed(map(_as_text, batch.columns))
        self._query(f"SELECT {values} FROM ({batch.query})", len(batch.columns)).to_csv(str(file), header=False)
        names = sql.listed(map(sql.name, names_in(batch)))
        with file.open("rb") as rows, self._live.cursor() as cursor:
            with cursor.copy(f"COPY {target} ({names}) FROM STDIN (FORMAT csv)".encode()) as copy:
                while chunk := rows.read(CHUNK_BYTES):
                    copy.write(chunk)
            return cursor.rowcount

    def _us(self, expression: str) -> str:
        return f"(extract(epoch FROM {expression}) * 1000000)::BIGINT"

    def _same_value(self, left: str, right: str) -> str:
        # for IS NOT DISTINCT FROM, PostgreSQL would compare each row with each other
        texts = " = ".join(f"coalesce({side}::TEXT, '')" for side in (left, right))
        return f"{texts} AND ({left} IS NULL) = ({right} IS NULL)"

    def _same_first(self, left: str, right: str) -> str:
        return f"md5({left}) = md5({right}) AND {left} = {right}"


def _as_text(column: Column) -> str:
    """Return the expression of a value as PostgreSQL reads it."""
    name = sql.name(column.name)
    text = f"{name}::VARCHAR"
    match column.type:
        case Type.TIMESTAMP | Type.DATE:
            return f"CASE WHEN year({name}) < 1 THEN replace({text}, ' (BC)', '') || ' BC' ELSE {text} END"
        case Type.JSON:
            refused = BEYOND_NUMERIC if column.field else f"{BEYOND_NUMERIC}|{NOT_FINITE}"
            beyond = f"regexp_matches({text}, {sql.literal(refused)})"
            return f"CASE WHEN {beyond} THEN to_json({text}) ELSE {name} END"
        case _:
            return name
