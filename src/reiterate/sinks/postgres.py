"""PostgreSQL: rows travel as CSV through COPY, and are merged and noted in one transaction."""

from __future__ import annotations

import contextlib
import hashlib
import time
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from reiterate import sql
from reiterate.catalog.model import ByEvent, ByFirst, ListMembers, Type
from reiterate.errors import ConnectionLost, LoadError, SettingsError, TableLocked
from reiterate.sinks import holders
from reiterate.sinks.fence import Fence, set_up
from reiterate.sinks.relational import first_line, names_in, names_of
from reiterate.sinks.server import ServerSink, refuses_data

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from reiterate.catalog.model import Table
    from reiterate.flow import Batch, Column
    from reiterate.secret import Secret
    from reiterate.sinks.fence import Connection

RENEWED_S = 60.0
"""Whoever waits makes sure as often that he still holds the dataset, and renews that."""

ALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}
"""A server that is gone without a word is noticed within a minute; an address may say otherwise."""

LOCKED = (errors.LockNotAvailable, errors.DeadlockDetected, errors.SerializationFailure)
"""What passes as soon as somebody else has ended a transaction."""

ASIDE_TRIES = 6
"""So often a note of a job is tried while its connection breaks."""

CHUNK_BYTES = 1 << 20
LEAST_VERSION = 13

MOST_COLUMNS = 330
"""
The 8,160 bytes of a row hold no more: values of up to 24 bytes are not moved out of it, however many there are.
"""


