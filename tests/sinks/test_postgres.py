"""The PostgreSQL sink: the suite, and what only a server has."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from reiterate.secret import Secret
from reiterate.sinks.postgres import PostgresSink
from tests import postgres, replica
from tests.sinks.suite import Destination, OneByOne, SinkSuite

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sinks.batches import Row

DATASETS = count()


class Dataset(Destination):
    """A dataset of its own in the server of this process."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.url = postgres.address()
        self.dataset = f"set {next(DATASETS)}"

    def open(self) -> PostgresSink:
        return PostgresSink(Secret(self.url), self.dataset, shown="postgresql://test")

    def rows(self, table: str) -> list[Row]:
        return replica.rows(self.url, table, self.dataset)

    def drop(self, table: str) -> None:
        replica.execute(self.url, f"DROP TABLE {table}", self.dataset)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        return replica.execute(self.url, query, self.dataset)


class TestPostgres(OneByOne, SinkSuite):
    """All that every destination must do."""

    kind = Dataset

    @pytest.fixture(autouse=True)
    def _spool_below_the_destination(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Raw files lie where the suite looks for them."""
        postgres.address()  # the server itself lies elsewhere
        monkeypatch.setenv("TMPDIR", str(tmp_path / "destination"))  # of processes that are started
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "destination"))
