"""Rows that a destination refuses for their data: found, kept as text, counted, and loaded once it takes them."""

from __future__ import annotations

import json
import os
from contextlib import closing
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pytest

import reiterate
from reiterate import rejecting
from reiterate.errors import RowsRefused
from reiterate.flow import RunFinished, Status, Write
from reiterate.parse import Parser
from reiterate.secret import Secret
from reiterate.sinks.dlt import DltSink
from reiterate.sinks.duckdb import DuckDBSink
from reiterate.sinks.postgres import PostgresSink
from tests import postgres
from tests.cli.command import reiterate as command
from tests.conftest import settings
from tests.sinks import batches
from tests.sinks.batches import click, first_read, listed, members, whole

if TYPE_CHECKING:
    from pathlib import Path

    from reiterate.flow import Task
    from reiterate.simulator import Simulator
    from reiterate.sinks import Outcome, Sink
    from tests.sinks.batches import Row

REJECTED = 'SELECT table_name, part, reason, "row" FROM {}_reiterate_rejected_rows ORDER BY "row"'


class Place:
    """An empty dataset that a person may give constraints."""

    def __init__(self, kind: str, directory: Path) -> None:
        self._kind = kind
        self._directory = directory
        self._url = "" if kind == "duckdb" else postgres.new_database()

    def open(self) -> Sink:
        match self._kind:
            case "duckdb":
                return DuckDBSink(self._directory / "replica.duckdb", "iterable")
            case "postgresql":
                return PostgresSink(Secret(self._url), "iterable", shown="postgresql://test")
            case _:
                os.environ.update(postgres.credentials_of(self._url))
                return DltSink("postgres", Secret("postgres://"), "iterable", shown="postgres://test")

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        statement = statement.replace("{}", "iterable.")
        if self._kind == "duckdb":
            with closing(duckdb.connect(str(self._directory / "replica.duckdb"))) as database:
                return database.execute(statement).fetchall()
        with psycopg.connect(self._url, autocommit=True) as connection:
            done = connection.execute(statement.encode())
            return done.fetchall() if done.description else []

    def load(self, task: Task, *rows: Row) -> Outcome:
        with closing(self.open()) as sink, closing(Parser(sink.spool)) as parser:
            batch = batches.batch(sink, task, rows)
            return rejecting.load(sink, batch, batches.fact(batch), parser.pieces)


