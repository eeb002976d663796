"""The DuckDB sink: the suite, and what only a file has."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reiterate.catalog import TABLES
from reiterate.catalog.model import Type
from reiterate.errors import DestinationBusy, LoadError, SettingsError
from reiterate.flow import Column, Status, Write
from reiterate.sinks import DuckDBSink, TableState
from tests import replica
from tests.sinks import model
from tests.sinks.batches import (
    again,
    at,
    batch,
    click,
    fact,
    first_read,
    listed,
    load,
    load_joined,
    members,
    numbers,
    same,
)
from tests.sinks.suite import RUN, Destination, OneByOne, SinkSuite, hold, process

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sinks.batches import Row


class File(Destination):
    """A file whose catalog and schema are called alike, as by default."""

    @property
    def path(self) -> Path:
        return self.directory / "iterable.duckdb"

    def open(self) -> DuckDBSink:
        return DuckDBSink(self.path, "iterable")

    def rows(self, table: str) -> list[Row]:
        return replica.rows(self.path, table)

    def drop(self, table: str) -> None:
        self.sql(f"DROP TABLE iterable.iterable.{table}")

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        return self.sql("USE iterable.iterable", query)

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        """Do as a person does; return the rows of the last statement."""
        with closing(duckdb.connect(str(self.path))) as database:
            *first, last = statements
            for statement in first:
                database.execute(statement)
            return database.execute(last).fetchall()


pytestmark = pytest.mark.oldest


class TestDuckDB(OneByOne, SinkSuite):
    """All that every destination must do."""

    kind = File


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path)


# ── files and datasets ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "dataset"),
    [
        ("iterable.duckdb", "iterable"),
        ("main.db", "main"),
        ("temp.duckdb", "temp"),
        ("my replica.v2.duckdb", 'my "data"'),
        ("it's", "Ünïcode set"),
        ("order", "order"),
        ("x", "x" * 200),
    ],
)
def test_names(tmp_path: Path, name: str, dataset: str) -> None:
    """File and dataset may be called anything, and alike."""
    for added in (1, 0):
        with closing(DuckDBSink(tmp_path / name, dataset)) as sink:
            assert (added, 0, 0) == numbers(load(sink, again("10:00", "11:00"), click("10:00")))
            assert TableState(1, at("10:00")) == sink.state(TABLES["email_click"])
            assert not sink.empty
    assert [name] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize(("version", "packed"), [("v1.0.0", False), ("latest", True)])
def test_files_of_older_formats(file: File, version: str, packed: bool) -> None:
    """Events go into a file of any format; their ids are compressed by zstd where it has that."""
    duckdb.connect(str(file.path), config={"storage_compatibility_version": version}).close()
    rows = [click(f"10:{minute:02}") for minute in range(60)]
    for task, added in ((first_read("10:00", "11:00"), 60), (again("10:00", "11:00"), 0)):
        assert (added, 0, 0) == numbers(file.load(task, *rows))
    assert same("email_click", rows) == file.has("email_click")
    found = file.sql(
        "USE iterable.iterable",
        "SELECT DISTINCT compression FROM pragma_storage_info('email_click') WHERE column_name = '_event_id'",
    )
    assert packed == (("ZSTD",) in found)


def test_other_schemas_stay(file: File) -> None:
    """What else is in the file stays, tables of the same name too; each dataset has its own facts and connection."""
    file.sql("CREATE SCHEMA mine", "CREATE TABLE mine.email_click AS SELECT 1 AS x", "CREATE TABLE main.users (y INT)")
    file.load(first_read("10:00", "11:00"), click("10:00"))
    with closing(DuckDBSink(file.path, "other")) as sink:
        assert [] == sink.ledger().of("email_click")
        sink.begin(replace(RUN, connection="outlet"))
        assert (1, 0, 0) == numbers(load(sink, first_read("10:00", "11:00"), click("10:30")))
    with closing(file.open()) as sink:
        sink.begin(RUN)
    assert [(1,)] == file.sql("SELECT x FROM mine.email_click")
    assert [] == file.sql("SELECT y FROM main.users")
    assert same("email_click", [click("10:00")]) == file.has("email_click")


def test_a_dataset_that_other_tables_share(file: File) -> None:
    """Tables and views of a person in the dataset stay as they are, and read what was loaded."""
    file.load(first_read("10:00", "11:00"), click("10:00"))
    # DuckDB 2.0 makes no view by the whole path where catalog and schema are called alike
    file.sql("USE iterable.iterable", "CREATE VIEW mine AS SELECT message_id FROM email_click")
    file.load(again("10:00", "11:00"), click("10:00"), click("10:01", "m2", colour="red"))
    assert {("m1",), ("m2",)} == set(file.sql("FROM iterable.iterable.mine"))


def test_a_column_of_a_person_stays(file: File) -> None:
    """A column that a person added keeps its values when rows are merged, replaced and appended."""
    file.load(listed(1), *members(1, "a@example.com", "b@example.com"))
    file.sql("ALTER TABLE iterable.iterable.list_users ADD COLUMN note TEXT DEFAULT 'mine'")
    file.load(listed(1), *members(1, "a@example.com", "c@example.com"))
    wanted = {("a@example.com", "mine"), ("c@example.com", "mine")}
    assert wanted == set(file.sql("SELECT email, note FROM iterable.iterable.list_users"))


def test_a_column_that_a_person_dropped(file: File) -> None:
    """A column that a person dropped comes back with the next load, for the rows of that load."""
    file.load(first_read("10:00", "11:00"), click("10:00", colour="red"), click("10:01", colour="red"))
    file.sql("ALTER TABLE iterable.iterable.email_click DROP COLUMN colour")
    assert (0, 1, 0) == numbers(file.load(again("10:00", "11:00"), click("10:00", colour="red")))
    assert same("email_click", [click("10:00", colour="red"), click("10:01")]) == file.has("email_click")


def test_a_column_that_comes_back_otherwise(file: File) -> None:
    """What is on record of a column that a person dropped is renewed when it comes back with another type."""
    file.load(first_read("10:00", "11:00"), click("10:00", colour="red"))
    file.sql("ALTER TABLE iterable.iterable.email_click DROP COLUMN colour")
    outcome = file.load(again("10:00", "11:00"), click("10:00", colour=5))
    assert ["colour"] == [column.name for column in outcome.new_columns]
    file.load(again("10:00", "11:00"), click("10:01", colour="blue"))
    assert same("email_click", [click("10:00", colour=5), click("10:01", colour="blue")]) == file.has("email_click")


@given(st.lists(model.neighbours(), min_size=1, max_size=3))
@settings(derandomize=True, deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_windows_at_once_are_windows_one_by_one(
    file: File, reads: list[list[model.Clicks] | list[model.Users]]
) -> None:
    """Whether windows are loaded at once or one by one, the rows are the same, and what is told of them."""
    at_once, one_by_one, loaded = file.fresh(), file.fresh(), set()
    models = model.Model(), model.Model()
    with closing(at_once.open()) as some, closing(one_by_one.open()) as others:
        for read in reads:
            tasks = [models[0].task(step) for step in read]
            anew = all(task.write is Write.APPEND for task, _ in tasks)
            write = Write.APPEND if anew else Write.MERGE
            outcome = load_joined(some, [(replace(task, write=write), rows) for task, rows in tasks])
            each = [load(others, task, *rows) for task, rows in map(models[1].task, read)]
            assert sum(one.added for one in each) == outcome.added
            loaded.add(tasks[0][0].table.name)
    for table in loaded:
        assert one_by_one.has(table) == at_once.has(table)
        assert sum(fact.rows for fact in one_by_one.facts(table)) == sum(fact.rows for fact in at_once.facts(table))


def test_types(file: File) -> None:
    """Columns have DuckDB's own types, and every column of the table is recorded with its field."""
    odd: Row = {"n": 1, "d": 1.5, "b": True, "o": {}, "s": ""}
    file.load(first_read("10:00", "11:00"), click("10:00", **odd))
    described = {name: type_ for name, type_, *_ in file.sql("DESCRIBE iterable.iterable.email_click")}
    wanted = {"n": "BIGINT", "d": "DOUBLE", "b": "BOOLEAN", "o": "JSON", "s": "VARCHAR", "_event_id": "VARCHAR"}
    assert wanted | {"created_at": "TIMESTAMP WITH TIME ZONE"} == {
        name: described[name] for name in (*wanted, "created_at")
    }
    assert described.keys() == file.columns("email_click").keys()


