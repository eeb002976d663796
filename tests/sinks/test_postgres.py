"""The PostgreSQL sink: the suite, and what only a server has."""

from __future__ import annotations

from contextlib import closing
from itertools import count
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from reiterate.catalog import TABLES
from reiterate.errors import ConnectionLost, TableLocked
from reiterate.flow import Job
from reiterate.ledger import Refusal
from reiterate.secret import Secret
from reiterate.sinks.postgres import PostgresSink
from reiterate.windows import Window
from tests import postgres, replica
from tests.cutting import cutting
from tests.sinks.batches import READ_AT, again, at, batch, click, fact, first_read, load, numbers, same
from tests.sinks.suite import RUN, Destination, OneByOne, SinkSuite

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


# ── connections that break ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("arrives", [True, False], ids=["arrives", "is lost"])
def test_a_connection_that_breaks_during_a_commit(arrives: bool) -> None:
    """Whether a commit arrived is asked of the ledger: rows are neither doubled nor lost, and the numbers are right."""
    dataset = f"set {next(DATASETS)}"
    with cutting(postgres.address()) as cuts:
        cuts.arrives = arrives
        with closing(PostgresSink(Secret(cuts.url), dataset, shown="postgresql://test")) as sink:
            sink.begin(RUN)
            load(sink, first_read("10:00", "11:00"), click("10:00"))
            made = batch(sink, first_read("11:00", "12:00"), [click("11:00"), click("11:00")])
            cuts.wanted += 1
            with pytest.raises(ConnectionLost):
                sink.load(made, fact(made))
            assert (2, 0, 0) == numbers(sink.load(made, fact(made)))
            assert 2 == len(sink.ledger().of("email_click"))
            sink.refresh(TABLES["email_click"])
            load(sink, first_read("10:00", "12:00"), click("10:00"), click("11:30"))
            cuts.wanted += 1
            with pytest.raises(ConnectionLost):
                sink.swap(TABLES["email_click"])
            assert (3, 2) == sink.swap(TABLES["email_click"])
            cuts.wanted += 1
            sink.keep(Job(7, "email_click", Window(at("11:00"), at("12:00")), READ_AT, ""))
            assert [7] == [job.job_id for job in sink.ledger().jobs()]
    assert same("email_click", [click("10:00"), click("11:30")]) == replica.counted(
        replica.rows(postgres.address(), "email_click", dataset)
    )


def test_a_dead_connection_is_found_before_it_is_used(tmp_path: Path) -> None:
    """A connection that the server ended while nothing was loaded costs nothing, whatever comes next."""
    place = Dataset(tmp_path)
    with closing(place.open()) as sink:
        load(sink, first_read("10:00", "11:00"), click("10:00"))
        for follows in (
            lambda: load(sink, first_read("11:00", "12:00"), click("11:00")),
            lambda: sink.state(TABLES["email_click"]),
            sink.ledger,
            lambda: sink.refuse(Refusal("r1", "list_users", "2", READ_AT, "no")),
            lambda: sink.drop(TABLES["email_click"]),
        ):
            replica.execute(
                place.url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'reiterate'",
                "public",
            )
            follows()
        assert sink.state(TABLES["email_click"]) is None


@pytest.mark.parametrize("statement", ["UPDATE", "LOCK"])
def test_people_who_hold_rows_or_a_table(tmp_path: Path, statement: str) -> None:
    """A merge waits 5 seconds for who has changed rows, not for who only reads, and then says who that is."""
    place = Dataset(tmp_path)
    place.load(first_read("10:00", "11:00"), click("10:00", colour="red"))
    table = f'"{place.dataset}".email_click'
    held = {"UPDATE": f"UPDATE {table} SET colour = 'mine'", "LOCK": f"LOCK TABLE {table} IN SHARE MODE"}[statement]
    with (
        closing(place.open()) as sink,
        psycopg.connect(place.url, application_name="psql") as person,
        psycopg.connect(place.url, application_name="reader") as reader,
    ):
        reader.execute(f"SELECT 1 FROM {table}".encode())
        person.execute(held.encode())
        with pytest.raises(TableLocked) as caught:
            load(sink, again("10:00", "11:00"), click("10:00", colour="blue"))
        assert caught.value.facts["held_by"].startswith(f"process {person.info.backend_pid} (user postgres, ")
        assert "reader" not in caught.value.facts["held_by"]
        person.rollback()
        assert (0, 1, 0) == numbers(load(sink, again("10:00", "11:00"), click("10:00", colour="blue")))


def test_raw_files_of_two_at_once(tmp_path: Path) -> None:
    """Whoever opens a dataset that another one has lost leaves its raw files alone."""
    place = Dataset(tmp_path)
    with closing(place.open()) as first:
        raw = first.spool / "000001.ndjson"
        raw.write_text("{}")
        replica.execute(place.url, "DELETE FROM _reiterate_lease", place.dataset)
        with closing(place.open()) as second:
            assert first.spool != second.spool
            assert raw.exists()
        assert raw.exists()
