"""The embedded destination: the relation goes straight into a DuckDB file, in one transaction with its fact."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import duckdb

from reiterate import sql
from reiterate.catalog.model import ByEvent, Type
from reiterate.errors import DestinationBusy, LoadError, LockLost, SettingsError
from reiterate.sinks import making
from reiterate.sinks.relational import RelationalSink, first_line, names_in
from reiterate.sinks.spools import RawFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from reiterate.flow import Batch
    from reiterate.ledger import Fact
    from reiterate.sinks.contract import Outcome

CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": "300MB",
    "allocator_flush_threshold": "32MB",
    "preserve_insertion_order": "false",
    "python_enable_replacements": "false",  # a variable of this program is no table
}

RESTING = "60MB"
"""What a database may keep in memory of its file between large loads."""

LARGE_BYTES = 16_000_000

REFUSES_DATA = (duckdb.ConstraintException, duckdb.ConversionException, duckdb.OutOfRangeException)
"""What DuckDB raises if it refuses rows for their data."""

WIDE_MEMORY = "380MB"
"""What a load of so many columns may take."""

WIDE = 100
"""More columns are written by one thread, and merged in steps: what else is under way does not fit into the memory."""

SLICE_BYTES = 100_000_000
"""So much of a file at a time is merged into a wide table."""


MOST_COLUMNS = 500
"""
With as many, a sync stays below 500 MB: each column costs what 2,048 values take, for every step that a row goes
through, and the statistics and blocks of a column are kept whole while a table is changed.
"""


class DuckDBDatabase(RelationalSink):
    """A schema of a database that DuckDB has attached."""

    most_columns = MOST_COLUMNS

    TYPES: Mapping[Type, str] = {
        Type.TEXT: "VARCHAR",
        Type.BIGINT: "BIGINT",
        Type.DOUBLE: "DOUBLE",
        Type.BOOLEAN: "BOOLEAN",
        Type.TIMESTAMP: "TIMESTAMP WITH TIME ZONE",
        Type.DATE: "DATE",
        Type.JSON: "JSON",
    }
    # a message may be cut inside a letter
    ERRORS: tuple[type[Exception], ...] = (duckdb.Error, UnicodeDecodeError)

    def __init__(
        self,
        database: duckdb.DuckDBPyConnection,
        dataset: str,
        shown: object,
        *,
        read_only: bool,
        run_id: str = "",
    ) -> None:
        self._database = database
        self._read_only = read_only
        # a schema may be called like its file, as iterable in iterable.duckdb: only the whole path is clear then
        ((catalog,),) = self._rows("SELECT current_database()")
        super().__init__(f"{sql.name(catalog)}.{sql.name(dataset)}", dataset, shown, run_id)

    def _let_go(self) -> None:
        self._database.close()

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._database.execute(query).fetchall()

    def _column_names(self, table: str) -> list[str]:
        # a query of the catalog takes five times as long, and a statement that fails would end the transaction
        try:
            return self._database.sql(f"FROM {self._name(table)}").columns
        except duckdb.CatalogException:
            return []

    def _do(self, statement: str) -> int:
        found = self._database.execute(statement).fetchall()
        return int(found[0][0]) if found else 0

    def _do_aside(self, *statements: str) -> None:
        with self._database.cursor() as cursor:
            cursor.begin()
            self._check_aside(lambda query: cursor.execute(query).fetchall())
            for statement in statements:
                cursor.execute(statement)
            cursor.commit()

    def _check_aside(self, rows: Callable[[str], list[tuple[Any, ...]]]) -> None:
        """Make sure, by the *rows* of a query, that the destination is still ours."""

    @contextlib.contextmanager
    def _atomic(self) -> Iterator[None]:
        self._database.begin()
        try:
            yield
            self._database.commit()
        except BaseException:
            with contextlib.suppress(duckdb.Error):
                self._database.rollback()
            raise

    def load(self, batch: Batch, fact: Fact) -> Outcome:
        wide = len(batch.columns) > WIDE
        try:
            self._do("SET threads = 1" if wide else "RESET threads")
            self._do(f"SET memory_limit = '{WIDE_MEMORY if wide else CONFIG['memory_limit']}'")
            return super().load(batch, fact)
        except LoadError as error:
            if not isinstance(error.__cause__, duckdb.OutOfMemoryException):
                raise
        finally:
            if batch.raw.size_bytes > LARGE_BYTES:
                self._make_room()
        self._do("SET threads = 1")
        return super().load(batch, fact)

    def _make_room(self) -> None:
        """Let go of the blocks that are kept of the file: whoever parses the next rows needs the memory now."""
        with contextlib.suppress(duckdb.Error):
            self._do(f"SET memory_limit = '{RESTING}'")
        self._do(f"SET memory_limit = '{CONFIG['memory_limit']}'")

    @contextlib.contextmanager
    def _staged(self, batch: Batch, *, again: bool = False) -> Iterator[str]:
        if not again and len(batch.columns) <= WIDE:
            yield f"({batch.query})"
            return
        self._do(f"CREATE OR REPLACE TEMP TABLE staged AS {batch.query}")
        yield "staged"
        self._do("DROP TABLE staged")

    @contextlib.contextmanager
    def _recognised(self, batch: Batch, *, again: bool = False) -> Iterator[str]:
        # most often every id is known as it is: to look at the ids alone costs less than a table of the rows
        if again or self._lacks_stored(batch, f"({batch.query})"):
            with super()._recognised(batch, again=True) as staged:
                yield staged
            return
        with self._staged(batch) as staged:
            yield staged

    def _append(self, batch: Batch) -> int:
        table = self._name(self._called(batch.task.table))
        added = self._do(f"INSERT INTO {table} BY NAME {batch.query}")
        if batch.supposed and self._different(batch, table) != added:
            self._tell_apart(batch, table)
            if self._different(batch, table) != added:
                raise LoadError("Rows that are supposed to differ may be the same.", table=batch.task.table.name)
        return added

    def _different(self, batch: Batch, table: str) -> int:
        """Return how many different keys rows have that were just added: at least so many."""
        key = sql.name(ByEvent.column)
        return self._number(f"SELECT count(DISTINCT hash({key})) FROM {table} AS t WHERE {self._bounds(batch)}")

    def _tell_apart(self, batch: Batch, table: str) -> None:
        """Number the events among those just added that share an identity."""
        key = sql.name(ByEvent.column)
        added = f"FROM {table} AS t WHERE {self._bounds(batch)}"
        shared = f"SELECT hash({key}) {added} GROUP BY ALL HAVING count(*) > 1"
        # which of several is the first must not depend on the order of arrival
        others = sql.listed(sql.name(name) for name in names_in(batch) if name != ByEvent.column)
        number = f"row_number() OVER (PARTITION BY {key} ORDER BY {others}) AS {sql.OCCURRENCE}"
        self._do(f"CREATE OR REPLACE TEMP TABLE alike AS SELECT *, {number} {added} AND hash({key}) IN ({shared})")
        self._do(f"DELETE {added} AND {key} IN (SELECT {key} FROM alike)")
        numbered = f"SELECT * EXCLUDE ({sql.OCCURRENCE}) REPLACE ({batch.again} AS {key}) FROM alike"
        self._do(f"INSERT INTO {table} BY NAME {numbered}")
        self._do("DROP TABLE alike")

    def _merge(self, batch: Batch, staged: str, scope: str) -> tuple[int, int]:
        if len(batch.columns) > WIDE:
            return self._merge_wide(batch, staged, scope)
        size = f"SELECT count(*) FROM {self._name(self._called(batch.task.table))}"
        before = self._number(size)
        touched = self._do(self._merger_of(batch, staged, f"{scope} AND {self._same(batch)}"))
        added = self._number(size) - before
        return added, touched - added

    def _merge_wide(self, batch: Batch, staged: str, scope: str) -> tuple[int, int]:
        """Merge in steps, and slices, for which there is memory."""
        slices = batch.raw.size_bytes // SLICE_BYTES + 1
        key = f"hash({sql.listed(self._key(batch.task.table, batch.columns, 's'))})"
        added = changed = 0
        for number in range(slices):
            some = f"SELECT * FROM {staged} AS s WHERE {key} % {slices} = {number}"
            self._do(f"CREATE OR REPLACE TEMP TABLE slice AS {some}")
            of_slice = super()._merge(batch, "slice", scope)
            added, changed = added + of_slice[0], changed + of_slice[1]
        self._do("DROP TABLE slice")
        return added, changed

    def _local_rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._rows(query)

    def _refuses_data(self, error: Exception) -> bool:
        # a constraint may be checked when all is committed
        return isinstance(error, REFUSES_DATA) or "constraint" in first_line(error).lower()

    def _us(self, expression: str) -> str:
        return f"epoch_us({expression})"

    def _same_value(self, left: str, right: str) -> str:
        return f"{left} IS NOT DISTINCT FROM {right}"


class DuckDBSink(DuckDBDatabase):
    """
    A schema of a DuckDB file.

    DuckDB lets one process at a time open a file for writing, so runs cannot interleave. Once the file was removed,
    or replaced, its lock protects nothing, and nothing more is written.

    A sink that is *read_only* only tells what is there. The directory for raw files is named after *run_id*, if given.

    :raises SettingsError: when the file cannot be opened, or is no database
    :raises DestinationBusy: when another process has it open
    """

    supposes = True

    def __init__(self, path: Path, dataset: str, *, read_only: bool = False, run_id: str = "") -> None:
        self.path = path
        super().__init__(connect(path, read_only=read_only), dataset, path, read_only=read_only, run_id=run_id)
        self._opened = _identity(path)
        if read_only:
            return
        try:
            with self._transaction():
                self._do(f"CREATE SCHEMA IF NOT EXISTS {self._schema}")
                self._make_own_tables()
            self._make_spool()
        except BaseException:
            self._database.close()
            raise

    def _make_spool(self) -> None:
        hint = "It stands beside the destination; remove what is in its place."
        self._raw_files = RawFiles(self._spools, self._run_id, hint=hint)

    @contextlib.contextmanager
    def _atomic(self) -> Iterator[None]:
        self._check_file()
        with super()._atomic():
            yield
            self._check_file()

    def _check_aside(self, rows: Callable[[str], list[tuple[Any, ...]]]) -> None:  # noqa: ARG002 (the file tells)
        self._check_file()

    def _let_go(self) -> None:
        if not self._read_only and not self._is_in_place():
            # the log beside the file belongs to another one now
            self._database.execute("PRAGMA disable_checkpoint_on_shutdown")
        super()._let_go()

    def _is_in_place(self) -> bool:
        return _identity(self.path) == self._opened

    def _check_file(self) -> None:
        """
        Make sure that what is written is what others open.

        :raises LockLost: when the file was removed, or another one put in its place
        """
        if not self._is_in_place():
            raise LockLost(
                "The file of the destination was removed or replaced during the sync.",
                hint="This sync writes nothing more. Leave the file where it is while a sync runs, and sync again.",
                destination=self._shown,
            )

    def _definition(self, name: str, type_: Type) -> str:
        # none is there twice: to look for repetitions in them takes more time than all else that is done to them
        packed = (name, type_) == (ByEvent.column, Type.TEXT) and self._knows_zstd
        return super()._definition(name, type_) + " USING COMPRESSION zstd" * packed

    @property
    def _knows_zstd(self) -> bool:
        """Whether the file is of a format that has it; others would not compress at all."""
        version = "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = current_database()"
        ((found,),) = self._rows(version)
        return str(found) >= "v1.2"

    @property
    def _spools(self) -> Path:
        return self.path.with_name(f"{self.path.name}.spool")


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells the file at *path* from any other, whatever it is called; nothing if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def connect(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """
    Open a file as sinks do; one that is not there is made, unless it is only looked at.

    :raises SettingsError: when it cannot be opened, or is no database
    :raises LoadError: when it cannot be made, as on a full disk
    :raises DestinationBusy: when another process has it open
    """
    if not os.path.isdir(path.parent):  # noqa: PTH112 (which raises nothing)
        raise SettingsError(
            "The directory of the destination does not exist.",
            hint="Create it, or name another file.",
            destination=path,
        )
    if not read_only:
        making.make(path)
    try:
        database = duckdb.connect(str(path), read_only, config=CONFIG)
    except duckdb.Error as error:
        if making.is_busy(error):
            raise DestinationBusy(destination=path, reason=first_line(error)) from error
        raise SettingsError(
            "The destination cannot be opened.",
            hint="Name a DuckDB file that you may read and write, or a new one.",
            destination=path,
            reason=first_line(error),
        ) from error
    database.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    return database
