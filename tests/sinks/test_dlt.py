"""The dlt sink: the suite over two databases that run here, and what only warehouses have."""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings

from reiterate.secret import Secret
from reiterate.sinks.dlt import DltSink
from tests import postgres, replica
from tests.sinks import model
from tests.sinks.suite import Destination, SinkSuite

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sinks.batches import Row

DATASETS = count()


class ByDlt(Destination):
    """What dlt writes first is so small when rows are alike that its growth is looked at closely."""

    def size_bytes(self) -> int:
        return 100 * super().size_bytes()


class OverDuckDB(ByDlt):
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


class OverPostgres(ByDlt):
    """A dataset of its own in the server of this process, reached by dlt."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.url = postgres.address()
        self.dataset = f"set_{next(DATASETS)}"

    def open(self) -> DltSink:
        os.environ["TMPDIR"] = str(self.directory)
        os.environ.update(credentials_of(self.url))
        return DltSink("postgres", Secret("postgres://"), self.dataset, shown="postgresql://test")

    def rows(self, table: str) -> list[Row]:
        return replica.rows(self.url, table, self.dataset)

    def drop(self, table: str) -> None:
        replica.execute(self.url, f"DROP TABLE {table}", self.dataset)


def credentials_of(url: str) -> dict[str, str]:
    """Return the variables by which dlt reaches the server: its socket stands in no address that dlt takes."""
    parts = urlsplit(url)
    found = {
        "HOST": quote(parse_qs(parts.query)["host"][0], safe=""),
        "USERNAME": parts.username,
        "PASSWORD": parts.password or "none",
        "DATABASE": parts.path.strip("/"),
    }
    return {f"DESTINATION__POSTGRES__CREDENTIALS__{name}": value for name, value in found.items() if value}


class Suite(SinkSuite):
    """All that every destination must do."""

    @pytest.fixture(autouse=True)
    def _spool_below_the_destination(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Raw files lie where the suite looks for them."""
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "destination"))

    @given(steps=model.steps)
    @settings(
        derandomize=True,
        deadline=None,
        max_examples=3,  # a load by dlt takes half a second
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    def test_any_loads(self, place: Destination, steps: list[model.Step]) -> None:
        """Whatever is loaded in whatever order, the tables end as plain dictionaries do, and every number is right."""
        SinkSuite.test_any_loads.hypothesis.inner_test(self, place, steps)  # type: ignore[attr-defined]


class TestOverDuckDB(Suite):
    kind = OverDuckDB


class TestOverPostgres(Suite):
    kind = OverPostgres

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _server(cls) -> None:
        """The server's own files lie elsewhere."""
        postgres.address()
