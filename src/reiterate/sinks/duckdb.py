"""The embedded destination: the relation goes straight into a DuckDB file, in one transaction with its fact."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING, Any, ClassVar

import duckdb

from reiterate import sql
from reiterate.catalog.model import Type
from reiterate.errors import DestinationBusy, SettingsError
from reiterate.sinks.relational import RelationalSink, differs, first_line, names_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from reiterate.flow import Batch

CONFIG: dict[str, str | bool | int | float | list[str]] = {"memory_limit": "300MB", "preserve_insertion_order": "false"}


class DuckDBSink(RelationalSink):
    """
    A schema of a DuckDB file.

    DuckDB lets one process at a time open a file for writing, so runs cannot interleave.

    A sink that is *read_only* only tells what is there.

    :raises SettingsError: when the file cannot be opened, or is no database
    :raises DestinationBusy: when another process has it open
    """

    TYPES: ClassVar[Mapping[Type, str]] = {
        Type.TEXT: "VARCHAR",
        Type.BIGINT: "BIGINT",
        Type.DOUBLE: "DOUBLE",
        Type.BOOLEAN: "BOOLEAN",
        Type.TIMESTAMP: "TIMESTAMP WITH TIME ZONE",
        Type.DATE: "DATE",
        Type.JSON: "JSON",
    }
    ERRORS: tuple[type[Exception], ...] = (duckdb.Error,)

    def __init__(self, path: Path, dataset: str, *, read_only: bool = False) -> None:
        self.path = path
        self._database = _open(path, read_only=read_only)
        self._read_only = read_only
        # a schema may be called like its file, as iterable in iterable.duckdb: only the whole path is clear then
        ((catalog,),) = self._rows("SELECT current_database()")
        super().__init__(f"{sql.name(catalog)}.{sql.name(dataset)}", dataset, path)
        if read_only:
            return
        with self._transaction():
            self._do(f"CREATE SCHEMA IF NOT EXISTS {self._schema}")
            self._make_own_tables()
        self._make_spool()

    def _make_spool(self) -> None:
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

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._database.execute(query).fetchall()

    def _do(self, statement: str) -> int:
        found = self._database.execute(statement).fetchall()
        return int(found[0][0]) if found else 0

    def _do_aside(self, statement: str) -> None:
        with self._database.cursor() as cursor:
            cursor.execute(statement)

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

    @contextlib.contextmanager
    def _staged(self, batch: Batch, *, again: bool = False) -> Iterator[str]:
        if not again:
            yield f"({batch.query})"
            return
        self._do(f"CREATE OR REPLACE TEMP TABLE staged AS {batch.query}")
        yield "staged"

    def _append(self, batch: Batch) -> int:
        return self._do(f"INSERT INTO {self._name(batch.task.table.name)} BY NAME {batch.query}")

    def _merge(self, batch: Batch, staged: str, scope: str) -> tuple[int, int]:
        table = self._name(batch.task.table.name)
        size = f"SELECT count(*) FROM {table}"
        before = self._number(size)
        names = [sql.name(name) for name in names_in(batch)]
        touched = self._do(
            f"""MERGE INTO {table} AS t USING {staged} AS s ON {scope} AND {self._same(batch)}
                WHEN MATCHED AND {differs(batch)} THEN UPDATE SET {sql.listed(f"{name} = s.{name}" for name in names)}
                WHEN NOT MATCHED THEN INSERT ({sql.listed(names)})
                    VALUES ({sql.listed(f"s.{name}" for name in names)})"""
        )
        added = self._number(size) - before
        return added, touched - added

    def _us(self, expression: str) -> str:
        return f"epoch_us({expression})"

    def _same_value(self, left: str, right: str) -> str:
        return f"{left} IS NOT DISTINCT FROM {right}"


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
            raise DestinationBusy(destination=path, reason=first_line(error)) from error
        raise SettingsError(
            "The destination cannot be opened.",
            hint="Name a DuckDB file that you may read and write, or a new one.",
            destination=path,
            reason=first_line(error),
        ) from error
    database.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    return database
