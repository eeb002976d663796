"""The dlt sink: the suite over two databases that run here, and what only warehouses have."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings

from reiterate.catalog import TABLES
from reiterate.catalog.model import Type
from reiterate.errors import ConnectionLost, DestinationBusy, SettingsError, TableLocked
from reiterate.parse import Parser
from reiterate.secret import Secret
from reiterate.settings import Destination
from reiterate.settings.schemes import SCHEMES
from reiterate.sinks import TableState, sink_at
from reiterate.sinks.dialects import DIALECTS, Merging
from reiterate.sinks.dlt import DltSink, _given, _secrets_in
from tests import postgres, replica
from tests.cutting import cutting
from tests.sinks import model, suite
from tests.sinks.batches import (
    again,
    at,
    batch,
    click,
    fact,
    first_read,
    listed,
    load,
    members,
    numbers,
    same,
    user,
    window,
    written,
)
from tests.sinks.suite import SinkSuite, hold, process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reiterate.flow import Task
    from reiterate.ledger import Fact
    from tests.sinks.batches import Row

DATASETS = count()


class ByDlt(suite.Destination):
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

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        return replica.execute(self.path, query)


class OverPostgres(ByDlt):
    """A dataset of its own in the server of this process, reached by dlt."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.url = postgres.address()
        self.dataset = f"set_{next(DATASETS)}"

    def open(self, *, read_only: bool = False) -> DltSink:
        os.environ["TMPDIR"] = str(self.directory)
        os.environ.update(postgres.credentials_of(self.url))
        return DltSink("postgres", Secret("postgres://"), self.dataset, shown="postgresql://test", read_only=read_only)

    def rows(self, table: str) -> list[Row]:
        return replica.rows(self.url, table, self.dataset)

    def drop(self, table: str) -> None:
        replica.execute(self.url, f"DROP TABLE {table}", self.dataset)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        return replica.execute(self.url, query, self.dataset)


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
        max_examples=2,  # a load by dlt takes half a second
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    def test_any_loads(self, place: suite.Destination, steps: list[model.Step]) -> None:
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


# ── warehouses that promise less ─────────────────────────────────────────────────────────────────────────────────────


ROWS_FIRST = replace(
    DIALECTS["duckdb"],
    transactions=False,
    ddl=False,
    swap="CREATE OR REPLACE TABLE {table} AS SELECT {names} FROM {fresh}",
)
DIALECTS_THAT_PROMISE_LESS = {
    "definitions apart": replace(DIALECTS["duckdb"], ddl=False),
    "rows first": ROWS_FIRST,
    "in turn": replace(ROWS_FIRST, merging=Merging.IN_TURN),
    "anew": replace(ROWS_FIRST, merging=Merging.ANEW, as_text=(Type.JSON, Type.DATE)),
}


class DiesBeforeTheFact(DltSink):
    """A process that ends when its rows are there, and nothing tells so."""

    def _note(self, fact: Fact, called: str, added: int, changed: int, removed: int) -> None:
        message = f"{fact.table}: {added}, {changed}, {removed}"
        raise KeyboardInterrupt(message)


class PromisesLess(OverDuckDB):
    """DuckDB, spoken to as if it had no transactions, or none with definitions."""

    dialect = ROWS_FIRST

    def open(self, sink: type[DltSink] = DltSink) -> DltSink:
        os.environ["TMPDIR"] = str(self.directory)
        url = f"duckdb:///{self.path}"
        return sink("duckdb", Secret(url), "iterable", shown=url, dialect=self.dialect)


