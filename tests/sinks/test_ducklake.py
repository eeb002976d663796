"""The sink of DuckLakes: the suite, and what a lake has of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

from reiterate.errors import DestinationBusy
from reiterate.settings import Destination as Setting
from reiterate.sinks import sink_at
from tests import replica
from tests.sinks import model
from tests.sinks.batches import click, first_read, numbers
from tests.sinks.suite import Destination, SinkSuite, hold, process

if TYPE_CHECKING:
    from pathlib import Path

    from reiterate.sinks import Sink
    from tests.sinks.batches import Row

pytestmark = pytest.mark.ducklake


class Lake(Destination):
    """A lake whose catalog is a DuckDB file."""

    @property
    def url(self) -> str:
        return f"ducklake:{self.directory}/shop.ducklake"

    def open(self, *, read_only: bool = False) -> Sink:
        return sink_at(Setting.of("lake", self.url, "iterable"), read_only=read_only)

    def size_bytes(self) -> int:
        """Rows that are alike are next to nothing in Parquet, so its growth is looked at closely."""
        return 100 * super().size_bytes()

    def rows(self, table: str) -> list[Row]:
        return replica.rows(self.url, table)

    def drop(self, table: str) -> None:
        replica.execute(self.url, f"DROP TABLE {table}")

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        return replica.execute(self.url, query)


class TestDuckLake(SinkSuite):
    """All that every destination must do."""

    kind = Lake

    @pytest.fixture(autouse=True)
    def _spool_below_the_destination(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Raw files lie where the suite looks for them."""
        monkeypatch.setenv("TMPDIR", str(tmp_path / "destination"))  # of processes that are started
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "destination"))

    @given(steps=model.steps)
    @settings(
        derandomize=True,
        deadline=None,
        max_examples=4,  # each takes most of a second
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    def test_any_loads(self, place: Destination, steps: list[model.Step]) -> None:
        """Whatever is loaded in whatever order, the tables end as plain dictionaries do, and every number is right."""
        self.any_loads(place, steps)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """While another process has the lake open nobody else gets in; after its death everybody does."""
    lake = Lake(tmp_path)
    with process(hold, lake):
        for read_only in (False, True):
            with pytest.raises(DestinationBusy):
                lake.open(read_only=read_only)
    assert (1, 0, 0) == numbers(lake.load(first_read("10:00", "11:00"), click("10:00")))
