"""Directories of files: the suite for each format, and what only files have."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, ClassVar

from pyiceberg.catalog.sql import SqlCatalog

from reiterate.sinks.lake import LakeSink, Parquet
from reiterate.sinks.lake.delta import Delta
from reiterate.sinks.lake.iceberg import Iceberg
from tests import replica
from tests.sinks.suite import Destination, SinkSuite

if TYPE_CHECKING:
    from reiterate.sinks.lake import Format
    from tests.sinks.batches import Row


class Files(Destination):
    """A dataset of plain Parquet files."""

    format: ClassVar[type[Format]] = Parquet

    def open(self) -> LakeSink:
        return LakeSink(self.format(self.directory / "iterable"))

    def rows(self, table: str) -> list[Row]:
        return replica.rows(replica.Lake(self.directory, self.format.NAME), table)

    def drop(self, table: str) -> None:
        shutil.rmtree(self.directory / "iterable" / table)

    def size_bytes(self) -> int:
        # rows that repeat are next to nothing in Parquet
        return super().size_bytes() * 100


class DeltaFiles(Files):
    """A dataset of Delta tables."""

    format = Delta


class IcebergFiles(Files):
    """A dataset of Iceberg tables."""

    format = Iceberg

    def drop(self, table: str) -> None:
        SqlCatalog("reiterate", uri=f"sqlite:///{self.directory / 'catalog.db'}").drop_table(("iterable", table))


class TestParquet(SinkSuite):
    """All that every destination must do."""

    kind = Files


class TestDelta(SinkSuite):
    """All that every destination must do."""

    kind = DeltaFiles


class TestIceberg(SinkSuite):
    """All that every destination must do."""

    kind = IcebergFiles
