"""
Warehouses that dlt reaches: it knows their credentials, types and ways to load files; what is kept, and when, is ours.

    batch ─► dlt ─► staging table ─► one transaction: [ merge into the table ─► note the fact ] ─► staging dropped

A process that dies leaves a staging dataset, which the next one drops. dlt gets a clean directory for every load, so
it never goes on with what a dead process left.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import parse_qs, quote, unquote, urlsplit

import dlt
import duckdb
import pyarrow as pa  # type: ignore[import-untyped]
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.destination.exceptions import DestinationTransientException
from dlt.common.exceptions import DltException, MissingDependencyException
from dlt.common.schema import Schema
from dlt.common.schema.normalizers import configured_normalizers
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from reiterate import sql
from reiterate.catalog import TABLES
from reiterate.catalog.model import Type
from reiterate.errors import ConnectionLost, LoadError, SettingsError, TableLocked
from reiterate.secret import HIDDEN
from reiterate.sinks import holders, keys, people
from reiterate.sinks.dialects import DIALECTS, Dialect, Merging
from reiterate.sinks.duckdb import REFUSES_DATA
from reiterate.sinks.lease import LeasedSink
from reiterate.sinks.relational import EPOCH, FRESH, OWN_TABLES, names_in
from reiterate.sinks.server import ServerSink, refuses_data

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from dlt.common.data_types import TDataType
    from dlt.destinations.job_client_impl import SqlJobClientBase
    from dlt.destinations.sql_client import SqlClientBase

    from reiterate.flow import Batch, Column
    from reiterate.ledger import Fact
    from reiterate.secret import Secret
    from reiterate.sinks.contract import Outcome

DLT_TYPES: Mapping[Type, TDataType] = {
    Type.TEXT: "text",
    Type.BIGINT: "bigint",
    Type.DOUBLE: "double",
    Type.BOOLEAN: "bool",
    Type.TIMESTAMP: "timestamp",
    Type.DATE: "date",
    Type.JSON: "json",
}
QUIET = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "CRITICAL",
    "RUNTIME__INTERCEPT_SIGNALS": "false",  # stopping is the command line's business
    "RESTORE_FROM_DESTINATION": "false",
    "ENABLE_RUNTIME_TRACE": "false",
}
"""dlt asks nobody for state, tells nobody what it does, and leaves signals alone."""

PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
"""What dlt quotes nowhere, and what leaves room for the name of the staging dataset."""

SECRET = re.compile("password|passphrase|token|secret|key", re.IGNORECASE)
"""What is not shown, among the names of what stands behind an address."""

T = TypeVar("T")

LOCKED = {"55P03", "40P01", "40001"}
"""What databases that are PostgreSQL's kin call a wait for somebody's lock that took too long, or has no end."""

LOST = {"57P01", "57P02", "57P03", "08000", "08001", "08003", "08006", "25006"}
"""The same for a server that goes away, comes back, or has handed its work to another one."""

CHUNK_ROWS = 100_000

RENAMED_AT_ONCE = 500
"""Events that one statement gives another id: a warehouse takes long for many small ones, and refuses a huge one."""


class DltSink(ServerSink, LeasedSink):
    """
    A dataset of a warehouse; *kind* is dlt's name for it, *url* may be as bare as ``snowflake://`` if dlt's own
    settings (``secrets.toml``, environment) say the rest.

    A lease keeps a second process out. A connection that broke is made anew for the next load. *dialect* is that of its
    kind if none is given.

    A sink that is *read_only* only tells what is there.

    :raises SettingsError: when the warehouse cannot be reached, or does not let us in
    :raises DestinationBusy: when another process holds the dataset
    """

    ERRORS = (DltException, duckdb.Error, pa.ArrowException, OSError)

    def __init__(
        self,
        kind: str,
        url: Secret,
        dataset: str,
        *,
        shown: str,
        read_only: bool = False,
        run_id: str = "",
        dialect: Dialect | None = None,
    ) -> None:
        os.environ.update(QUIET)
        if not PLAIN_NAME.fullmatch(dataset):
            raise SettingsError(
                "The name of the dataset cannot be used in this destination.",
                hint="Use letters, digits and underscores; begin with a letter.",
                destination=shown,
                dataset=dataset,
            )
        super().__init__("", dataset, shown, read_only=read_only, run_id=run_id)
        self._dialect = dialect or DIALECTS[kind]
        self.most_columns = self._dialect.most_columns
        self.rolls_back = self._dialect.transactions
        self._url = url
        self._staging = f"{dataset}_reiterate_staging"
        self._held: str | None = None
        self._staged_at = ""
        self._seen: dict[str, list[str]] = {}
        self._dropped: list[str] | None = None
        self._broken = self._changing = False
        self._beside: SqlJobClientBase | None = None
        with self._opening():
            self._destination = getattr(dlt.destinations, kind)(naming_convention="direct", **_given(kind, url))
            self._client = self._connect()
        self.TYPES = self._types()
        if read_only:
            return
        try:
            with self._opening():
                self._set_up()
        except BaseException:
            self.close()
            raise

    @property
    def _place(self) -> str:
        # a bare address says nothing
        return f"{self._shown} {self._client.config.fingerprint()} {self._client.sql_client.database_name}"

    def _set_up(self) -> None:
        if not self._live.has_dataset():
            self._live.create_dataset()
        self._check_version()  # a lease changes the dataset, too
        self._make_lease()
        if self._dialect.ddl:
            with self._transaction():
                self._make_own_tables()
        else:
            self._make_own_tables()
        self._drop_staging()
        self._make_spool()

    def _let_go(self) -> None:
        if self._holder:
            with contextlib.suppress(LoadError, *self.ERRORS):
                self._check_lease()
                self._drop_staging()
            self._end_lease()
        super()._let_go()
        for client in (self._client, self._beside):
            if client is not None:
                self._close(client)

    # ── connections ──────────────────────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def _opening(self) -> Iterator[None]:
        try:
            yield
        except MissingDependencyException:
            raise
        except self.ERRORS as error:
            raise SettingsError(
                "The destination cannot be opened.",
                hint="Check the address and the credentials, and that this user may make a schema; see "
                "docs/destinations.md.",
                destination=self._shown,
                reason=self._reason(error),
            ) from None

    def _connect(self) -> SqlJobClientBase:
        schema = Schema("reiterate", configured_normalizers(naming="direct"))
        settings = self._destination.spec()
        settings._bind_dataset_name(dataset_name=self.dataset)  # noqa: SLF001 (as dlt.pipeline does)
        client: SqlJobClientBase = self._destination.client(schema, settings)
        self.ERRORS = (*DltSink.ERRORS, *_errors_of(client.sql_client))
        client.sql_client.open_connection()
        return client

    @property
    def _living(self) -> SqlJobClientBase:
        """Dlt's client, its connection made anew if it broke."""
        if self._broken:
            self._close(self._client)
            self._client.sql_client.open_connection()
            self._broken = False
        return self._client

    @property
    def _live(self) -> SqlClientBase[Any]:
        return self._living.sql_client

    def _types(self) -> Mapping[Type, str]:
        mapper = self._client.capabilities.get_type_mapper()
        taken = {
            type_: mapper.to_destination_type({"name": "x", "data_type": name}, {"name": "x", "columns": {}})
            for type_, name in DLT_TYPES.items()
        }
        return {type_: self._dialect.nullable.format(name) for type_, name in {**taken, **self._dialect.types}.items()}

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._looked(lambda: self._asked(self._live, query))

    def _looked(self, look: Callable[[], T]) -> T:
        """Return what *look* finds, once more if the connection broke while nobody looked."""
        try:
            try:
                return look()
            except self.ERRORS as error:
                if self._changing or not self._is_lost(error):
                    raise
                self._broken = True
                return look()
        except DatabaseUndefinedRelation:
            raise
        except self.ERRORS as error:
            raise self._refusal(error) from error

    def _asked(self, client: SqlClientBase[Any], query: str) -> list[tuple[Any, ...]]:
        found = client.execute_sql(self._dialect.translate(query)) or []
        return [tuple(map(_plain, row)) for row in found]

    @staticmethod
    def _is_down(client: SqlJobClientBase) -> bool:
        """Tell whether the connection of a client broke, where its driver tells."""
        return bool(getattr(client.sql_client.native_connection, "closed", False))

    def _is_lost(self, error: Exception) -> bool:
        transient = any(isinstance(cause, DestinationTransientException) for cause in _causes(error))
        lost = transient or self._is_down(self._client) or bool(_codes(error) & LOST)
        return lost and not _codes(error) & LOCKED

    def _refusal(self, error: Exception, **facts: Any) -> LoadError:  # noqa: ANN401 (passed on to the error)
        given = {"destination": self._shown, **facts, "reason": self._reason(error)}
        if _codes(error) & LOCKED:
            return TableLocked(**given, held_by=self._holders(facts.get("table")))
        if self._is_lost(error):
            self._broken = True
            return ConnectionLost(**given)
        return super()._refusal(error, **facts)

    def _do(self, statement: str) -> int:
        """Do a statement; not every warehouse tells how many rows it touched, so nobody is told."""
        self._live.execute_sql(self._dialect.translate(statement))
        return 0

    def _do_removal(self, table: str, condition: str) -> int:
        gone = self._number(f"SELECT count(*) FROM {table} AS t WHERE {condition}")
        if gone:
            self._do(f"DELETE FROM {table} AS t WHERE {condition}")
        return gone

    def _holders(self, table: str | None) -> str | None:
        """Return who holds locks now that a statement could have waited for, where that is known how to ask."""
        if self._dialect.name != "postgres" or self._changing:
            return None
        with contextlib.suppress(*self.ERRORS):
            found = self._live.execute_sql(holders.query(self.dataset, table, holders.DEFINITIONS[0]))
            return holders.in_words([tuple(row) for row in found or []])
        return None

    def _do_aside(self, *statements: str) -> None:
        try:
            self._do_beside(statements)
        except self.ERRORS as error:
            if not self._is_lost(error):
                raise
            self._do_beside(statements)

    def _do_beside(self, statements: Sequence[str]) -> None:
        if self._beside is not None and self._is_down(self._beside):
            self._close(self._beside)
            self._beside = None
        if self._beside is None:
            self._beside = self._connect()
        client = self._beside.sql_client
        try:
            self._check_lease(lambda query: self._asked(client, query))
            for statement in statements:
                client.execute_sql(self._dialect.translate(statement))
        except BaseException:
            self._close(self._beside)
            self._beside = None
            raise

    def _close(self, client: SqlJobClientBase) -> None:
        with contextlib.suppress(*self.ERRORS):
            client.sql_client.close_connection()

    @contextlib.contextmanager
    def _atomic(self) -> Iterator[None]:
        self._make_sure()
        client = self._live
        self._changing = True
        try:
            with client.begin_transaction() if self._dialect.transactions else contextlib.nullcontext():
                if self._dialect.begin:
                    client.execute_sql(self._dialect.begin)
                self._renew_lease()
                yield
        except BaseException:
            self._broken = True
            raise
        finally:
            self._changing = False

    def _make_sure(self) -> None:
        """Let the connection be one that lives, where its driver tells."""
        if hasattr(self._live.native_connection, "closed"):
            try:
                self._live.execute_sql("SELECT 1")
            except self.ERRORS:
                self._broken = True

    @contextlib.contextmanager
    def _defined(self, define: Callable[[], None], tables: Collection[str]) -> Iterator[None]:
        if self._dialect.ddl:
            with super()._defined(define, tables):
                yield
            return
        # a definition would end the transaction, and not every warehouse looks at definitions in one
        self._make_sure()
        self._renew_lease()
        define()
        self._seen = {table: self._column_names(table) for table in tables}
        self._dropped = []
        try:
            with self._atomic():
                yield
            dropped, self._dropped = self._dropped, None
            # what stays is found by the next run
            with contextlib.suppress(*self.ERRORS):
                for table in dropped:
                    self._drop_table(table)
        finally:
            self._seen, self._dropped = {}, None

    def try_out(self, batch: Batch) -> None:
        try:
            with self._staged(batch) as self._held:
                super().try_out(batch)
        except self.ERRORS as error:
            raise self._refusal(error, table=batch.task.table.name, part=batch.task.scope) from error
        finally:
            self._held = None

    def _local_rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._query(query, 1).fetchall()

    def _refuses_data(self, error: Exception) -> bool:
        """Return whether the driver says so: by its SQLSTATE, or, as DuckDB's, by its class."""
        return any(isinstance(cause, REFUSES_DATA) or refuses_data(_sqlstate(cause)) for cause in _causes(error))

    def _check_deferred(self) -> None:
        if self._dialect.name == "postgres":
            self._live.execute_sql("SET CONSTRAINTS ALL IMMEDIATE")

    def _reason(self, error: Exception) -> str:
        *_, cause = _causes(error)
        if isinstance(cause, ConfigurationException) and self._url.reveal() in str(cause):
            return "its address is not understood"
        reason = " ".join(str(cause).split())[:300]
        for secret in _secrets_in(self._url.reveal()):
            reason = reason.replace(secret, HIDDEN)
        return reason

    # ── names and definitions ────────────────────────────────────────────────────────────────────────────────────────

    def _name(self, table: str) -> str:
        return self._path(table, self.dataset)

    def _path(self, table: str, dataset: str) -> str:
        path = self._client.sql_client.make_qualified_table_name_path(table, quote=False, dataset_name=dataset)
        return sql.listed(map(sql.name, path), ".")

    def _column_names(self, table: str) -> list[str]:
        if table in self._seen:
            return self._seen[table]
        with contextlib.suppress(DatabaseUndefinedRelation):
            return list(self._looked(lambda: self._living.get_storage_table(table)[1]))
        return []

    def _still_there(self, tables: Collection[str]) -> Collection[str]:
        found = self._looked(lambda: [*self._living.get_storage_tables(sorted(tables))])
        return {table for table, columns in found if columns}

    def _make(self, table: str, columns: Mapping[str, Type], *, by: str | None = None) -> None:
        # our own notes are read as text
        types = self.TYPES if table not in OWN_TABLES else {**self.TYPES, Type.JSON: self.TYPES[Type.TEXT]}
        client = self._live
        definitions = sql.listed(f"{client.escape_column_name(name)} {types[type_]}" for name, type_ in columns.items())
        ordered = None if by is None else client.escape_column_name(by)
        client.execute_sql(self._dialect.definition(client.make_qualified_table_name(table), definitions, ordered))

    def _add_column(self, table: str, name: str, type_: Type) -> None:
        client = self._live
        client.execute_sql(
            f"ALTER TABLE {client.make_qualified_table_name(table)} {self._dialect.add} "
            f"{client.escape_column_name(name)} {self.TYPES[type_]}"
        )

    def _drop_table(self, table: str) -> None:
        if self._dropped is None:
            super()._drop_table(table)
        else:
            self._dropped.append(table)

    def _left_behind(self) -> list[str]:
        # where definitions are apart, a table may have lost its record
        return [*{*super()._left_behind(), *self._still_there({f"{FRESH}{name}" for name in TABLES})}]

    # ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def load(self, batch: Batch, fact: Fact) -> Outcome:
        try:
            with self._staged(batch) as self._held:
                return super().load(batch, fact)
        except self.ERRORS as error:
            raise self._refusal(error, table=batch.task.table.name, part=batch.task.scope) from error
        finally:
            self._held = None

    @contextlib.contextmanager
    def _staged(self, batch: Batch, *, again: bool = False) -> Iterator[str]:  # noqa: ARG002 (a table may always be)
        if self._held:
            yield self._held
            return
        names = sql.listed(map(sql.name, names_in(batch)))
        if not batch.source_rows:
            yield f"(SELECT {names} FROM {self._name(self._called(batch.task.table))} WHERE false)"
            return
        # of a name of its own: who only looks may stage beside a sync
        table = f"staged_{uuid.uuid4().hex[:12]}"
        self._staged_at = self._path(table, self._staging)
        try:
            self._stage(batch, table)
            yield f"(SELECT {sql.listed(map(self._read, batch.columns))} FROM {self._staged_at})"
        finally:
            with contextlib.suppress(*self.ERRORS), self._live.with_alternative_dataset_name(self._staging):
                self._live.drop_tables(table)

    def _stage(self, batch: Batch, table: str) -> None:
        """Bring the rows of *batch* into a table of the staging dataset."""
        place = batch.raw.path.with_suffix(".dlt")
        hints: dict[str, Any] = {
            column.name: {"data_type": "text" if column.type in self._dialect.as_text else DLT_TYPES[column.type]}
            for column in batch.columns
        }
        try:
            pipeline = dlt.pipeline(
                "reiterate", pipelines_dir=str(place), destination=self._destination, dataset_name=self._staging
            )
            rows = dlt.resource(self._arrow(batch), name=table, columns=hints, write_disposition="append")
            pipeline.run(rows, loader_file_format=cast("Any", self._dialect.file))
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _arrow(self, batch: Batch) -> Iterator[pa.RecordBatch]:
        values = sql.listed(
            f"{sql.name(column.name)}::VARCHAR AS {sql.name(column.name)}"
            if column.type in self._dialect.as_text
            else sql.name(column.name)
            for column in batch.columns
        )
        rows = self._query(f"SELECT {values} FROM ({batch.query})", len(batch.columns))
        yield from rows.to_arrow_reader(CHUNK_ROWS)

    def _read(self, column: Column) -> str:
        """Return the expression of a staged value as the table has it."""
        name = sql.name(column.name)
        if column.type not in self._dialect.as_text:
            return name
        read = self._dialect.json_read.format(name) if column.type is Type.JSON else f"CAST({name} AS {column.type})"
        return f"{read} AS {name}"

    def _drop_staging(self) -> None:
        """Drop what a process that died has left."""
        with self._live.with_alternative_dataset_name(self._staging) as client:
            if client.has_dataset():
                client.drop_dataset()

    def _append(self, batch: Batch) -> int:
        with self._staged(batch) as staged:
            added = self._number(f"SELECT count(*) FROM {staged} AS s")
            if added:
                self._do(self._insertion_of(batch, staged))
        return added

    def _rename(self, renamed: people.Renamed, staged: str) -> None:  # noqa: ARG002 (an expression; its table counts)
        # not every warehouse joins in an UPDATE
        found = self._rows(renamed.pairs)
        for first in range(0, len(found), RENAMED_AT_ONCE):
            pairs = found[first : first + RENAMED_AT_ONCE]
            cases = sql.listed((f"WHEN {sql.literal(one)} THEN {sql.literal(other)}" for one, other in pairs), " ")
            answered = sql.listed(sql.literal(one) for one, _ in pairs)
            self._do(
                f"UPDATE {self._staged_at} SET {people.ID} = CASE {people.ID} {cases} END "
                f"WHERE {people.ID} IN ({answered})"
            )

    def _text(self, column: Column, side: str) -> str:
        if column.type is not Type.JSON:
            return super()._text(column, side)
        return f"CAST({self._dialect.json_text.format(keys.qualified(column.name, side))} AS TEXT)"

    def _merge(self, batch: Batch, staged: str, scope: str) -> tuple[int, int]:
        table, found = self._name(self._called(batch.task.table)), f"{scope} AND {self._same(batch)}"
        missing = self._missing_from(batch, found)
        changed = self._number(
            f"SELECT count(*) FROM {table} AS t JOIN {staged} AS s ON {found} WHERE {self._differs(batch)}"
        )
        added = self._number(f"SELECT count(*) FROM {staged} AS s WHERE {missing}")
        if not added and not changed:
            return 0, 0
        match self._dialect.merging:
            case Merging.AT_ONCE:
                self._do(self._merger_of(batch, staged, found))
            case Merging.IN_TURN:
                self._do(self._update_of(batch, staged, found))
                self._do(self._insertion_of(batch, staged, missing))
            case Merging.ANEW:
                like = f"EXISTS (SELECT 1 FROM {staged} AS s WHERE {self._same(batch)} AND {self._differs(batch)})"
                self._do(f"DELETE FROM {table} AS t WHERE {scope} AND {like}")
                self._do(self._insertion_of(batch, staged, missing))
        return added, changed

    def _differs_in(self, column: Column, left: str = "s", right: str = "t") -> str:
        if column.type is not Type.JSON:
            return super()._differs_in(column, left, right)
        ours, theirs = (self._dialect.json_text.format(f"{side}.{sql.name(column.name)}") for side in (left, right))
        return f"{ours} IS DISTINCT FROM {theirs}"

    def _put_in_place(self, table: str, fresh: str, columns: Collection[str]) -> None:
        if not self._dialect.swap:
            super()._put_in_place(table, fresh, columns)
            return
        # in one statement, where there are no transactions; what comes after it may be missing
        client = self._live
        client.execute_sql(
            self._dialect.swap.format(
                table=client.make_qualified_table_name(table),
                fresh=client.make_qualified_table_name(fresh),
                names=sql.listed(map(client.escape_column_name, columns)),
            )
        )

    def _us(self, expression: str) -> str:
        # instants become microseconds where they are read
        return expression

    def _same_value(self, left: str, right: str) -> str:
        # for an OR, warehouses would compare each row with each other
        texts = " = ".join(f"coalesce(CAST({side} AS TEXT), '')" for side in (left, right))
        nulls = " = ".join(f"CASE WHEN {side} IS NULL THEN 1 ELSE 0 END" for side in (left, right))
        return f"{texts} AND {nulls}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what caused it, the first cause last."""
    while True:
        yield error
        if error.__cause__ is None:
            return
        error = error.__cause__