@pytest.fixture(params=[*DIALECTS_THAT_PROMISE_LESS])
def less(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> PromisesLess:
    directory = tmp_path / "destination"
    directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    place = PromisesLess(directory)
    place.dialect = DIALECTS_THAT_PROMISE_LESS[request.param]
    return place


def test_rows_are_right_whatever_is_promised(less: PromisesLess) -> None:
    """Rows are appended, merged, replaced and removed as anywhere, and columns grow; old days stay what they are."""
    born = user("a@example.com", "10:00", birthday="1931-02-28", tags=["x"])
    assert (1, 0, 0) == numbers(less.load(window("users", "10:00", "11:00"), born))
    assert "date" == less.columns("users")["birthday"]
    assert same("users", [born]) == less.has("users")
    assert (2, 0, 0) == numbers(less.load(first_read("10:00", "11:00"), click("10:00"), click("10:10", colour="red")))
    outcome = less.load(again("10:00", "11:00"), click("10:10", colour="blue", size=1), click("10:20", "new"))
    assert ((1, 1, 0), ["size"]) == (numbers(outcome), [column.name for column in outcome.new_columns])
    rows = [click("10:00"), click("10:10", colour="blue", size=1), click("10:20", "new")]
    assert same("email_click", rows) == less.has("email_click")
    less.load(listed(1), *members(1, "a@example.com", "b@example.com"))
    assert (1, 0, 1) == numbers(less.load(listed(1), *members(1, "b@example.com", "c@example.com")))
    assert same("list_users", members(1, "b@example.com", "c@example.com")) == less.has("list_users")
    less.drop("email_click")
    assert (1, 0, 0) == numbers(less.load(first_read("11:00", "12:00"), click("11:00")))
    assert 1 == len(less.facts("email_click"))


@pytest.mark.parametrize("task", [first_read("11:00", "12:00"), again("10:00", "12:00")], ids=["append", "merge"])
def test_rows_without_their_fact_are_read_again(less: PromisesLess, task: Task) -> None:
    """A process that dies between rows and fact leaves rows at most; read again, they are neither doubled nor lost."""
    old, new = click("10:00", colour="red"), [click("11:00", "m2"), click("11:00", "m2"), click("11:30", size=1)]
    less.load(first_read("10:00", "11:00"), old)
    with closing(less.open(DiesBeforeTheFact)) as sink, pytest.raises(KeyboardInterrupt):
        load(sink, task, *new)
    assert 1 == len(less.facts("email_click"))
    less.load(task, *new)
    assert same("email_click", [old, *new]) == less.has("email_click")
    assert 2 == len(less.facts("email_click"))


@pytest.mark.parametrize(
    "test",
    [
        SinkSuite.test_a_table_that_is_read_anew,
        SinkSuite.test_a_table_that_is_not_read_anew_to_the_end,
        SinkSuite.test_history_of_users,
        SinkSuite.test_history_of_parts,
        SinkSuite.test_snapshots,
    ],
)
def test_modes_are_right_whatever_is_promised(
    less: PromisesLess, test: Callable[[SinkSuite, suite.Destination], None]
) -> None:
    """Tables are read anew, and what rows were is kept, as anywhere."""
    test(SinkSuite(), less)


class DiesInSwap(DltSink):
    """A process that ends when the rows are swapped, and nothing tells so."""

    def _forget_table(self, table: str) -> None:
        raise KeyboardInterrupt(table)


def test_a_swap_is_whole_or_not_at_all(less: PromisesLess) -> None:
    """A process that dies in a swap leaves all old rows, or all new ones, and facts with which the next one goes on."""
    table, old, new = TABLES["email_click"], [click("10:00"), click("10:10", "m2")], [click("10:00", colour="red")]
    less.load(first_read("10:00", "11:00"), *old)
    with closing(less.open(DiesInSwap)) as sink:
        sink.refresh(table)
        load(sink, first_read("10:00", "11:00"), *new)
        with pytest.raises(KeyboardInterrupt):
            sink.swap(table)
    wanted = old if less.dialect.transactions else new
    assert same("email_click", wanted) == less.has("email_click")
    with closing(less.open()) as sink:
        sink.begin(suite.RUN)
        assert 1 == len(sink.ledger().of("email_click"))
        assert [] == sink._left_behind()
        sink.refresh(table)
        load(sink, first_read("10:00", "11:00"), *new)
        assert (len(wanted), 1) == sink.swap(table)
    assert same("email_click", new) == less.has("email_click")


def test_who_has_no_transactions_swaps_in_one_statement() -> None:
    """In no warehouse the old rows are gone before the new ones are there."""
    assert [] == [name for name, dialect in DIALECTS.items() if not (dialect.transactions or dialect.swap)]


# ── one process at a time ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> OverPostgres:
    """A dataset that two processes may open, as those of warehouses."""
    postgres.address()
    directory = tmp_path / "destination"
    directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    return OverPostgres(directory)


def tables(place: OverPostgres) -> set[str]:
    found = f"SELECT tablename FROM pg_tables WHERE schemaname = '{place.dataset}'"
    return {name for (name,) in replica.execute(place.url, found, place.dataset)}


def hand_over(place: OverPostgres, seconds: int) -> None:
    """Let another machine hold the lease for so long."""
    held = f"VALUES ('elsewhere:1:x', now() + INTERVAL '{seconds} seconds')"
    replica.execute(
        place.url,
        f"WITH gone AS (DELETE FROM _reiterate_lease) INSERT INTO _reiterate_lease {held} RETURNING 1",
        place.dataset,
    )


def test_a_second_process_is_refused(file: OverPostgres) -> None:
    """While one process holds the dataset nobody else gets in, but all may look; after its death everybody does."""
    with process(hold, file):
        with pytest.raises(DestinationBusy) as caught:
            file.open()
        assert {"destination", "dataset", "host", "until"} == caught.value.facts.keys()
        with closing(file.open(read_only=True)) as sink:
            assert not sink.empty
    with closing(file.open()) as sink:
        assert [] == sink.runs(10)


def test_a_dead_process_of_another_machine(file: OverPostgres) -> None:
    """What another machine holds is held until its time is up; then it is taken over."""
    file.load(first_read("10:00", "11:00"), click("10:00"))
    hand_over(file, 60)
    with pytest.raises(DestinationBusy, match="elsewhere"):
        file.open()
    hand_over(file, -1)
    with closing(file.open()) as sink:
        assert 1 == len(sink.ledger().of("email_click"))


def test_a_process_that_was_overtaken_commits_nothing(file: OverPostgres) -> None:
    """Who slept so long that another took over is told so, and what it loads is not kept."""
    with closing(file.open()) as sink:
        hand_over(file, 60)
        with pytest.raises(DestinationBusy, match="taken over"):
            load(sink, first_read("10:00", "11:00"), click("10:00"))
        assert [] == sink.ledger().of("email_click")
    assert "email_click" not in tables(file)


# ── connections that break, people who hold locks ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("arrives", [True, False], ids=["arrives", "is lost"])
def test_a_connection_that_breaks_during_a_commit(file: OverPostgres, arrives: bool) -> None:
    """Whether a commit arrived is asked of the ledger: rows are neither doubled nor lost, and the numbers are right."""
    with cutting(postgres.address()) as cuts:
        cuts.arrives, cuts.after = arrives, b"INSERT INTO " + f'"{file.dataset}"."_reiterate_reads"'.encode()
        os.environ["TMPDIR"] = str(file.directory)
        with closing(DltSink("postgres", Secret(cuts.url), file.dataset, shown="postgresql://test")) as sink:
            load(sink, first_read("10:00", "11:00"), click("10:00"))
            made = batch(sink, first_read("11:00", "12:00"), [click("11:00"), click("11:00")])
            cuts.wanted += 1
            with pytest.raises(ConnectionLost):
                sink.load(made, fact(made))
            assert (2, 0, 0) == numbers(sink.load(made, fact(made)))
            assert 2 == len(sink.ledger().of("email_click"))
    assert same("email_click", [click("10:00"), click("11:00"), click("11:00")]) == file.has("email_click")


def test_a_dead_connection_is_found_before_it_is_used(file: OverPostgres) -> None:
    """A connection that the server ended while nothing was loaded costs nothing."""
    with closing(file.open()) as sink:
        for minute, asked in (("10:00", "11:00"), ("11:00", "12:00")):
            load(sink, first_read(minute, asked), click(minute))
            replica.execute(
                file.url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                " AND backend_type = 'client backend'",
                file.dataset,
            )
            assert sink.state(TABLES["email_click"]) is not None
    assert same("email_click", [click("10:00"), click("11:00")]) == file.has("email_click")


def test_a_person_who_holds_a_table(file: OverPostgres) -> None:
    """A load waits 5 seconds for whoever holds the table, then says who that is; it passes as soon as they let go."""
    file.load(first_read("10:00", "11:00"), click("10:00", colour="red"))
    with closing(file.open()) as sink, psycopg.connect(file.url, application_name="psql") as person:
        person.execute(f'SELECT 1 FROM "{file.dataset}".email_click'.encode())
        new = first_read("11:00", "12:00"), click("11:00", size=1)
        with pytest.raises(TableLocked) as caught:
            load(sink, *new)
        assert caught.value.facts["held_by"].startswith(f"process {person.info.backend_pid} (user postgres, ")
        person.rollback()
        assert (1, 0, 0) == numbers(load(sink, *new))


def test_whoever_waits_renews_the_lease(file: OverPostgres) -> None:
    """A sync that waits for Iterable stays the holder: the lease is renewed though nothing is loaded."""
    with closing(file.open()) as sink:
        hand_over_time = "UPDATE _reiterate_lease SET until = now() + INTERVAL '1 second' RETURNING 1"
        replica.execute(file.url, hand_over_time, file.dataset)
        sink._renewed_at -= timedelta(minutes=2)
        sink.renew()
        left = "SELECT until > now() + INTERVAL '9 minutes' FROM _reiterate_lease"
        assert [(True,)] == replica.execute(file.url, left, file.dataset)
        hand_over(file, 60)
        sink._renewed_at -= timedelta(minutes=2)
        with pytest.raises(DestinationBusy, match="taken over"):
            sink.renew()


# ── what is left behind ──────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_of_dlt_stays(file: OverPostgres, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """dlt's own tables, its files and the staging dataset are gone once the sink is closed; home stays untouched."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    file.load(first_read("10:00", "11:00"), click("10:00"))
    schemas = {name for (name,) in replica.execute(file.url, "SELECT nspname FROM pg_namespace", file.dataset)}
    assert {file.dataset} == {name for name in schemas if name.startswith(file.dataset)}
    assert [] == [name for name in tables(file) if "dlt" in name]
    assert [] == list(home.iterdir())
    assert [] == list(file.directory.iterdir())


def test_a_staging_dataset_that_a_dead_process_left(file: OverPostgres) -> None:
    """The next process drops what it finds."""
    file.load(first_read("10:00", "11:00"), click("10:00"))
    replica.execute(file.url, f'CREATE SCHEMA "{file.dataset}_reiterate_staging"', file.dataset)
    replica.execute(file.url, f'CREATE TABLE "{file.dataset}_reiterate_staging".staged_0 (x INT)', file.dataset)
    with closing(file.open()) as sink:
        assert (0, 0, 0) == numbers(load(sink, again("10:00", "11:00"), click("10:00")))
    left = f"SELECT 1 FROM pg_namespace WHERE nspname = '{file.dataset}_reiterate_staging'"
    assert [] == replica.execute(file.url, left, file.dataset)


# ── reading only ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_looking_at_nothing(file: OverPostgres) -> None:
    """A dataset that is not there is empty, and looking makes none."""
    with closing(file.open(read_only=True)) as sink:
        assert sink.empty
        assert sink.state(TABLES["users"]) is None
    there = f"SELECT 1 FROM pg_namespace WHERE nspname IN ('{file.dataset}', '{file.dataset}_staging')"
    assert [] == replica.execute(file.url, there, "public")


def test_looking_beside_a_sync(file: OverPostgres, tmp_path: Path) -> None:
    """Who only looks compares rows while another process holds the dataset, and leaves its spool and lease alone."""
    file.load(first_read("10:00", "11:00"), click("10:00"), click("10:01", "m2"))
    with process(hold, file), closing(file.open(read_only=True)) as sink:
        raw = written(again("10:00", "11:00"), tmp_path, [click("10:00"), click("10:02", "m3")])
        with closing(Parser(tmp_path)) as parser:
            made = parser.parse(raw, sink.columns(TABLES["email_click"]))
        assert (1, 1) == sink.compare(made)
        assert [*sink.spool.parent.glob("*.lock")]
        assert TableState(2, at("10:01")) == sink.state(TABLES["email_click"])
    assert [*sink.spool.parent.glob("*.lock")]


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("postgres", "postgresql://me:hunter2@127.0.0.1:1/db"),
        ("postgres", "postgresql://me:hunter2@127.0.0.1:port/db"),
        ("redshift", "redshift://me:hun%40hunter2@127.0.0.1:1/db?connect_timeout=1"),
    ],
)
@pytest.mark.filterwarnings("ignore:The 'warn' method is deprecated")  # dlt's logger
def test_a_warehouse_that_cannot_be_reached(kind: str, url: str) -> None:
    """It is a wrong setting, and no message holds the password."""
    with pytest.raises(SettingsError) as caught:
        DltSink(kind, Secret(url), "shop", shown=f"{kind}://127.0.0.1")
    assert "The destination cannot be opened." == caught.value.what
    assert "hunter2" not in str(caught.value)
    assert "option" not in str(caught.value)