class PostgresSink(ServerSink):
    """
    A schema of a PostgreSQL database.

    A row keeps a second process out, and whoever has lost it from writing (:class:`reiterate.sinks.fence.Fence`). A
    connection that broke is made anew for the next load. Nothing belongs to a session, so poolers may stand between.

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

    def __init__(self, url: Secret, dataset: str, *, shown: str, read_only: bool = False, run_id: str = "") -> None:
        super().__init__(sql.name(dataset), dataset, shown, read_only=read_only, run_id=run_id)
        self._url = url
        self._fence = Fence(self._schema, dataset, shown, self._run_id)
        self._claimed = self._changing = False
        self._renewed_at = 0.0
        self._statement = ""
        self._connection = self._first_connection()
        info = self._connection.info
        self._reached = f"{info.host}:{info.port}/{info.dbname}"
        self._beside: Connection | None = None
        if read_only:
            return
        try:
            self._check_version()  # a lock changes the dataset, too
            self._claim()
            with self._transaction():
                self._make_own_tables()
            self._make_spool()
        except BaseException:
            self.close()
            raise

    @property
    def _place(self) -> str:
        return self._reached

    def _let_go(self) -> None:
        if self._claimed:
            # what cannot be said now, the server's end of the connection says
            with contextlib.suppress(psycopg.Error):
                self._fence.release(self._connection)
        super()._let_go()
        self._connection.close()
        if self._beside is not None:
            self._beside.close()

    # ── connections ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _first_connection(self) -> Connection:
        try:
            return self._connect()
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

    def _connect(self) -> Connection:
        address = conninfo_to_dict(self._url.reveal(), client_encoding="utf8", fallback_application_name="reiterate")
        connection = psycopg.connect(
            **{**ALIVE, **address},  # type: ignore[arg-type]
            autocommit=True,
            # a statement that is prepared belongs to a session
            prepare_threshold=None,
        )
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        try:
            self._check_server(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_server(self, connection: Connection) -> None:
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

    def _claim(self) -> None:
        try:
            self._fence.claim(self._connection)
        except psycopg.Error as error:
            raise self._refusal(error) from error
        self._claimed = True
        self._renewed_at = time.monotonic()

    @property
    def _live(self) -> Connection:
        """The connection, made anew if it broke and nothing was under way; then, too, only the holder goes on."""
        if self._connection.closed and not self._changing:
            self._connection = self._connect()
            self._renewed_at = 0.0
        return self._connection

    def _make_sure(self) -> None:
        """
        Go on with a connection that lives, and only as the holder.

        :raises LockLost: when another process has taken over
        """
        with contextlib.suppress(psycopg.OperationalError):
            self._live.execute("SELECT 1")
        if time.monotonic() - self._renewed_at > RENEWED_S or self._connection.closed:
            self._fence.renew(self._live)
            self._renewed_at = time.monotonic()

    def renew(self) -> None:
        if time.monotonic() - self._renewed_at > RENEWED_S:
            try:
                self._make_sure()
            except psycopg.Error:
                # the next load has more patience, and says it
                self._renewed_at = time.monotonic()

    def _start(self, run_id: str) -> None:
        try:
            self._make_sure()
            self._fence.renew(self._live, run_id=run_id)
        except psycopg.Error as error:
            raise self._refusal(error) from error
        super()._start(run_id)

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        try:
            try:
                return self._live.execute(query.encode()).fetchall()
            except psycopg.OperationalError:
                if self._changing or not self._connection.closed:
                    raise
                # it broke while nobody looked
                return self._live.execute(query.encode()).fetchall()
        except psycopg.Error as error:
            raise self._refusal(error) from error

    def _refusal(self, error: Exception, **facts: Any) -> LoadError:  # noqa: ANN401 (passed on to the error)
        if isinstance(error, LOCKED):
            held_by = self._holders(facts.get("table"))
            return TableLocked(destination=self._shown, **facts, held_by=held_by, reason=first_line(error))
        if isinstance(error, errors.ReadOnlySqlTransaction):
            # a server that has handed its work to another one; a new connection may lead there
            self._connection.close()
        if isinstance(error, psycopg.Error) and (self._connection.closed or (self._beside and self._beside.closed)):
            return ConnectionLost(destination=self._shown, **facts, reason=first_line(error))
        return super()._refusal(error, **facts)

    def _holders(self, table: str | None) -> str | None:
        """Return who holds locks now that the last statement could have waited for, the oldest transaction first."""
        if self._changing:
            return None
        with contextlib.suppress(psycopg.Error):
            query = holders.query(self.dataset, table, self._statement)
            return holders.in_words(self._live.execute(query.encode()).fetchall())
        return None

    def _do(self, statement: str) -> int:
        self._statement = statement
        return self._live.execute(statement.encode()).rowcount

    def _do_aside(self, *statements: str) -> None:
        for _ in range(ASIDE_TRIES - 1):
            try:
                return self._do_beside(statements)
            except psycopg.OperationalError:
                if self._beside is not None and not self._beside.closed:
                    raise
        return self._do_beside(statements)

    def _do_beside(self, statements: Sequence[str]) -> None:
        if self._beside is None or self._beside.closed:
            self._beside = self._connect()
        with self._beside.transaction():
            set_up(self._beside)
            self._fence.hold(self._beside)
            for statement in statements:
                self._beside.execute(statement.encode())

    @contextlib.contextmanager
    def _atomic(self) -> Iterator[None]:
        if not self._claimed:
            raise LoadError("The destination was opened to be looked at.", destination=self._shown)
        self._make_sure()
        self._changing, self._statement = True, ""
        try:
            with self._live.transaction():
                set_up(self._live)
                self._fence.hold(self._live)
                yield
        finally:
            self._changing = False

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
        self._statement = "COPY"
        with file.open("rb") as rows, self._live.cursor() as cursor:
            with cursor.copy(f"COPY {target} ({names}) FROM STDIN (FORMAT csv)".encode()) as copy:
                while chunk := rows.read(CHUNK_BYTES):
                    copy.write(chunk)
            return cursor.rowcount

    def _local_rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._query(query, 1).fetchall()

    def _refuses_data(self, error: Exception) -> bool:
        return isinstance(error, psycopg.Error) and refuses_data(error.sqlstate)

    def _check_deferred(self) -> None:
        self._do("SET CONSTRAINTS ALL IMMEDIATE")

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
        case _:
            return name