def test_no_column_of_a_failed_load_stays(file: File) -> None:
    """A failed load leaves not even an empty column behind."""
    file.load(first_read("10:00", "11:00"), click("10:00"))
    before = file.sql("DESCRIBE iterable.iterable.email_click")
    with closing(file.open()) as sink:
        made = batch(sink, again("10:00", "11:00"), [click("10:01", colour="red")])
        with pytest.raises(LoadError):
            sink.load(replace(made, query=f"{made.query} WHERE error('broken off')"), fact(made))
    assert before == file.sql("DESCRIBE iterable.iterable.email_click")


def test_facts_that_a_person_removed(file: File) -> None:
    """Who removes facts to have a window read anew gets its rows once, not twice."""
    file.load(first_read("10:00", "11:00"), click("10:00"))
    file.sql("DELETE FROM iterable.iterable._reiterate_reads")
    assert [] == file.facts("email_click")
    file.load(first_read("10:00", "11:00"), click("10:00"))
    assert same("email_click", [click("10:00")]) == file.has("email_click")


def test_a_column_that_came_back_is_recorded_once(file: File) -> None:
    """A column that is gone is made again with the next load, and is recorded once."""
    file.load(first_read("10:00", "11:00"), click("10:00", colour="red"))
    file.sql("ALTER TABLE iterable.iterable.email_click DROP colour")
    file.load(first_read("11:00", "12:00"), click("11:00", colour="blue"))
    assert same("email_click", [click("10:00"), click("11:00", colour="blue")]) == file.has("email_click")
    recorded = "SELECT count(*) FROM iterable.iterable._reiterate_columns WHERE column_name = 'colour'"
    assert [(1,)] == file.sql(recorded)