def test_what_is_hidden() -> None:
    """Passwords, tokens and keys are known as they stand in the address, and as they are meant."""
    url = "snowflake://me:a%2Fb@acc/db?warehouse=w&token=t%2F1&private_key_passphrase=p&role=r"
    assert {"a%2Fb", "a/b", "t/1", "t%2F1", "p"} == _secrets_in(url)
    assert set() == _secrets_in("bigquery://shop?location=EU")


def test_names_of_datasets() -> None:
    """Names that dlt would not quote are refused before anything is done."""
    with pytest.raises(SettingsError, match="name of the dataset"):
        DltSink("duckdb", Secret("duckdb:///:memory:"), "my set", shown="duckdb")


@pytest.mark.parametrize("kind", [name for name, scheme in SCHEMES.items() if scheme.warehouse and name != "redshift"])
def test_a_missing_extra_is_named(kind: str) -> None:
    """Who lacks the driver of a warehouse is told what to install; nothing else has to be set for that."""
    destination = Destination.of("w", f"{kind}://me:hunter2@host/db", "shop")
    with pytest.raises(SettingsError) as caught:
        sink_at(destination)
    assert f"pip install 'reiterate[{kind}]'" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "url", "given_"),
    [
        ("bigquery", "bigquery://shop-1?location=EU", {"project_id": "shop-1", "location": "EU"}),
        ("bigquery", "bigquery://", {}),
        ("snowflake", "snowflake://", {}),
        ("snowflake", "snowflake://me:x@acc/db?warehouse=w", {"credentials": "snowflake://me:x@acc/db?warehouse=w"}),
        (
            "databricks",
            "databricks://token:dapi%2F1@h.net/main?http_path=/sql/1.0/w",
            {
                "credentials": {
                    "server_hostname": "h.net",
                    "access_token": "dapi/1",
                    "http_path": "/sql/1.0/w",
                    "catalog": "main",
                }
            },
        ),
        ("databricks", "databricks://", {}),
        ("redshift", "redshift://me:x@h:5439/db", {"credentials": "postgresql://me:x@h:5439/db"}),
        ("redshift", "redshift://", {}),
    ],
)
def test_addresses_as_dlt_takes_them(kind: str, url: str, given_: dict[str, object]) -> None:
    """What an address says goes to dlt; what it leaves out is dlt's own settings' to say."""
    assert given_ == _given(kind, Secret(url))


@pytest.mark.parametrize("module", ["dlt", "sqlglot", "pyarrow", "psycopg"])
def test_help_needs_no_warehouse(module: str) -> None:
    """What only some destinations need is not even read for `reiterate --help`."""
    code = f"import sys, reiterate.cli.app; sys.exit({module!r} in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
