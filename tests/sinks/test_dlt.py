"""The dlt sink: the suite over two databases that run here, and what only warehouses have."""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING

import pytest

from reiterate.secret import Secret
from reiterate.sinks.dlt import DltSink
from tests import postgres, replica
from tests.sinks.suite import Destination, SinkSuite

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sinks.batches import Row

DATASETS = count()


class OverDuckDB(Destination):
    """A DuckDB file, reached by dlt."""

    @property
    def path(self) -> Path:
        return self.directory / "shop.duckdb"

    def open(self) -> DltSink:
        os.environ["TMPDIR"] = str(self.directory)
        return DltSink("duckdb", Secret(f"duckdb:///{self.path}"), "iterable", shown=f"duckdb:///{self.path}")

    def rows(self, table: str) -> list[Row]:
        return replica.rows(self.path, table)

    def drop(self, table: str) -> None:
        replica.execute(self.path, f"DROP TABLE {table}")


class OverPostgres(Destination):
    """A dataset of its own in the server of this process, reached by dlt."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.url = postgres.address()
        self.dataset = f"set {next(DATASETS)} of dlt"

    def open(self) -> DltSink:
        os.environ["TMPDIR"] = str(self.directory)
        return DltSink("postgres", Secret(self.url), self.dataset, shown="postgresql://test")

    def rows(self, table: str) -> list[Row]:
        return replica.rows(self.url, table, self.dataset)

    def drop(self, table: str) -> None:
        replica.execute(self.url, f"DROP TABLE {table}", self.dataset)


class Suite(SinkSuite):
    """All that every destination must do."""

    @pytest.fixture(autouse=True)
    def _spool_below_the_destination(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Raw files lie where the suite looks for them."""
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "destination"))


class TestOverDuckDB(Suite):
    kind = OverDuckDB


class TestOverPostgres(Suite):
    kind = OverPostgres