@pytest.fixture(params=["duckdb", "postgresql", "dlt"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(request.param, tmp_path)


def test_rows_of_a_window(place: Place) -> None:
    """A row that a constraint refuses stands as text, once; all others load; it goes when it loads."""
    place.load(first_read("00:00", "01:00"), click("00:10", "m0", own=1))
    place.ask("CREATE UNIQUE INDEX one ON {}email_click (own)")
    rows = [click("02:10", f"m{n}", own=n) for n in range(2, 40)]
    bad = [click("02:20", "b1", own=1), click("02:30", "b2", own=7)]
    outcome = place.load(first_read("02:00", "03:00"), *rows, *bad)
    assert (38, 2, 2) == (outcome.added, len(outcome.rejected), outcome.newly_rejected)
    kept = place.ask(REJECTED)
    assert {"b1", "b2"} >= {json.loads(row)["message_id"] for *_, row in kept[:1]}
    assert ["email_click"] * 2 == [table for table, *_ in kept]
    assert [(40, 38, 0, 0, 2)] == place.ask(
        'SELECT "rows", added, changed, removed, rejected FROM {}_reiterate_reads WHERE rejected > 0'
    )
    again = place.load(batches.again("02:00", "03:00"), *rows, *bad)
    assert (0, 0, 2, 0) == (again.added, again.changed, len(again.rejected), again.newly_rejected)
    assert kept == place.ask(REJECTED)
    place.ask("DROP INDEX {}one")
    healed = place.load(batches.again("02:00", "03:00"), *rows, *bad)
    assert (2, 0, 0) == (healed.added, healed.changed, len(healed.rejected))
    assert [] == place.ask(REJECTED)


def test_rows_of_a_part_that_is_replaced(place: Place) -> None:
    """Of a row that is refused, what is stored stays; of one that is not listed any more, the rejection goes, too."""
    place.load(listed(7), *members(7, "a@x.y", "b@x.y", "c@x.y"))
    place.ask("CREATE UNIQUE INDEX one ON {}list_users (email)")
    outcome = place.load(listed(8), *members(8, "a@x.y", "d@x.y"))
    assert (1, 0, 1) == (outcome.added, outcome.removed, len(outcome.rejected))
    assert [("list_users", "8")] == [(table, part) for table, part, *_ in place.ask(REJECTED)]
    place.load(listed(8), *members(8, "d@x.y"))
    assert [] == place.ask(REJECTED)
    assert [(7, 3), (8, 1)] == place.ask(
        "SELECT list_id, count(*) FROM {}list_users GROUP BY ALL ORDER BY list_id".replace(
            "GROUP BY ALL", "GROUP BY list_id"
        )
    )


@pytest.mark.parametrize("kind", ["duckdb", "postgresql"])
def test_more_rows_than_a_hundred(tmp_path: Path, kind: str) -> None:
    """Then the table fails with the reason, and nothing of the load stays, nor is anything rejected."""
    place = Place(kind, tmp_path)  # by dlt a try takes a second, and here are 200
    place.load(first_read("00:00", "01:00"), click("00:10", "m0", own=1))
    place.ask("CREATE UNIQUE INDEX one ON {}email_click (own)")
    rows = [click("02:10", f"m{n}", own=1) for n in range(101)]
    with pytest.raises(RowsRefused, match="more than 100 rows"):
        place.load(first_read("02:00", "03:00"), *rows, click("02:20", "good", own=2))
    assert [(1,)] == place.ask("SELECT count(*) FROM {}email_click")
    assert [] == place.ask(REJECTED)


POSTGRES_REFUSALS = {
    "check": "ALTER TABLE iterable.channels ADD CHECK (name <> 'bad')",
    "not null": "ALTER TABLE iterable.channels ALTER own SET NOT NULL",
    "domain": "CREATE DOMAIN short AS text CHECK (length(VALUE) < 4); "
    "ALTER TABLE iterable.channels ALTER own TYPE short",
    "deferred": "ALTER TABLE iterable.channels ADD CONSTRAINT one UNIQUE (own) DEFERRABLE INITIALLY DEFERRED",
    "index": "CREATE INDEX ON iterable.channels (own)",
    "trigger": "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF NEW.name = 'bad' THEN "
    "RAISE EXCEPTION 'not this one'; END IF; RETURN NEW; END$$; "
    "CREATE TRIGGER no BEFORE INSERT ON iterable.channels FOR EACH ROW EXECUTE FUNCTION no()",
}
"""What a person may have done to a table, so that it refuses a row that is called ``bad``."""


@pytest.mark.parametrize("name", POSTGRES_REFUSALS)
@pytest.mark.parametrize("write", [Write.REPLACE, Write.MERGE])
def test_what_a_server_refuses(tmp_path: Path, name: str, write: Write) -> None:
    """Constraints, types, indexes and triggers that people made cost the rows that they refuse, and no other."""
    place = Place("postgresql", tmp_path)
    owns = {"not null": None, "domain": "x" * 9, "deferred": "x", "index": "".join(map(chr, range(256, 6000)))}
    place.load(whole("channels", write), {"id": 1, "name": "one", "own": "x"})
    place.ask(POSTGRES_REFUSALS[name])
    rows = [{"id": n, "name": "good", "own": "x" if n == 1 else f"g{n}"} for n in range(1, 20)]
    bad = {"id": 99, "name": "bad", "own": owns.get(name, "z")}
    outcome = place.load(whole("channels", write), *rows, bad)
    assert (18, 1) == (outcome.added, len(outcome.rejected)), outcome
    assert [19] == [count for (count,) in place.ask("SELECT count(*) FROM {}channels")]
    assert 99 == json.loads(place.ask(REJECTED)[0][3])["id"]


def test_a_sync_that_rejects(simulator: Simulator) -> None:
    """The first sync that rejects a row ends with 3 and says table, number and reason; the next with 0; all adds up."""
    url = postgres.new_database()
    *_, last = reiterate.sync(**settings(simulator, url, tables="channels"))
    assert isinstance(last, RunFinished)
    assert Status.SUCCEEDED is last.status
    with psycopg.connect(url, autocommit=True) as connection:
        ((second,),) = connection.execute("SELECT id FROM iterable.channels ORDER BY id LIMIT 1 OFFSET 1").fetchall()
        connection.execute(f"ALTER TABLE iterable.channels ADD CHECK (id <> {second}) NOT VALID".encode())
        connection.execute("DELETE FROM iterable._reiterate_reads WHERE table_name = 'channels'")
        connection.execute("DELETE FROM iterable.channels")
    flags = ("--tables", "channels", "--start-date", "2026-11-01", "--destination", url)
    first = command("sync", *flags, simulator=simulator)
    assert 3 == first.status, first.said
    assert "channels: 1 rows were rejected by the destination, 1 for the first time" in first.said
    assert "violates check constraint" in first.said
    assert 0 == command("sync", *flags, simulator=simulator).status
    verified = command("verify", *flags, simulator=simulator)
    assert 0 == verified.status, verified.said
    assert "1 rows were rejected" in verified.said
