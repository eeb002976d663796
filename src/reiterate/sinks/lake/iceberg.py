"""Iceberg: a table is what its snapshots say; each load is one snapshot, in a catalog that lies in the directory."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from pyarrow import ArrowException  # type: ignore[import-untyped]
from pyiceberg import exceptions
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.io.pyarrow import parquet_file_to_data_file
from pyiceberg.schema import Schema
from pyiceberg.types import (
    BooleanType,
    DateType,
    DoubleType,
    IcebergType,
    LongType,
    NestedField,
    StringType,
    TimestamptzType,
)
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from reiterate.catalog.model import Type
from reiterate.sinks.lake.change import Format
from reiterate.sinks.lake.labels import NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table, Transaction

    from reiterate.sinks.lake.change import Change
    from reiterate.sinks.lake.storage import Local

TYPES: Mapping[Type, IcebergType] = {
    Type.TEXT: StringType(),
    Type.BIGINT: LongType(),
    Type.DOUBLE: DoubleType(),
    Type.BOOLEAN: BooleanType(),
    Type.TIMESTAMP: TimestamptzType(),
    Type.DATE: DateType(),
    Type.JSON: StringType(),
}
LOAD = "reiterate-load"
CLOCK_S = 1
"""So far apart may be the clock and the times that a file system keeps."""

KEPT, KEPT_SNAPSHOTS, MOST_MANIFESTS = timedelta(days=7), 50, 20
"""How long files are kept that left a table, for readers who look back; what is more makes each load slower."""

PROPERTIES = {
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": f"{MOST_MANIFESTS}",
}


class Iceberg(Format):
    """
    Iceberg tables in a catalog of SQLite, ``catalog.db``, beside the datasets.

    The number of the load stands in the summary of its snapshot, so that none is committed twice.
    """

    NAME: ClassVar[str] = "iceberg"
    ERRORS: ClassVar[tuple[type[Exception], ...]] = (
        exceptions.CommitFailedException,
        exceptions.NoSuchTableError,
        exceptions.TableAlreadyExistsError,
        exceptions.ValidationError,
        ArrowException,
        SQLAlchemyError,
        ValueError,
    )

    def __init__(self, place: Local, *, kept: timedelta = KEPT, kept_snapshots: int = KEPT_SNAPSHOTS) -> None:
        super().__init__(place)
        self.root = place.root
        self._kept = kept
        self._kept_snapshots = kept_snapshots
        self._files: dict[str, tuple[int | None, dict[str, DataFile]]] = {}

    @cached_property
    def _catalog(self) -> SqlCatalog:
        # it makes its file, so the directory must be there
        directory = self.root.parent.absolute()
        uri = URL.create("sqlite", database=str(directory / "catalog.db"))
        return SqlCatalog("reiterate", uri=uri.render_as_string(), warehouse=directory.as_uri())

    def has(self, table: str) -> bool:
        return self._catalog.table_exists((self.root.name, table))

    def files(self, table: str) -> list[str]:
        return list(self._data_files(self._table(table)))

    def apply(self, change: Change) -> None:
        self.place.make(change.table)
        self._move(change)
        self._catalog.create_namespace_if_not_exists(self.root.name)
        table = self._table(change.table) if self.has(change.table) else self._create(change)
        if any(snapshot.summary and snapshot.summary.get(LOAD) == str(change.load) for snapshot in table.snapshots()):
            return
        self.check(change)
        began = time.time()
        files = self._data_files(table)
        with table.transaction() as transaction:
            _widen(transaction, change.columns)
            snapshots = transaction.update_snapshot(snapshot_properties={LOAD: str(change.load)})
            with snapshots.overwrite() if change.removed else snapshots.merge_append() as snapshot:
                for written in change.written:
                    file = parquet_file_to_data_file(
                        table.io, transaction.table_metadata, self._uri(change.table, written.name)
                    )
                    snapshot.append_data_file(file)
                for name in change.removed:
                    snapshot.delete_data_file(files[name])
        for name in change.removed:
            # when it left, for tidy()
            self.root.joinpath(change.table, name).touch()
        self._shorten(change.table)
        metadata = self.root / change.table / "metadata"
        for path in metadata.iterdir():
            if path.stat().st_mtime >= began - CLOCK_S:
                self.place.sync(f"{change.table}/metadata/{path.name}")
        self.place.sync(f"{change.table}/metadata")

    def tidy(self, table: str) -> None:
        before = datetime.now(UTC) - self._kept
        self._table(table).maintenance.expire_snapshots().older_than(before).commit()
        live = self._data_files(self._table(table))
        for path in (self.root / table).glob("*.parquet"):
            if NAME.fullmatch(path.name) and path.name not in live and path.stat().st_mtime < before.timestamp():
                path.unlink()

    def drop(self, table: str) -> None:
        if self.has(table):
            self._catalog.drop_table((self.root.name, table))
        self._files.pop(table, None)
        super().drop(table)

    def _shorten(self, name: str) -> None:
        """Keep a table's metadata short, so that a load's cost does not grow with how many there were before it."""
        table = self._table(name)
        snapshots = sorted(table.snapshots(), key=lambda snapshot: snapshot.sequence_number or 0)
        if len(snapshots) > 2 * self._kept_snapshots:
            old = [snapshot.snapshot_id for snapshot in snapshots[: -self._kept_snapshots]]
            table.maintenance.expire_snapshots().by_ids(old).commit()
        latest = table.current_snapshot()
        if latest and len(latest.manifests(table.io)) > MOST_MANIFESTS:
            with table.transaction() as transaction, transaction.update_snapshot().merge_append():
                pass

    def _table(self, name: str) -> Table:
        return self._catalog.load_table((self.root.name, name))

    def _create(self, change: Change) -> Table:
        fields = (
            NestedField(number, name, TYPES[type_]) for number, (name, type_) in enumerate(change.columns.items(), 1)
        )
        return self._catalog.create_table(
            (self.root.name, change.table),
            Schema(*fields),
            location=self._uri(change.table),
            properties=PROPERTIES,
        )

    def _data_files(self, table: Table) -> dict[str, DataFile]:
        """Return the files of the table's latest snapshot, by their names."""
        name, now = table.name()[-1], table.metadata.current_snapshot_id
        if name not in self._files or self._files[name][0] != now:
            prefix = f"{self._uri(name)}/"
            found = (task.file for task in table.scan().plan_files())
            self._files[name] = now, {file.file_path.removeprefix(prefix): file for file in found}
        return self._files[name][1]

    def _uri(self, *names: str) -> str:
        return self.root.absolute().joinpath(*names).as_uri()


def _widen(transaction: Transaction, columns: Mapping[str, Type]) -> None:
    """Give the table what it lacks of *columns*; the files name them, and hold no numbers of fields."""
    there = {field.name for field in transaction.table_metadata.schema().fields}
    if new := [name for name in columns if name not in there]:
        with transaction.update_schema() as schema:
            for name in new:
                schema.add_column((name,), TYPES[columns[name]])
    mapping = transaction.table_metadata.schema().name_mapping.model_dump_json()
    if new or transaction.table_metadata.name_mapping() is None:
        transaction.set_properties({"schema.name-mapping.default": mapping})
