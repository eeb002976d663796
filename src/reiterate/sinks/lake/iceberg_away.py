"""
Iceberg in a bucket, without a catalog: each state of a table is a numbered object, as Hadoop's tables have it.

    email_click/metadata/v41.metadata.json    what was
    email_click/metadata/v42.metadata.json    the table as it is
    email_click/metadata/version-hint.text    42, for readers

The next state is put on condition that nobody has its number. The hint follows, and is written only by whoever saw the
one before, so it never goes back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError, PreconditionError
from pyiceberg.catalog.noop import NoopCatalog
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException, NoSuchTableError
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import CommitTableResponse, Table
from pyiceberg.table.metadata import TableMetadata, TableMetadataUtil, new_table_metadata
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER, SortOrder
from pyiceberg.table.update import update_table_metadata
from pyiceberg.typedef import EMPTY_DICT

from reiterate.sinks.lake.bucket import version
from reiterate.sinks.lake.objects import Objects
from reiterate.sinks.lake.snapshots import KEPT, KEPT_SNAPSHOTS, Snapshots

if TYPE_CHECKING:
    from datetime import timedelta

    import pyarrow as pa  # type: ignore[import-untyped]
    from obstore import UpdateVersion
    from pyiceberg.table.update import TableRequirement, TableUpdate
    from pyiceberg.typedef import Identifier, Properties

    from reiterate.sinks.lake.bucket import Bucket
    from reiterate.sinks.lake.change import Change

STATE = re.compile(r"v(\d+)\.metadata\.json")


@dataclass(frozen=True)
class State:
    """A table's state by its *number*, and what the hint says: its number, and the version that it had then."""

    number: int
    metadata: TableMetadata
    hint: int
    seen: UpdateVersion


class Numbered(NoopCatalog):
    """
    The tables of a dataset in a bucket.

    What this process has seen of a table holds until it cannot commit: whoever else writes meanwhile is noticed then.
    """

    def __init__(self, bucket: Bucket) -> None:
        super().__init__("reiterate")
        self._bucket = bucket
        self._io = Objects(bucket)
        self._known: dict[str, State] = {}

    def table_exists(self, identifier: str | Identifier) -> bool:
        return self._look(identifier[-1]) is not None

    def load_table(self, identifier: str | Identifier) -> Table:
        name = identifier[-1]
        state = self._look(name)
        if state is None:
            raise NoSuchTableError(name)
        location = self._bucket.location(_state(name, state.number))
        return Table(tuple(identifier), state.metadata, location, self._io, self)

    def create_table(
        self,
        identifier: str | Identifier,
        schema: Schema | pa.Schema,
        location: str | None = None,
        partition_spec: PartitionSpec = UNPARTITIONED_PARTITION_SPEC,
        sort_order: SortOrder = UNSORTED_SORT_ORDER,
        properties: Properties = EMPTY_DICT,
    ) -> Table:
        name = identifier[-1]
        if not isinstance(schema, Schema):
            raise TypeError(schema)
        metadata = new_table_metadata(schema, partition_spec, sort_order, location or "", dict(properties))
        # states without a hint are of a table that was dropped, or never came to be
        left = [int(found[1]) for each in self._bucket.names(f"{name}/metadata") if (found := STATE.fullmatch(each))]
        number = max(left, default=0) + 1
        self._put(name, number, metadata)
        seen = self._bucket.put(_hint(name), _text(number), mode="create")
        self._known[name] = State(number, metadata, number, seen)
        return self.load_table(identifier)

    def commit_table(
        self, table: Table, requirements: tuple[TableRequirement, ...], updates: tuple[TableUpdate, ...]
    ) -> CommitTableResponse:
        name = table.name()[-1]
        now = self.load_table(table.name())
        for requirement in requirements:
            requirement.validate(now.metadata)
        metadata = update_table_metadata(now.metadata, updates, metadata_location=now.metadata_location)
        state = self._known[name]
        try:
            self._put(name, state.number + 1, metadata)
        except BaseException:
            self.forget(name)
            raise
        self._known[name] = State(state.number + 1, metadata, state.hint, state.seen)
        self.show(name)
        location = self._bucket.location(_state(name, state.number + 1))
        return CommitTableResponse.model_validate({"metadata": metadata, "metadata-location": location})

    def drop_table(self, identifier: str | Identifier) -> None:
        self.forget(identifier[-1])
        self._bucket.remove(_hint(identifier[-1]))

    def forget(self, name: str) -> None:
        """Look at a table anew the next time."""
        self._known.pop(name, None)

    def show(self, name: str) -> None:
        """
        Let the hint name the latest state.

        :raises CommitStateUnknownException: when another process has written it, or the table was dropped
        """
        state = self._known[name]
        if state.hint == state.number:
            return
        try:
            seen = self._bucket.put(_hint(name), _text(state.number), mode=state.seen)
        except (PreconditionError, FileNotFoundError) as error:
            self.forget(name)
            after = self._look(name)
            # perhaps we did, and did not hear of it
            if after is None or after.number != state.number or after.hint != state.number:
                raise CommitStateUnknownException(f"Somebody else changed {name}, or dropped it.") from error
            return
        self._known[name] = State(state.number, state.metadata, state.number, seen)

    def _put(self, name: str, number: int, metadata: TableMetadata) -> None:
        """
        Put a state of which nobody has the number.

        :raises CommitFailedException: when somebody has
        """
        body = metadata.model_dump_json(exclude_none=True).encode()
        try:
            self._bucket.put(_state(name, number), body, mode="create")
        except AlreadyExistsError as error:
            # perhaps we did, and did not hear of it
            if self._read(_state(name, number)) != body:
                raise CommitFailedException(f"Somebody else changed {name}.") from error

    def _look(self, name: str) -> State | None:
        """Return the latest state of a table, if it is there: the one that the hint names, or one that came after."""
        if name not in self._known:
            try:
                found = obstore.get(self._bucket.store, _hint(name))
            except FileNotFoundError:
                return None
            seen = version(found.meta)
            hint = number = int(bytes(found.bytes()))
            body = self._read(_state(name, number))
            while self._bucket.has(_state(name, number + 1)):
                number += 1
                body = self._read(_state(name, number))
            self._known[name] = State(number, TableMetadataUtil.parse_raw(body.decode()), hint, seen)
        return self._known[name]

    def _read(self, file: str) -> bytes:
        return bytes(obstore.get(self._bucket.store, file).bytes())


class IcebergAway(Snapshots):
    """Iceberg tables in a bucket."""

    def __init__(self, place: Bucket, *, kept: timedelta = KEPT, kept_snapshots: int = KEPT_SNAPSHOTS) -> None:
        super().__init__(place, kept=kept, kept_snapshots=kept_snapshots)
        self._bucket = place
        self._numbered = Numbered(place)

    @property
    def _catalog(self) -> Numbered:
        return self._numbered

    def apply(self, change: Change) -> None:
        try:
            super().apply(change)
        except BaseException:
            # a person may have dropped the table, or another program changed it
            self._numbered.forget(change.table)
            raise

    def _uri(self, *names: str) -> str:
        return self._bucket.location("/".join(names))

    def _show(self, table: str) -> None:
        self._numbered.show(table)


def _state(name: str, number: int) -> str:
    return f"{name}/metadata/v{number}.metadata.json"


def _hint(name: str) -> str:
    return f"{name}/metadata/version-hint.text"


def _text(number: int) -> bytes:
    return f"{number}".encode()