def _codes(error: BaseException) -> set[str | None]:
    """Return what PostgreSQL and its kin call what happened."""
    return {getattr(cause, "pgcode", None) for cause in _causes(error)}


def _sqlstate(error: BaseException) -> str | None:
    """Return the SQLSTATE of a driver's error, whatever the driver calls it."""
    states = (getattr(error, name, None) for name in ("sqlstate", "pgcode"))
    return next((state for state in states if isinstance(state, str)), None)


def _plain(value: object) -> object:
    """Return what a driver hands out as every other would: instants in microseconds since 1970."""
    match value:
        case datetime():
            aware = value if value.tzinfo else value.replace(tzinfo=UTC)
            return (aware - EPOCH) // timedelta(microseconds=1)
        case Decimal():
            return int(value)
        case _:
            return value


def _secrets_in(url: str) -> set[str]:
    """Return what nobody may see, as it stands in *url* and as it is meant."""
    parts = urlsplit(url)
    hidden = [values[-1] for name, values in parse_qs(parts.query).items() if SECRET.search(name)]
    return {
        parts.password or "",
        unquote(parts.password or ""),
        *hidden,
        *(quote(each, safe="") for each in hidden),
    } - {""}


def _errors_of(client: SqlClientBase[Any]) -> Iterator[type[Exception]]:
    """Yield what the driver of a warehouse raises, for dlt hands out some of it as it is."""
    driver: Any = client.dbapi
    yield driver.Error
    if driver.__name__.startswith("google."):
        yield import_module("google.api_core.exceptions").GoogleAPIError
        yield import_module("google.auth.exceptions").GoogleAuthError


def _given(kind: str, url: Secret) -> dict[str, Any]:
    """Return what the address says, as dlt's destination takes it; nothing of a bare one."""
    text = url.reveal()
    parts = urlsplit(text)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    given: dict[str, Any]
    match kind:
        case "bigquery":
            given = {"project_id": parts.hostname, "location": query.get("location")}
        case "databricks":
            access = {
                "server_hostname": parts.hostname,
                "access_token": unquote(parts.password or ""),
                "http_path": query.get("http_path"),
                "catalog": parts.path.strip("/"),
            }
            given = {"credentials": {name: value for name, value in access.items() if value}}
        case "redshift":
            # its driver is PostgreSQL's, which knows no other scheme
            given = {"credentials": text.replace("redshift:", "postgresql:", 1) if parts.hostname else None}
        case _:
            given = {"credentials": text if text.partition("://")[2] else None}
    return {name: value for name, value in given.items() if value}
