"""Delta: a table is what its log says; each load is one commit to it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from deltalake import DeltaTable, Field, Schema
from deltalake.exceptions import DeltaError
from deltalake.schema import PrimitiveType
from deltalake.transaction import AddAction, CommitProperties, RemoveAction, Transaction

from reiterate.catalog.model import Type
from reiterate.errors import LoadError
from reiterate.sinks.lake.change import Format, Superseded
from reiterate.sinks.lake.storage import Local

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reiterate.sinks.lake.change import Change, Written
    from reiterate.sinks.lake.storage import Storage

TYPES: Mapping[Type, str] = {
    Type.TEXT: "string",
    Type.BIGINT: "long",
    Type.DOUBLE: "double",
    Type.BOOLEAN: "boolean",
    Type.TIMESTAMP: "timestamp",
    Type.DATE: "date",
    Type.JSON: "string",
}
APP_ID = "reiterate"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Delta(Format):
    """
    Delta tables, of the plainest protocol (reader 1, writer 2), so that every engine reads them.

    The number of the latest load stands in the log (``txn``), so that none is committed twice.
    """

    NAME: ClassVar[str] = "delta"
    ERRORS: ClassVar[tuple[type[Exception], ...]] = (DeltaError, ValueError)

    def __init__(self, place: Storage) -> None:
        super().__init__(place)
        self._open: dict[str, DeltaTable] = {}

    def has(self, table: str) -> bool:
        # whoever dropped a table of which we know may have to wait for the next sync
        return (table in self._open and not isinstance(self.place, Local)) or self._is_there(table)

    def _is_there(self, table: str) -> bool:
        if not self.place.has_directory(f"{table}/_delta_log"):
            return False
        return DeltaTable.is_deltatable(self.place.url(table), dict(self.place.options))

    def files(self, table: str) -> list[str]:
        return [str(path) for path in self._table(table).get_add_actions().column("path").to_pylist()]

    def apply(self, change: Change) -> None:
        self.place.make(change.table)
        self._move(change)
        if not self._is_there(change.table):
            self._open.pop(change.table, None)
            if change.there:
                raise Superseded(change.table)
            DeltaTable.create(
                self.place.url(change.table),
                Schema(_fields(change.columns)),
                name=change.table,
                storage_options=dict(self.place.options),
            )
        table = self._table(change.table)
        if table.transaction_version(APP_ID) == change.load:
            return
        self.check(change)
        there = {field.name for field in table.schema().fields}
        if new := _fields({name: type_ for name, type_ in change.columns.items() if name not in there}):
            table.alter.add_columns(new)
        now_ms = round(datetime.now(UTC).timestamp() * 1000)
        actions: list[AddAction | RemoveAction] = [self._added(change, written) for written in change.written]
        actions += [RemoveAction(name, data_change=True, deletion_timestamp=now_ms) for name in change.removed]
        table.create_write_transaction(
            actions,
            "append",
            table.schema(),
            commit_properties=CommitProperties(
                app_transactions=[Transaction(APP_ID, change.load)],
                max_commit_retries=0,  # whoever was overtaken must not come after what he has not seen
            ),
        )
        log = f"{change.table}/_delta_log"
        self.place.sync(f"{log}/{self._table(change.table).version():020}.json")
        self.place.sync(log)

    def tidy(self, table: str) -> None:
        # files that no version of the last week has
        self._table(table).vacuum(dry_run=False)

    def drop(self, table: str) -> None:
        self._open.pop(table, None)
        super().drop(table)

    def _table(self, name: str) -> DeltaTable:
        if name not in self._open:
            self._open[name] = DeltaTable(self.place.url(name), storage_options=dict(self.place.options))
        table = self._open[name]
        table.update_incremental()
        if table.protocol().min_reader_version > 1:
            raise LoadError(
                "Somebody let this Delta table have features that Reiterate does not know.",
                hint="Deletion vectors and column mapping cannot be used with it.",
                table=name,
            )
        return table

    def _added(self, change: Change, written: Written) -> AddAction:
        return AddAction(
            path=written.name,
            size=self.place.size(f"{change.table}/{written.name}"),
            partition_values={},
            modification_time=round(datetime.now(UTC).timestamp() * 1000),
            data_change=True,
            stats=json.dumps(_statistics(change.cursor, written)),
        )


def _fields(columns: Mapping[str, Type]) -> list[Field]:
    return [Field(name, PrimitiveType(TYPES[type_])) for name, type_ in columns.items()]


def _statistics(cursor: str | None, written: Written) -> dict[str, object]:
    """Return what lets engines skip the file; bounds are in whole milliseconds, so they are rounded outwards."""
    if cursor is None or written.first_us is None or written.last_us is None:
        return {"numRecords": written.rows}
    return {
        "numRecords": written.rows,
        "minValues": {cursor: _moment(written.first_us // 1000)},
        "maxValues": {cursor: _moment(-(-written.last_us // 1000))},
        "nullCount": {cursor: 0},
    }


def _moment(epoch_ms: int) -> str:
    return (EPOCH + timedelta(milliseconds=epoch_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
