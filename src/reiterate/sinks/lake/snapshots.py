"""Iceberg: a table is what its snapshots say; each load is one snapshot."""

from __future__ import annotations

import json
from abc import abstractmethod
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from pyarrow import ArrowException  # type: ignore[import-untyped]
from pyiceberg import exceptions
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

from reiterate.catalog.model import Type
from reiterate.sinks.lake.change import Format, Superseded
from reiterate.sinks.lake.labels import NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pyiceberg.catalog import Catalog
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table, Transaction

    from reiterate.sinks.lake.change import Change
    from reiterate.sinks.lake.storage import Storage

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

KEPT, KEPT_SNAPSHOTS, MOST_MANIFESTS = timedelta(days=7), 50, 20
"""How long files are kept that left a table, for readers who look back; what is more makes each load slower."""

LOOKS = 7
"""So often within that time is it looked up which files left: it takes lists of all there are."""

LEFT = "metadata/reiterate-left.json"
"""When each file that nothing names was first found so."""

PROPERTIES = {
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": f"{MOST_MANIFESTS}",
    "commit.retry.num-retries": "0",  # whoever was overtaken must not come after what he has not seen
}


class Snapshots(Format):
    """
    Iceberg tables in a catalog.

    The number of the load stands in the summary of its snapshot, so that none is committed twice.
    """

    NAME: ClassVar[str] = "iceberg"
    ERRORS: ClassVar[tuple[type[Exception], ...]] = (
        exceptions.CommitFailedException,
        exceptions.CommitStateUnknownException,
        exceptions.NoSuchTableError,
        exceptions.TableAlreadyExistsError,
        exceptions.ValidationError,
        ArrowException,
        ValueError,
    )

    def __init__(self, place: Storage, *, kept: timedelta = KEPT, kept_snapshots: int = KEPT_SNAPSHOTS) -> None:
        super().__init__(place)
        self._kept = kept
        self._kept_snapshots = kept_snapshots
        self._files: dict[str, tuple[int | None, dict[str, DataFile]]] = {}

    @property
    @abstractmethod
    def _catalog(self) -> Catalog:
        """The catalog; it may be asked for before anything is there."""

    @abstractmethod
    def _uri(self, *names: str) -> str:
        """Return what metadata calls a table, or a file of it."""

    def _show(self, table: str) -> None:
        """Let readers find the latest snapshot of a table, whoever made it."""

    def has(self, table: str) -> bool:
        return self._catalog.table_exists((self.place.dataset, table))

    def files(self, table: str) -> list[str]:
        return list(self._data_files(self._table(table)))

    def apply(self, change: Change) -> None:
        self.place.make(change.table)
        self._move(change)
        there = self.has(change.table)
        if change.there and not there:
            raise Superseded(change.table)
        table = self._table(change.table) if there else self._create(change)
        if not any(one.summary and one.summary.get(LOAD) == str(change.load) for one in table.snapshots()):
            self.check(change)
            self._commit(table, change)
            self._shorten(change.table)
        self._show(change.table)

    def _commit(self, table: Table, change: Change) -> None:
        files = self._data_files(table)
        joining: dict[str, DataFile] = {}
        with table.transaction() as transaction:
            _widen(transaction, change.columns)
            snapshots = transaction.update_snapshot(snapshot_properties={LOAD: str(change.load)})
            with snapshots.overwrite() if change.removed else snapshots.merge_append() as snapshot:
                for written in change.written:
                    file = parquet_file_to_data_file(
                        table.io, transaction.table_metadata, self._uri(change.table, written.name)
                    )
                    file.spec_id = table.metadata.default_spec_id
                    snapshot.append_data_file(file)
                    joining[written.name] = file
                for name in change.removed:
                    snapshot.delete_data_file(files[name])
        staying = {name: file for name, file in files.items() if name not in change.removed}
        self._files[change.table] = table.metadata.current_snapshot_id, staying | joining

    def drop(self, table: str) -> None:
        if self.has(table):
            self._catalog.drop_table((self.place.dataset, table))
        self._files.pop(table, None)
        super().drop(table)

    def _shorten(self, name: str) -> None:
        """Keep a table's metadata short, so that a load's cost does not grow with how many there were before it."""
        table = self._table(name)
        snapshots = sorted(table.snapshots(), key=lambda snapshot: snapshot.sequence_number or 0)
        if len(snapshots) > 2 * self._kept_snapshots:
            _expire(table, (snapshot.snapshot_id for snapshot in snapshots[: -self._kept_snapshots]))
        latest = table.current_snapshot()
        if latest and len(latest.manifests(table.io)) > MOST_MANIFESTS:
            with table.transaction() as transaction, transaction.update_snapshot().merge_append():
                pass

    def _table(self, name: str) -> Table:
        return self._catalog.load_table((self.place.dataset, name))

    def _create(self, change: Change) -> Table:
        fields = (
            NestedField(number, name, TYPES[type_]) for number, (name, type_) in enumerate(change.columns.items(), 1)
        )
        return self._catalog.create_table(
            (self.place.dataset, change.table),
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

    # ── what nobody reads any more ───────────────────────────────────────────────────────────────────────────────────

    def tidy(self, table: str) -> None:
        """
        Remove files that no snapshot has named for as long as they are kept.

        A file is noted when it is first found without a name in the latest snapshots, and goes when the note is old
        enough: whatever snapshot named it is older then, and has been expired. So whoever reads has all that time.
        """
        now = datetime.now(UTC)
        looked, left = self._left(table)
        if looked and now - looked < self._kept / LOOKS:
            return
        self._show(table)
        opened, before = self._table(table), now - self._kept
        _expire(opened, (one.snapshot_id for one in opened.snapshots() if one.timestamp_ms / 1000 < before.timestamp()))
        live = self._live(self._table(table))
        left = {name: left.get(name, now) for name in self._there(table) if name not in live}
        for name in [name for name, since in left.items() if since <= before]:
            self.place.remove(self.at(table, name))
            del left[name]
        self._note_left(table, now, left)

    def _there(self, table: str) -> list[str]:
        """Return the names of files of a table that Iceberg or we made."""
        data = [name for name in self.place.names(self.at(table)) if NAME.fullmatch(name)]
        metadata = self.place.names(self.at(table, "metadata"))
        return data + [f"metadata/{name}" for name in metadata if name.endswith((".avro", ".metadata.json"))]

    def _live(self, table: Table) -> set[str]:
        """Return the names of the files that the latest snapshot needs, and those that somebody gave a name."""
        named = {table.metadata_location}
        for each in {ref.snapshot_id for ref in table.refs().values()}:
            if snapshot := table.snapshot_by_id(each):
                named |= {snapshot.manifest_list, *(one.manifest_path for one in snapshot.manifests(table.io))}
                named |= {task.file.file_path for task in table.scan(snapshot_id=each).plan_files()}
        prefix = f"{self._uri(table.name()[-1])}/"
        return {location.removeprefix(prefix) for location in named}

    def _left(self, table: str) -> tuple[datetime | None, dict[str, datetime]]:
        """Return when it was last looked which files left, and since when each of them is gone."""
        try:
            with self._table(table).io.new_input(self._uri(table, LEFT)).open() as stream:
                found = json.loads(stream.read())
        except FileNotFoundError:
            return None, {}
        return datetime.fromisoformat(found["looked"]), {
            name: datetime.fromisoformat(since) for name, since in found["left"].items()
        }

    def _note_left(self, table: str, looked: datetime, left: Mapping[str, datetime]) -> None:
        note = {"looked": looked.isoformat(), "left": {name: since.isoformat() for name, since in left.items()}}
        target = self._table(table).io.new_output(self._uri(table, LEFT))
        with target.create(overwrite=True) as stream:
            stream.write(json.dumps(note).encode())


def _expire(table: Table, snapshots: Iterable[int]) -> None:
    named = {ref.snapshot_id for ref in table.refs().values()}
    if old := [each for each in snapshots if each not in named]:
        table.maintenance.expire_snapshots().by_ids(old).commit()


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
