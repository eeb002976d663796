"""Directories of files: the suite for each format, and what only files have."""

from __future__ import annotations

import shutil
import sys
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import duckdb
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from pyiceberg.catalog.sql import SqlCatalog

from reiterate.catalog import TABLES
from reiterate.errors import DestinationBusy, LoadError, SettingsError
from reiterate.flow import Part, Task, Write
from reiterate.settings import Destination as Setting
from reiterate.sinks import TableState, look_at, sink_at
from reiterate.sinks.lake import LakeSink, Local, Parquet, ledger_at
from reiterate.sinks.lake.delta import Delta
from reiterate.sinks.lake.iceberg import Iceberg
from reiterate.sinks.lake.snapshots import MOST_MANIFESTS
from reiterate.windows import Window
from tests import replica
from tests.sinks import model
from tests.sinks.batches import (
    DAY,
    again,
    at,
    batch,
    broken,
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
)
from tests.sinks.suite import RUN, Destination, SinkSuite, hold, process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from reiterate.sinks.lake import Change, Format
    from tests.sinks.batches import Row


class Files(Destination):
    """A dataset of plain Parquet files."""

    format: ClassVar[type[Format]] = Parquet

    @property
    def root(self) -> Path:
        return self.directory / "iterable"

    def open(self) -> LakeSink:
        return LakeSink(self.format(Local(self.root)))

    def rows(self, table: str) -> list[Row]:
        return replica.rows(replica.Lake(self.directory, self.format.NAME), table)

    def drop(self, table: str) -> None:
        shutil.rmtree(self.root / table)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        return replica.execute(replica.Lake(self.directory, self.format.NAME), query)

    def size_bytes(self) -> int:
        # rows that repeat are next to nothing in Parquet
        return super().size_bytes() * 100

    def names(self, table: str) -> set[str]:
        """Return the labels of the files that belong to a table, without what is random in them."""
        with closing(self.open()) as sink:
            return {name.rpartition("_")[0] for name in sink._names(table)}


class DeltaFiles(Files):
    """A dataset of Delta tables."""

    format = Delta


class IcebergFiles(Files):
    """A dataset of Iceberg tables."""

    format = Iceberg

    def drop(self, table: str) -> None:
        SqlCatalog("reiterate", uri=f"sqlite:///{self.directory / 'catalog.db'}").drop_table(("iterable", table))