def test_a_batch_that_no_longer_fits(file: File) -> None:
    """A value that its column cannot hold, because another load came first, is refused; parsed anew it fits."""
    rows = [click("10:00", size=3), click("10:01", size="large")]
    with closing(file.open()) as sink:
        first, second = (batch(sink, again("10:00", "11:00"), [row]) for row in rows)
        sink.load(first, fact(first))
        with pytest.raises(LoadError, match="large") as caught:
            sink.load(second, fact(second))
        assert {"destination", "table", "part", "reason"} == caught.value.facts.keys()
        assert 1 == len(sink.ledger().of("email_click"))
        assert (1, 0, 0) == numbers(load(sink, again("10:00", "11:00"), rows[1]))
    assert same("email_click", rows) == file.has("email_click")


@pytest.mark.parametrize("task", [first_read("10:00", "11:00"), again("10:00", "11:00")], ids=["append", "merge"])
def test_columns_with_quotes(file: File, task: Any) -> None:
    """A column may have any name, quotes and semicolons included."""
    name = 'say "hi"; DROP TABLE email_click'
    with closing(file.open()) as sink:
        made = batch(sink, task, [click("10:00")])
        quoted = '"' + name.replace('"', '""') + '"'
        columns = (*made.columns, Column(name, Type.BIGINT, "odd"))
        made = replace(made, columns=columns, query=f"SELECT *, 7::BIGINT AS {quoted} FROM ({made.query})")
        assert (1, 0, 0) == numbers(sink.load(made, fact(made)))
        assert Column(name, Type.BIGINT, "odd") in sink.columns(TABLES["email_click"])
    assert [(7,)] == file.sql(f"SELECT {quoted} FROM iterable.iterable.email_click")


# ── reading only ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_reading_only(file: File) -> None:
    """A sink that is read-only sees all that is there and changes nothing, not even the spool of another."""
    with closing(file.open()) as sink:
        sink.begin(RUN)
        load(sink, first_read("10:00", "11:00"), click("10:00"))
        columns = sink.columns(TABLES["email_click"])
    spool = file.directory / "iterable.duckdb.spool"
    spool.mkdir()
    (spool / "file").write_text("x")
    before = file.path.read_bytes()
    with closing(DuckDBSink(file.path, "iterable", read_only=True)) as sink:
        assert TableState(1, at("10:00")) == sink.state(TABLES["email_click"])
        assert columns == sink.columns(TABLES["email_click"])
        assert 1 == len(sink.ledger().of("email_click"))
        assert [Status.RUNNING] == [run.status for run in sink.runs(10)]
        assert not sink.empty
    assert before == file.path.read_bytes()
    assert ["file"] == [path.name for path in spool.iterdir()]


def test_reading_only_refuses_to_write(file: File) -> None:
    """A sink that is read-only refuses runs and removals as errors of loading."""
    file.load(listed(1), *members(1, "a@example.com"))
    with closing(DuckDBSink(file.path, "iterable", read_only=True)) as sink:
        with pytest.raises(LoadError):
            sink.begin(RUN)
        with pytest.raises(LoadError):
            sink.retain(TABLES["list_users"], [])


def test_a_file_without_the_dataset_is_empty(file: File) -> None:
    """Read-only, a dataset that is not in the file is empty, and is not made."""
    file.sql("CREATE TABLE main.x (y INT)")
    with closing(DuckDBSink(file.path, "iterable", read_only=True)) as sink:
        assert sink.empty
    assert [] == file.sql("SELECT schema_name FROM duckdb_schemas() WHERE schema_name = 'iterable'")


# ── files that cannot be opened ──────────────────────────────────────────────────────────────────────────────────────


def test_busy(file: File) -> None:
    """While another process has the file open nobody else gets in; after its death everybody does."""
    with process(hold, file):
        for read_only in (False, True):
            with pytest.raises(DestinationBusy) as caught:
                DuckDBSink(file.path, "iterable", read_only=read_only)
            assert file.path == caught.value.facts["destination"]
    with closing(file.open()) as sink:
        assert [] == sink.runs(10)


def test_a_busy_file_keeps_its_spool(file: File) -> None:
    """Who does not get in leaves the raw files of the other process alone."""
    with process(hold, file):
        raw = file.directory / "iterable.duckdb.spool" / "000001.ndjson"
        raw.write_text("x")
        with pytest.raises(DestinationBusy):
            file.open()
        assert raw.exists()


WRONG = "just text, and long enough to look like a file " * 100


def refusal(path: Path) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        DuckDBSink(path, "iterable")
    return caught.value


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """A file that is no database is a wrong setting, and stays as it is."""
    path = tmp_path / "notes.txt"
    path.write_text(WRONG)
    assert "The destination cannot be opened." == refusal(path).what
    assert WRONG == path.read_text()
    assert [path] == list(tmp_path.iterdir())


def test_a_file_that_is_no_database_and_is_called_lock(tmp_path: Path) -> None:
    """A file that is no database is a wrong setting, whatever it is called."""
    path = tmp_path / "clock.duckdb"
    path.write_text(WRONG)
    assert "The destination cannot be opened." == refusal(path).what


def test_a_directory_that_is_missing(tmp_path: Path) -> None:
    """A directory that does not exist is a wrong setting, and is not made."""
    assert "The directory of the destination does not exist." == refusal(tmp_path / "nowhere" / "x.duckdb").what
    assert [] == list(tmp_path.iterdir())


def test_a_directory_in_place_of_the_file(tmp_path: Path) -> None:
    """A directory is no destination."""
    assert "The destination cannot be opened." == refusal(tmp_path).what


def test_something_in_place_of_the_spool(tmp_path: Path) -> None:
    """What stands where raw files go is not removed; it is named."""
    (tmp_path / "iterable.duckdb.spool").write_text("mine")
    error = refusal(tmp_path / "iterable.duckdb")
    assert "The directory for raw files cannot be made." == error.what
    assert "mine" == (tmp_path / "iterable.duckdb.spool").read_text()