class LakeSuite(SinkSuite):
    """The suite; of sequences of loads fewer, for the formats share all but the last step."""

    @given(steps=model.steps)
    @settings(
        derandomize=True,
        deadline=None,
        max_examples=4,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    def test_any_loads(self, place: Destination, steps: list[model.Step]) -> None:
        """Whatever is loaded in whatever order, the tables end as plain dictionaries do, and every number is right."""
        self.any_loads(place, steps)


class TestParquet(LakeSuite):
    """All that every destination must do."""

    kind = Files


class TestDelta(LakeSuite):
    """All that every destination must do."""

    kind = DeltaFiles


class TestIceberg(LakeSuite):
    """All that every destination must do."""

    kind = IcebergFiles


@pytest.fixture(params=[Files, DeltaFiles, IcebergFiles], ids=["parquet", "delta", "iceberg"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    """An empty destination of each format."""
    made: Files = request.param(tmp_path)
    return made


# ── a process that dies after its load is noted ──────────────────────────────────────────────────────────────────────


class Dead(BaseException):
    """The process is gone, as far as the destination can tell."""


def dying(kind: type[Format], *, after: bool) -> type[Format]:
    """Return a format whose process dies before or after a change is made, and before it is struck out."""

    class Dying(kind):  # type: ignore[misc,valid-type]
        """Dies."""

        def apply(self, change: Change) -> None:
            if after:
                super().apply(change)
            raise Dead

    return Dying


def die(files: Files, task: Task, *rows: Row, after: bool) -> None:
    """Load *rows* as a process does that dies in the end."""
    sink = LakeSink(dying(files.format, after=after)(Local(files.root)))
    made = batch(sink, task, rows)
    with pytest.raises(Dead):
        sink.load(made, fact(made))
    # the process is gone, its staged files and the lock of the ledger are as they were
    sink._database.close()


LOADS = [
    (first_read("12:00", "13:00"), [click("12:00", "m3", colour="red")], (1, 0, 0)),
    (again("10:00", "13:00"), [click("10:00", colour="red"), click("12:00", "m3")], (1, 1, 0)),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("task", "rows", "wanted"), LOADS, ids=["append", "merge"])
def test_a_load_that_is_noted_is_completed(
    files: Files, task: Task, rows: list[Row], wanted: tuple[int, int, int], *, after: bool
) -> None:
    """A process that dies before or after it made a noted change leaves a load that counts, once."""
    files.load(first_read("10:00", "11:00"), click("10:00"), click("10:30", "m2"))
    die(files, task, *rows, after=after)
    setting = Setting.of("default", f"{files.directory.as_uri()}?format={files.format.NAME}", "iterable")
    with look_at(setting) as seen:
        assert seen is not None
        assert TableState(3, at("12:00")) == seen.state(TABLES["email_click"])
        assert 0 == seen.doubles(TABLES["email_click"])
    with closing(files.open()) as sink:
        assert TableState(3, at("12:00")) == sink.state(TABLES["email_click"])
        assert sum(wanted) - wanted[1] + 2 == sum(change.rows for change in sink.changes(TABLES["email_click"]))
        assert (0, 0, 0) == numbers(load(sink, again("12:00", "13:00"), rows[-1]))
    assert 3 == files.has("email_click").total()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_replacement_that_is_noted_is_completed(files: Files, *, after: bool) -> None:
    """A part that was being replaced is the new one, and its like stay."""
    files.load(listed(1), *members(1, "a@example.com", "b@example.com"))
    files.load(listed(2), *members(2, "a@example.com"))
    die(files, listed(1), *members(1, "b@example.com", "c@example.com"), after=after)
    wanted = [*members(1, "b@example.com", "c@example.com"), *members(2, "a@example.com")]
    with closing(files.open()) as sink:
        assert TableState(3, None) == sink.state(TABLES["list_users"])
    assert same("list_users", wanted) == files.has("list_users")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_swap_that_is_noted_is_completed(files: Files, *, after: bool) -> None:
    """A table that was read anew is the new one, its history too, whenever the process died after that was noted."""
    task = replace(window("users", "10:00", "11:00"), history=True)
    files.load(task, user("a@example.com", "10:00"), user("b@example.com", "10:00"))
    sink = LakeSink(dying(files.format, after=after)(Local(files.root)))
    sink.refresh(TABLES["users"])
    load(sink, task, user("b@example.com", "10:00"), user("c@example.com", "10:00", city="Lyon"))
    with pytest.raises(Dead):
        sink.swap(TABLES["users"])
    sink._database.close()
    with closing(files.open()) as sink:
        assert TableState(2, at("10:00")) == sink.state(TABLES["users"])
        assert 1 == len(sink.ledger().of("users"))
        assert [] == [*(files.root / "_reiterate" / "new").iterdir()]
    assert [("b@example.com",), ("c@example.com",)] == files.ask("SELECT email FROM users ORDER BY 1")
    assert [("a@example.com", False), ("b@example.com", True), ("c@example.com", True)] == files.ask(
        "SELECT email, _valid_to IS NULL FROM users_history ORDER BY 1"
    )


def test_a_swap_that_is_not_noted_changes_nothing(files: Files) -> None:
    """A process that dies in a swap before it is noted leaves the old rows, and nothing of the new ones."""

    class DiesInSwap(LakeSink):
        def _forget_table(self, table: str) -> None:
            super()._forget_table(table)
            raise Dead

    files.load(first_read("10:00", "11:00"), click("10:00"), click("10:10", "m2"))
    sink = DiesInSwap(files.format(Local(files.root)))
    sink.refresh(TABLES["email_click"])
    load(sink, first_read("10:00", "11:00"), click("10:00", colour="red"))
    with pytest.raises(Dead):
        sink.swap(TABLES["email_click"])
    sink._database.close()
    with closing(files.open()) as again_open:
        again_open.begin(RUN)
        assert TableState(2, at("10:10")) == again_open.state(TABLES["email_click"])
        assert 1 == len(again_open.ledger().of("email_click"))
        again_open.refresh(TABLES["email_click"])
        load(again_open, first_read("10:00", "11:00"), click("10:00"))
        assert (2, 1) == again_open.swap(TABLES["email_click"])
    assert same("email_click", [click("10:00")]) == files.has("email_click")


def test_a_history_stays_in_few_files(files: Files) -> None:
    """Versions that end are marked where they are, new ones join them; what did not change writes nothing."""
    task = replace(window("users", "10:00", "11:00"), history=True)
    for minute in range(5):
        files.load(task, user("a@example.com", f"10:0{minute}"), user("b@example.com", "10:00"))
    assert 1 == len(files.names("users_history"))
    assert [(6,)] == files.ask("SELECT count(*) FROM users_history")
    before = sorted(files.root.joinpath("users_history").rglob("*"))
    files.load(task, user("a@example.com", "10:04"))
    assert before == sorted(files.root.joinpath("users_history").rglob("*"))


def test_a_first_load_that_is_noted_is_completed(files: Files) -> None:
    """A table that was to be made is there, with its columns and its rows."""
    die(files, first_read("10:00", "11:00"), click("10:00", colour="red"), after=False)
    assert "text" == files.columns("email_click")["colour"]
    assert same("email_click", [click("10:00", colour="red")]) == files.has("email_click")


def test_a_directory_that_cannot_be_written_for_a_while(tmp_path: Path) -> None:
    """A load whose files cannot be moved is an error that says so, and is completed when they can."""
    files = Files(tmp_path)
    with closing(files.open()) as sink:
        load(sink, first_read("10:00", "11:00"), click("10:00"))
        files.root.joinpath("email_click").rename(tmp_path / "away")
        files.root.joinpath("users").write_text("in the way")
        with pytest.raises(LoadError, match="completed by the next load"):
            load(sink, window("users", "10:00", "11:00"), user("a@example.com", "10:00"))
        files.root.joinpath("users").unlink()
        (tmp_path / "away").rename(files.root / "email_click")
        assert (1, 0, 0) == numbers(load(sink, window("users", "10:00", "11:00"), user("a@example.com", "10:00")))
    assert same("users", [user("a@example.com", "10:00")]) == files.has("users")


def compact(files: Files) -> None:
    """Rewrite the files of a table as other programs do."""
    if isinstance(files, DeltaFiles):
        DeltaTable(str(files.root / "email_click")).optimize.compact()
    else:
        catalog = SqlCatalog("reiterate", uri=f"sqlite:///{files.directory / 'catalog.db'}")
        table = catalog.load_table("iterable.email_click")
        table.overwrite(table.scan().to_arrow())


@pytest.mark.parametrize("kind", [DeltaFiles, IcebergFiles])
def test_files_that_others_rewrote(tmp_path: Path, kind: type[Files]) -> None:
    """Compaction by another program hinders no load after it."""
    files = kind(tmp_path)
    for number in (0, 1):
        files.load(Task(TABLES["email_click"], day(number), Write.APPEND), click_on(number, "m1"))
    compact(files)
    both = Task(TABLES["email_click"], Window(day(0).start, day(2).end), Write.MERGE)
    rows = [click_on(0, "m1") | {"colour": "red"}, click_on(1, "m1"), click_on(2, "m1")]
    assert (1, 1, 0) == numbers(files.load(both, *rows))
    assert same("email_click", rows) == files.has("email_click")


@pytest.mark.parametrize("kind", [DeltaFiles, IcebergFiles])
def test_a_load_that_cannot_be_completed_is_taken_back(tmp_path: Path, kind: type[Files]) -> None:
    """If another program rewrote the files before a noted load was completed, its window is read again."""
    files = kind(tmp_path)
    for number in (0, 1):
        files.load(Task(TABLES["email_click"], day(number), Write.APPEND), click_on(number, "m1"))
    both = Task(TABLES["email_click"], Window(day(0).start, day(2).start), Write.MERGE)
    rows = [click_on(number, "m1") | {"country": "France"} for number in (0, 1)]
    die(files, both, *rows, after=False)
    compact(files)
    assert 2 == len(files.facts("email_click"))
    assert same("email_click", [click_on(0, "m1"), click_on(1, "m1")]) == files.has("email_click")
    assert (0, 2, 0) == numbers(files.load(both, *rows))
    assert same("email_click", rows) == files.has("email_click")


def test_a_dropped_table_is_not_there_after_a_load_that_failed(files: Files) -> None:
    """A load that would have made a table anew, and failed, leaves it dropped."""
    files.load(first_read("10:00", "11:00"), click("10:00"))
    files.drop("email_click")
    with closing(files.open()) as sink:
        made = batch(sink, first_read("11:00", "12:00"), [click("11:00")])
        with pytest.raises(LoadError, match="broken off"):
            sink.load(broken(made, "m1"), fact(made))
        assert () == sink.columns(TABLES["email_click"])
        assert sink.state(TABLES["email_click"]) is None


# ── locks, formats, other people's files ─────────────────────────────────────────────────────────────────────────────


def test_a_second_process_is_refused(files: Files) -> None:
    """Who opens what another process has open is told so; once that one is killed, it can."""
    with process(hold, files), pytest.raises(DestinationBusy):
        files.open()
    files.open().close()


def test_another_format_is_refused(tmp_path: Path) -> None:
    """A dataset keeps the format that it began with."""
    Files(tmp_path).load(first_read("10:00", "11:00"), click("10:00"))
    with pytest.raises(SettingsError, match=r"wanted=delta, found=parquet"):
        DeltaFiles(tmp_path).open()
    assert (0, 0, 0) == numbers(Files(tmp_path).load(again("10:00", "11:00"), click("10:00")))


def test_a_table_of_others_is_refused(tmp_path: Path) -> None:
    """Files that nobody knows of stand in the way of a table, so that none is read as ours."""
    table = tmp_path / "iterable" / "email_click"
    table.mkdir(parents=True)
    with pytest.raises(LoadError, match="does not know"):
        Files(tmp_path).load(first_read("10:00", "11:00"), click("10:00"))
    table.rmdir()
    assert (1, 0, 0) == numbers(Files(tmp_path).load(first_read("10:00", "11:00"), click("10:00")))


def test_nothing_is_there(tmp_path: Path) -> None:
    """A look at a directory that is missing or empty finds nothing, and makes nothing."""
    for directory in (tmp_path, tmp_path / "missing"):
        with look_at(Setting.of("default", directory.as_uri(), "iterable")) as sink:
            assert sink is None
    assert [] == list(tmp_path.iterdir())


def test_a_process_that_died_at_once(tmp_path: Path) -> None:
    """A ledger without any table is an empty destination, and can be written."""
    files = Files(tmp_path)
    ledger = ledger_at(files.root)
    ledger.parent.mkdir(parents=True)
    duckdb.connect(str(ledger)).close()
    with look_at(Setting.of("default", tmp_path.as_uri(), "iterable")) as sink:
        assert sink is None
    assert (1, 0, 0) == numbers(files.load(first_read("10:00", "11:00"), click("10:00")))


@pytest.mark.parametrize(("format_", "kind"), [("", Parquet), ("?format=delta", Delta), ("?format=iceberg", Iceberg)])
def test_a_url_names_the_format(tmp_path: Path, format_: str, kind: type[Format]) -> None:
    """The URL of a directory tells the format, Parquet unless it says otherwise."""
    sink = sink_at(Setting.of("default", f"{(tmp_path / 'a b').as_uri()}{format_}", "shop"))
    with closing(sink):
        assert isinstance(sink, LakeSink)
        assert (kind, f"{tmp_path}/a b/shop") == (type(sink._files), sink._files.place.url(""))


@pytest.mark.parametrize(("format_", "package"), [("delta", "deltalake"), ("iceberg", "pyiceberg")])
def test_a_package_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: str, package: str) -> None:
    """Without its package, a format says which extra brings it."""
    monkeypatch.setitem(sys.modules, package, None)
    for module in (format_, "snapshots"):
        monkeypatch.delitem(sys.modules, f"reiterate.sinks.lake.{module}")
    with pytest.raises(SettingsError, match=rf"pip install 'reiterate\[{format_}\]'"):
        sink_at(Setting.of("default", f"{tmp_path.as_uri()}?format={format_}", "shop"))


# ── which files a load reads and writes ──────────────────────────────────────────────────────────────────────────────


def day(number: int) -> Window:
    return Window(DAY + timedelta(days=number), DAY + timedelta(days=number + 1))


def click_on(number: int, message: str) -> Row:
    return click("10:00", message) | {"createdAt": f"{DAY + timedelta(days=number, hours=10):%Y-%m-%d %H:%M:%S} +00:00"}


def test_events_lie_by_their_days(files: Files) -> None:
    """A first read makes a file of its days; a merge puts new events to those of their day, others elsewhere."""
    table = TABLES["email_click"]
    files.load(Task(table, day(0), Write.APPEND), click_on(0, "m1"))
    files.load(Task(table, day(1), Write.APPEND), click_on(1, "m2"))
    files.load(Task(table, Window(day(1).start, day(2).end), Write.MERGE), click_on(1, "m3"), click_on(2, "m4"))
    wanted = {f"2026-11-0{number}_2026-11-0{number}" for number in (1, 2, 3)}
    assert wanted == files.names("email_click")
    assert same("email_click", [click_on(n, m) for n, m in ((0, "m1"), (1, "m2"), (1, "m3"), (2, "m4"))]) == files.has(
        "email_click"
    )


def test_a_load_leaves_other_files_alone(files: Files) -> None:
    """Files of days and parts that a load cannot touch are the same afterwards, byte by byte and by their names."""
    table = TABLES["email_click"]
    for number in (0, 1):
        files.load(Task(table, day(number), Write.APPEND), click_on(number, "m1"))
        files.load(listed(number), *members(number, "a@example.com"))
    before = {path: path.stat().st_mtime_ns for path in files.root.glob("*/*1_2026*.parquet")}
    files.load(Task(table, day(1), Write.MERGE), click_on(1, "m1") | {"colour": "red"})
    files.load(listed(1), *members(1, "b@example.com"))
    kept = {path: path.stat().st_mtime_ns for path in files.root.glob("*/*.parquet")}
    assert [*before.items()] == [(path, kept[path]) for path in before]
    assert {"part-0-5feceb66", "part-1-6b86b273"} == files.names("list_users")


def test_a_load_that_changes_nothing_writes_nothing(files: Files) -> None:
    """What is read again as it was leaves every file as it is."""
    files.load(first_read("10:00", "11:00"), click("10:00"))
    before = sorted(files.root.joinpath("email_click").rglob("*"))
    files.load(again("10:00", "11:00"), click("10:00"))
    assert before == sorted(files.root.joinpath("email_click").rglob("*"))


def test_full_files_get_no_more_rows(files: Files) -> None:
    """New rows go to a file of their own once the one that is there is large."""
    with closing(LakeSink(files.format(Local(files.root)), full_bytes=1)) as sink:
        for number in range(3):
            load(sink, window("users", "10:00", "11:00"), user(f"{number}@example.com", "10:00"))
        assert 3 == len(sink._names("users"))
        assert TableState(3, at("10:00")) == sink.state(TABLES["users"])


def test_a_table_without_rows_has_a_file(tmp_path: Path) -> None:
    """Plain Parquet shows a table without rows as a file without rows, for as long as it is the only one."""
    files = Files(tmp_path)
    files.load(listed(1))
    assert ["empty.parquet"] == [path.name for path in (files.root / "list_users").iterdir()]
    files.load(listed(1), *members(1, "a@example.com"))
    assert {"part-1-6b86b273"} == files.names("list_users")
    with closing(files.open()) as sink:
        assert 1 == sink.retain(TABLES["list_users"], [Part("listId", 2)])
    assert ["empty.parquet"] == [path.name for path in (files.root / "list_users").iterdir()]


def test_names_of_parts_tell_them_apart(files: Files) -> None:
    """Parts whose names are alike but for odd characters do not share a file."""
    rows = [{"table": name, "key": "k", "value": {"n": 1}} for name in ("a/b", "a b", "ä" * 100, "../x")]
    for row in rows:
        files.load(Task(TABLES["metadata"], Part("table", str(row["table"])), Write.REPLACE), row)
    assert 4 == len(files.names("metadata"))
    assert same("metadata", rows) == files.has("metadata")


# ── what other programs see ──────────────────────────────────────────────────────────────────────────────────────────


def test_delta_tells_which_files_to_skip(tmp_path: Path) -> None:
    """The log has rows and bounds of the replication key for each file, whole milliseconds that hold all rows."""
    DeltaFiles(tmp_path).load(first_read("10:00", "11:00"), click("10:00"), click("10:30", "m2"))
    actions = duckdb.arrow(DeltaTable(str(tmp_path / "iterable" / "email_click")).get_add_actions(flatten=True))
    found = actions.project('num_records, "min.created_at"::TIMESTAMPTZ, "max.created_at"::TIMESTAMPTZ').fetchall()
    assert [(2, at("10:00"), at("10:30"))] == found


def test_delta_keeps_what_left_for_a_week(tmp_path: Path) -> None:
    """An older version can still be read after a run."""
    files = DeltaFiles(tmp_path)
    with closing(files.open()) as sink:
        sink.begin(RUN)
        load(sink, first_read("10:00", "11:00"), click("10:00"))
        load(sink, again("10:00", "11:00"), click("10:00", colour="red"), click("10:01", "m2"))
        sink.finish(RUN)
    table = DeltaTable(str(files.root / "email_click"))
    counts = []
    for version in range(table.version() + 1):
        table.load_as_version(version)
        counts.append(table.to_pyarrow_table().num_rows)
    assert [0, 1, 2] == sorted({*counts})


def test_iceberg_stays_short(tmp_path: Path) -> None:
    """However many loads there are, snapshots and manifests stay few, and what left long ago goes."""
    files = IcebergFiles(tmp_path)
    rows = [click(f"10:{number:02d}", f"m{number}") for number in range(24)]
    with closing(LakeSink(Iceberg(Local(files.root), kept=timedelta(0), kept_snapshots=5))) as sink:
        sink.begin(RUN)
        for row in rows:
            load(sink, again("10:00", "11:00"), row)
        table = SqlCatalog("reiterate", uri=f"sqlite:///{tmp_path / 'catalog.db'}").load_table("iterable.email_click")
        latest = table.current_snapshot()
        assert latest is not None
        assert len(latest.manifests(table.io)) <= MOST_MANIFESTS
        assert len(table.snapshots()) <= 11
        sink.finish(RUN)
    assert 1 == len(list(files.root.glob("email_click/*.parquet")))
    assert same("email_click", rows) == files.has("email_click")


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Callable[[], list[str]]]:
    """A program that reads plain Parquet by a glob, over and over."""
    files = f"read_parquet('{tmp_path}/iterable/email_click/*.parquet', union_by_name = true)"
    with closing(duckdb.connect()) as database:
        yield lambda: [m for (m,) in database.execute(f"SELECT message_id FROM {files} ORDER BY 1").fetchall()]


def test_a_reader_of_parquet_sees_no_row_twice(tmp_path: Path, reader: Callable[[], list[str]]) -> None:
    """Between any two steps of a change, each row that stays is seen once."""
    seen: list[list[str]] = []

    class Watched(Parquet):
        """Lets the reader read after each step."""

        def apply(self, change: Change) -> None:
            for written in change.written:
                step = type(change)(change.load, change.table, change.columns, change.cursor, (written,), ())
                super().apply(step)
                seen.append(reader())
            super().apply(change)

    with closing(LakeSink(Watched(Local(tmp_path / "iterable")))) as sink:
        for number in (0, 1):
            load(sink, Task(TABLES["email_click"], day(number), Write.APPEND), click_on(number, f"m{number}"))
        both = Task(TABLES["email_click"], Window(day(0).start, day(2).end), Write.MERGE)
        changed = [click_on(number, f"m{number}") | {"colour": "red"} for number in (0, 1, 2)]
        assert (1, 2, 0) == numbers(load(sink, both, *changed))
    assert [["m0"], ["m0", "m1"]] == seen[:2]
    assert all({*one} <= {*two} and len(two) == len({*two}) for one, two in pairwise(seen))
    assert ["m0", "m1", "m2"] == seen[-1]
