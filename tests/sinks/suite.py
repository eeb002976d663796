"""
What every destination must do: inherit :class:`SinkSuite`, name the destination, and all of it is tested.

    class TestPostgres(SinkSuite):
        kind = PostgresForTests
"""

from __future__ import annotations

import hashlib
import multiprocessing
import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count
from threading import Event
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings

from reiterate.catalog import TABLES
from reiterate.errors import ConnectionMismatch, LoadError, MostRowsGone, SettingsError
from reiterate.flow import Job, Part, Status
from reiterate.ledger import IN_DOUBT
from reiterate.shape import Shape
from reiterate.sinks import Rehearsal, Run, TableState, dataset_format
from reiterate.windows import Window
from tests import replica
from tests.sinks import hostile, model
from tests.sinks.batches import (
    READ_AT,
    again,
    at,
    batch,
    broken,
    campaign,
    click,
    endless,
    fact,
    first_read,
    listed,
    load,
    load_joined,
    load_lines,
    members,
    numbers,
    same,
    user,
    whole,
    window,
    wire,
)

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess
    from pathlib import Path

    from reiterate.flow import Task
    from reiterate.ledger import Fact
    from reiterate.sinks import Outcome, Sink
    from tests.sinks.batches import Row

PATIENCE_S = 60
RUN = Run("r1", "shop", READ_AT, '{"tables": ["users"]}')
FRESH = count()
ODD = 'it\'s "odd"'


class Destination(ABC):
    """A destination for tests, in a directory of its own; methods but ``open`` want that nobody has it open."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @abstractmethod
    def open(self) -> Sink:
        """Open it for this process."""

    @abstractmethod
    def rows(self, table: str) -> list[Row]:
        """Return the rows of a table, by the fields of the source, nulls left out."""

    @abstractmethod
    def drop(self, table: str) -> None:
        """Drop a table, as a person would."""

    @abstractmethod
    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query, as a person would ask it."""

    def size_bytes(self) -> int:
        """Return a number that grows while rows are written, whoever has the destination open."""
        return sum(path.stat().st_size for path in self.directory.rglob("*") if path.is_file())

    def has(self, table: str) -> Counter[str]:
        return replica.counted(self.rows(table))

    def load(self, task: Task, *rows: Row) -> Outcome:
        with closing(self.open()) as sink:
            return load(sink, task, *rows)

    def facts(self, table: str) -> Sequence[Fact]:
        with closing(self.open()) as sink:
            return sink.ledger().of(table)

    def columns(self, table: str) -> dict[str, str]:
        """Return the types of the columns, by name."""
        with closing(self.open()) as sink:
            return {column.name: column.type.value for column in sink.columns(TABLES[table])}

    def fresh(self) -> Destination:
        """Return another destination, beside this one."""
        directory = self.directory / str(next(FRESH))
        directory.mkdir()
        return type(self)(directory)


# ── other processes ──────────────────────────────────────────────────────────────────────────────────────────────────


def hold(destination: Destination, pipe: Connection) -> None:
    """Have the destination open until killed."""
    with closing(destination.open()):
        pipe.send("open")
        pipe.poll(PATIENCE_S)


def load_endlessly(destination: Destination, pipe: Connection) -> None:
    """Append to a window without end, with a column that is new."""
    _load_endlessly(destination, pipe, first_read("12:00", "13:00"))


def merge_endlessly(destination: Destination, pipe: Connection) -> None:
    """Merge into a window that has rows, without end."""
    _load_endlessly(destination, pipe, again("10:00", "13:00"))


def _load_endlessly(destination: Destination, pipe: Connection, task: Task) -> None:
    with closing(destination.open()) as sink:
        made = endless(batch(sink, task, [click("12:00", "m3", colour="red")]))
        pipe.send("loading")
        sink.load(made, fact(made))


@contextmanager
def process(play: Callable[[Destination, Connection], None], destination: Destination) -> Iterator[BaseProcess]:
    """Run *play* in a process of its own, from its first message on; kill it (-9) in the end."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with ours, theirs:
        child = context.Process(target=play, args=(destination, theirs))
        child.start()
        try:
            assert ours.poll(PATIENCE_S)
            yield child
        finally:
            child.kill()
            child.join()
            child.close()


def keep_hostile(place: Destination, name: str, loads: Sequence[list[bytes]]) -> None:
    """Load the lines of a case as *loads*, then all again, and compare."""
    lines, rows = hostile.rows(name)
    task = window("users", "10:00", "11:00")
    with closing(place.open()) as sink:
        for some in loads:
            assert (len(some), 0, 0) == numbers(load_lines(sink, task, some))
        assert (0, 0, 0) == numbers(load_lines(sink, task, lines))
    assert same("users", rows) == place.has("users")


class OneByOne:
    """For databases in which a load is quick: each value comes with a load of its own."""

    @pytest.mark.parametrize("name", hostile.CORPUS)
    def test_hostile_values_one_by_one(self, place: Destination, name: str) -> None:
        """Values that are hard to keep come back exactly, whichever of them made the column."""
        lines, _ = hostile.rows(name)
        keep_hostile(place, name, [[line] for line in lines])


# ── the format of a dataset ──────────────────────────────────────────────────────────────────────────────────────────


def format_of(sink: Any) -> int:
    """Return the number that an open destination has."""
    number: int = sink._format()[0]
    return number


def put_format(sink: Any, number: int) -> None:
    """Give an open destination another number."""
    with sink._transaction():
        sink._set_format(number)


def event_ids(place: Destination) -> set[str]:
    """Return the ids of the clicks."""
    return {event_id for (event_id,) in place.ask("SELECT _event_id FROM email_click")}


def note_until_refused(sink: Sink, job: Job) -> str:
    """Note a job and strike it out, again and again; return why not any more."""
    while True:
        try:
            sink.keep(job)
            sink.forget(job)
        except LoadError as error:
            return str(error)


# ── the suite ────────────────────────────────────────────────────────────────────────────────────────────────────────


class SinkSuite:
    """Tests that any sink passes."""

    kind: ClassVar[type[Destination]]
    closings: ClassVar[int] = 10
    """how often a destination is closed while threads note something"""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Destination:
        """An empty destination."""
        directory = tmp_path / "destination"
        directory.mkdir()
        return self.kind(directory)

    # ── rows and fact become durable together ────────────────────────────────────────────────────────────────────────

    def test_nothing_is_there_at_first(self, place: Destination) -> None:
        """A new destination has no table, no fact and no run."""
        with closing(place.open()) as sink:
            assert () == sink.columns(TABLES["users"])
            assert sink.state(TABLES["users"]) is None
            assert [] == [*sink.ledger().of("users"), *sink.runs(10)]
            assert 0 == sink.retain(TABLES["list_users"], [])

    def test_first_load(self, place: Destination) -> None:
        """The first load makes the table, and brings rows and fact; its columns are nobody's news."""
        rows = [click("10:00", url="https://shop.example.com"), click("10:59", "m2", colour="red")]
        outcome = place.load(first_read("10:00", "11:00"), *rows)
        assert (2, 0, 0) == numbers(outcome)
        assert () == outcome.new_columns
        assert same("email_click", rows) == place.has("email_click")
        assert [2] == [fact.rows for fact in place.facts("email_click")]
        assert "text" == place.columns("email_click")["colour"]

    def test_a_window_without_rows(self, place: Destination) -> None:
        """A window in which nothing happened makes the table, and its fact counts."""
        assert (0, 0, 0) == numbers(place.load(first_read("10:00", "11:00")))
        assert [] == place.rows("email_click")
        assert [0] == [fact.rows for fact in place.facts("email_click")]

    def test_a_first_load_that_fails_leaves_nothing(self, place: Destination) -> None:
        """A query that fails after some rows leaves no table, no column and no fact."""
        with closing(place.open()) as sink:
            made = batch(sink, first_read("10:00", "11:00"), [click("10:00"), click("10:01", "m2")])
            with pytest.raises(LoadError, match="broken off"):
                sink.load(broken(made, "m2"), fact(made))
            assert () == sink.columns(TABLES["email_click"])
            assert sink.state(TABLES["email_click"]) is None
            assert [] == sink.ledger().of("email_click")
            assert (2, 0, 0) == numbers(sink.load(made, fact(made)))

    @pytest.mark.parametrize("task", [first_read("11:00", "12:00"), again("10:00", "12:00")], ids=["append", "merge"])
    def test_a_load_that_fails_leaves_nothing(self, place: Destination, task: Task) -> None:
        """A query that fails half way leaves rows, facts and columns as they were, and the next load finds its way."""
        place.load(first_read("10:00", "11:00"), click("10:00"))
        columns, rows = place.columns("email_click"), place.has("email_click")
        new = [click("11:00", "m2", colour="red"), click("11:01", "m3")]
        with closing(place.open()) as sink:
            made = batch(sink, task, new)
            with pytest.raises(LoadError, match="broken off"):
                sink.load(broken(made, "m3"), fact(made))
        assert columns == place.columns("email_click")
        assert rows == place.has("email_click")
        assert 1 == len(place.facts("email_click"))
        outcome = place.load(task, *new)
        assert ((2, 0, 0), ["colour"]) == (numbers(outcome), [column.name for column in outcome.new_columns])

    def test_a_replacement_that_fails_leaves_nothing(self, place: Destination) -> None:
        """What a failing load was to replace is still there."""
        place.load(listed(1), *members(1, "a@example.com", "b@example.com"))
        rows = place.has("list_users")
        with closing(place.open()) as sink:
            made = batch(sink, listed(1), members(1, "c@example.com"))
            with pytest.raises(LoadError):
                sink.load(replace(made, query=f"SELECT error('x') AS email, * FROM ({made.query})"), fact(made))
        assert rows == place.has("list_users")
        assert 1 == len(place.facts("list_users"))

    def test_a_fact_that_cannot_be_kept_takes_its_rows_along(self, place: Destination) -> None:
        """Rows without their fact are not kept, for nobody would know that they were read."""
        with closing(place.open()) as sink:
            made = batch(sink, first_read("10:00", "11:00"), [click("10:00")])
            with pytest.raises(LoadError):
                sink.load(made, replace(fact(made), rows=2**70))
            assert sink.state(TABLES["email_click"]) is None
            assert (1, 0, 0) == numbers(sink.load(made, fact(made)))

    @pytest.mark.parametrize("table", ["email_click", "campaigns"])
    def test_a_raw_file_that_is_gone(self, place: Destination, table: str) -> None:
        """A load without its raw file is refused as any other."""
        with closing(place.open()) as sink:
            task = whole("campaigns") if table == "campaigns" else first_read("10:00", "11:00")
            made = batch(sink, task, [campaign(1, "10:00") if table == "campaigns" else click("10:00")])
            for path in sink.spool.iterdir():
                path.unlink()
            with pytest.raises(LoadError):
                sink.load(made, fact(made))
            assert sink.state(TABLES[table]) is None

    @pytest.mark.parametrize("play", [load_endlessly, merge_endlessly])
    def test_a_process_that_is_killed_leaves_nothing(
        self, place: Destination, play: Callable[[Destination, Connection], None]
    ) -> None:
        """A process killed (-9) while it writes rows leaves the destination as it was before that load."""
        place.load(first_read("10:00", "11:00"), click("10:00"), click("10:30", "m2"))
        columns, rows, size = place.columns("email_click"), place.has("email_click"), place.size_bytes()
        with process(play, place) as child:
            deadline = time.monotonic() + PATIENCE_S
            while place.size_bytes() < size + 2**20 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert size + 2**20 <= place.size_bytes()
            assert child.is_alive()
        assert columns == place.columns("email_click")
        assert rows == place.has("email_click")
        assert 1 == len(place.facts("email_click"))
        assert (1, 0, 0) == numbers(place.load(first_read("12:00", "13:00"), click("12:00", "m3", colour="red")))

    # ── merge ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def test_merging_adds_and_changes_but_never_removes(self, place: Destination) -> None:
        """A window read again adds what is new, changes what changed, and keeps what is no longer listed."""
        gone, old = click("10:00", "gone"), click("10:10", colour="red")
        place.load(first_read("10:00", "11:00"), gone, old, click("10:20", "same"))
        changed, new = click("10:10", colour="blue"), click("10:30", "new")
        assert (1, 1, 0) == numbers(place.load(again("10:00", "11:00"), changed, click("10:20", "same"), new))
        assert same("email_click", [gone, changed, click("10:20", "same"), new]) == place.has("email_click")

    def test_merging_takes_away_values(self, place: Destination) -> None:
        """A row that is read again without a field loses it: the row is as the source has it."""
        place.load(window("users", "10:00", "11:00"), user("a@example.com", "10:00", city="Lyon", tier="gold"))
        assert (0, 1, 0) == numbers(place.load(window("users", "10:00", "11:00"), user("a@example.com", "10:01")))
        assert same("users", [user("a@example.com", "10:01")]) == place.has("users")

    def test_events_that_look_alike_stay_apart(self, place: Destination) -> None:
        """Two identical clicks of one second are two rows; a third that shows later is added alone."""
        place.load(first_read("10:00", "11:00"), click("10:00"), click("10:00"))
        assert (0, 0, 0) == numbers(place.load(again("10:00", "11:00"), click("10:00"), click("10:00")))
        assert (1, 0, 0) == numbers(place.load(again("10:00", "11:00"), *[click("10:00")] * 3))
        assert same("email_click", [click("10:00")] * 3) == place.has("email_click")

    @pytest.mark.parametrize(
        ("task", "later", "earlier"),
        [
            (
                window("users", "10:00", "12:00"),
                user("a@example.com", "11:00", firstName="new"),
                user("a@example.com", "10:00", firstName="old"),
            ),
            (whole("campaigns"), campaign(1, "11:00", name="new"), campaign(1, "10:00", name="old")),
        ],
        ids=["users", "campaigns"],
    )
    def test_an_older_row_changes_nothing(self, place: Destination, task: Task, later: Row, earlier: Row) -> None:
        """A row does not take the place of one with a later replication key, in whatever order windows are loaded."""
        merging = replace(task, write=window("users", "10:00", "12:00").write)
        assert (1, 0, 0) == numbers(place.load(merging, later))
        assert (0, 0, 0) == numbers(place.load(merging, earlier))
        assert same(task.table.name, [later]) == place.has(task.table.name)

    def test_a_change_in_silence_arrives(self, place: Destination) -> None:
        """A row with the same replication key takes the place of the old one: states change without it moving."""
        merging = replace(whole("campaigns"), write=again("10:00", "11:00").write)
        place.load(merging, campaign(1, "10:00", campaignState="Running"))
        assert (0, 1, 0) == numbers(place.load(merging, campaign(1, "10:00", campaignState="Finished")))

    def test_users_move_between_windows(self, place: Destination) -> None:
        """A profile that changed again is one row, though its windows lie far apart."""
        place.load(window("users", "10:00", "11:00"), user("a@example.com", "10:00"), user("b@example.com", "10:01"))
        assert (0, 1, 0) == numbers(place.load(window("users", "15:00", "16:00"), user("a@example.com", "15:00")))
        wanted = [user("a@example.com", "15:00"), user("b@example.com", "10:01")]
        assert same("users", wanted) == place.has("users")

    # ── people who have another name now ─────────────────────────────────────────────────────────────────────────────

    def test_events_of_a_merged_user_stay_one(self, place: Destination) -> None:
        """Events listed under another person are the stored ones: ids stay, values are the new ones, once for all."""
        stored = [click("10:00", url="x"), click("10:00", url="y"), click("10:10", hrefIndex=3)]
        place.load(first_read("10:00", "11:00"), *stored, click("10:20", "other"))
        ids = event_ids(place)
        merged = [row | {"email": "zoe@example.com", "userId": "z-1", "colour": "red"} for row in stored]
        answer = [*merged, click("10:20", "other"), click("10:30", "new")]
        for outcome in ((1, 3, 0), (0, 0, 0)):
            with closing(place.open()) as sink:
                made = batch(sink, again("10:00", "11:00"), answer)
                assert (outcome[0], 0) == sink.compare(made)
                assert outcome == numbers(sink.load(made, fact(made)))
            assert same("email_click", answer) == place.has("email_click")
            assert ids < event_ids(place)

    def test_people_who_are_both_listed_are_two(self, place: Destination) -> None:
        """One message of two people in one second is two events, also after one of them was merged into the other."""
        ines, zoe = click("10:00"), click("10:00", email="zoe@example.com")
        place.load(first_read("10:00", "11:00"), ines)
        assert (1, 0, 0) == numbers(place.load(again("10:00", "11:00"), ines, zoe))
        ids = event_ids(place)
        assert (0, 1, 0) == numbers(place.load(again("10:00", "11:00"), zoe, zoe))
        assert (0, 0, 0) == numbers(place.load(again("10:00", "11:00"), zoe, zoe))
        assert same("email_click", [zoe, zoe]) == place.has("email_click")
        assert (0, 1, 0) == numbers(place.load(again("10:00", "11:00"), ines, zoe))
        assert same("email_click", [ines, zoe]) == place.has("email_click")
        assert ids == event_ids(place)

    def test_people_who_are_renamed_again_and_again(self, place: Destination) -> None:
        """A chain of merges, a changed case, a name that comes back, a user without address: always the same rows."""
        place.load(first_read("10:00", "11:00"), click("10:00"), click("10:00"), click("10:59", url="z"))
        ids = event_ids(place)
        for person in (
            {"email": "b@example.com"},
            {"email": "B@example.com"},
            {"email": None, "itblUserId": "i-1"},
            {"email": None, "userId": 5},
            {"email": None},
            {"email": "ines@example.com"},
        ):
            answer = [row | person for row in (click("10:00"), click("10:00"), click("10:59", url="z"))]
            assert (0, 3, 0) == numbers(place.load(again("10:00", "11:00"), *answer))
            assert same("email_click", answer) == place.has("email_click")
            assert ids == event_ids(place)

    def test_events_that_agree_in_less_are_others(self, place: Destination) -> None:
        """Another message, none, another second, another or a missing value: that is not the stored event."""
        stored = [click("10:00", url="x"), click("10:01", ""), click("10:02", "5", url="x"), click("10:03", ip="")]
        place.load(first_read("10:00", "12:00"), *stored, click("11:30", "late"))
        zoe = {"email": "zoe@example.com"}
        new = [
            click("10:00", url="y") | zoe,
            click("10:00", "m2", url="x") | zoe,
            click("10:00") | zoe,
            click("10:01", "") | zoe,
            click("10:03") | zoe,
            click("10:04", url="x") | zoe,
            click("11:30", "late") | zoe,  # outside of the window: the stored one may still be listed there
        ]
        assert (7, 0, 0) == numbers(place.load(again("10:00", "11:00"), *new))
        assert same("email_click", [*stored, click("11:30", "late"), *new]) == place.has("email_click")
        # a number counts as its text, in ids too
        assert (0, 1, 0) == numbers(
            place.load(again("10:00", "11:00"), click("10:02", url="x") | zoe | {"messageId": 5})
        )

    def test_a_second_is_whole(self, place: Destination) -> None:
        """Events count in whole seconds, whichever part of it Iterable gives, at the edges of an answer too."""
        parts = ["2026-11-01T10:00:00.900Z", "2026-11-01T10:00:00.100Z"]
        first, second = (click("10:00") | {"createdAt": part} for part in parts)
        place.load(first_read("10:00", "11:00"), first)
        assert (0, 1, 0) == numbers(place.load(again("10:00", "11:00"), second))
        merged = first | {"email": "zoe@example.com"}
        assert (0, 1, 0) == numbers(place.load(again("10:00", "11:00"), merged))
        assert 1 == len(place.rows("email_click"))

    def test_hashed_people_are_recognised(self, place: Destination) -> None:
        """Hashes stand for what they hide, an empty message included."""
        shape = Shape(hashed=("email", "messageId"))
        stored, zoe = [click("10:00"), click("10:01", "")], {"email": "zoe@example.com"}
        first, later = (replace(task("10:00", "11:00"), shape=shape) for task in (first_read, again))
        place.load(first, *map(shape.disguise, stored))
        assert (1, 1, 0) == numbers(place.load(later, *(shape.disguise(row | zoe) for row in stored)))

    def test_many_merged_users(self, place: Destination) -> None:
        """As many events as two statements rename get their ids, each its own."""
        stored = [click(f"10:{number % 60:02d}", f"m{number}") for number in range(700)]
        place.load(first_read("10:00", "11:00"), *stored)
        ids = event_ids(place)
        merged = [row | {"email": "zoe@example.com"} for row in stored]
        assert (0, 700, 0) == numbers(place.load(again("10:00", "11:00"), *merged))
        assert same("email_click", merged) == place.has("email_click")
        assert ids == event_ids(place)

    def test_history_follows_a_merged_user(self, place: Destination) -> None:
        """What an event was before its user was merged is kept like any other change."""
        task = replace(again("10:00", "11:00"), history=True)
        place.load(task, click("10:00"))
        place.load(task, click("10:00", email="zoe@example.com"))
        found = place.ask("SELECT email, _valid_to IS NULL FROM email_click_history ORDER BY 1")
        assert [("ines@example.com", False), ("zoe@example.com", True)] == [tuple(row) for row in found]

    # ── what an event is ─────────────────────────────────────────────────────────────────────────────────────────────

    def test_ids_of_empty_texts(self, place: Destination) -> None:
        """An empty text counts as a value in the id of an event, as it did in version 0.1.0, which made these ids."""
        identifying = ("messageId", "url", "hrefIndex", "ip", "userAgent", "email", "itblUserId", "userId")
        empty = {"createdAt": wire("10:00"), **dict.fromkeys(identifying, "")}
        nobody: Row = {"email": None}
        rows: list[Row] = [empty, empty, {**empty, **nobody}, {**empty, **nobody, "itblUserId": None}]
        place.load(first_read("10:00", "11:00"), *rows, {"createdAt": wire("10:00")}, {**empty, "createdAt": ""})
        assert {
            "2cf0683b2c4b91f8132aca97f0000643",
            "b6d1b7705d8bf1127e94ac5f14fb783c",
            "bf48d35122f9068e63fa26f6fe96c9ea",
            "c9dd4f83a675a920501910af892ae602",
            "cfc63c3289ad502d216d2f87934322f4",
            "f91123e57262f92df286d4b10ea95a82",
        } == event_ids(place)

    # ── who a user is ────────────────────────────────────────────────────────────────────────────────────────────────

    def test_users_by_numbers_and_texts(self, place: Destination) -> None:
        """A userId is the same as number and as text, of any size, whichever column it stands in."""
        task = window("users", "10:00", "11:00")
        numbers_of = [5, 2**60, 12345678901234567890, -7]
        rows = [{"userId": number, "profileUpdatedAt": wire("10:00")} for number in numbers_of]
        assert (4, 0, 0) == numbers(place.load(task, *rows))
        assert (0, 0, 0) == numbers(place.load(task, *rows))
        texts = [row | {"userId": str(row["userId"]), "firstName": "Ines"} for row in rows]
        assert (0, 4, 0) == numbers(place.load(task, *texts))
        assert same("users", texts) == place.has("users")
        assert (1, 4, 0) == numbers(place.load(task, *rows, {"userId": "x", "profileUpdatedAt": wire("10:00")}))
        with closing(place.open()) as sink:
            assert (0, 1) == sink.compare(batch(sink, task, texts))
            assert 0 == sink.doubles(TABLES["users"])

    def test_an_empty_text_is_no_identity(self, place: Destination) -> None:
        """Users are told apart by the first field that holds something, and two fields are never the same."""
        at_ten = {"profileUpdatedAt": wire("10:00")}
        rows: list[Row] = [
            {"itblUserId": "", "email": "", "userId": 1},
            {"itblUserId": "", "email": "", "userId": 2},
            {"itblUserId": "", "email": "a@example.com", "userId": 1},
            {"itblUserId": "1"},
            {"email": "1"},
        ]
        rows = [{**row, **at_ten} for row in rows]
        task = window("users", "10:00", "11:00")
        for outcome in ((5, 0, 0), (0, 0, 0)):
            assert outcome == numbers(place.load(task, *rows))
        assert (0, 1, 0) == numbers(place.load(task, {"email": None, "userId": "1", "city": "Lyon"} | at_ten))

    def test_users_without_any_identity(self, place: Destination) -> None:
        """Users who have none of the fields are told apart by what they hold, and counted, in a column of its own."""
        task = window("users", "10:00", "11:00")
        place.load(task, user("a@example.com", "10:00"))
        assert "_content_id" not in place.columns("users")
        at_ten = {"profileUpdatedAt": wire("10:00"), "email": "", "nested": {"b": [{"d": 1, "c": 2}], "a": "é"}}
        turned = {"nested": {"a": "é", "b": [{"c": 2, "d": 1}]}, "city": None, **at_ten}
        lyon, lima = at_ten | {"city": "Lyon"}, at_ten | {"city": "Lima"}
        for rows, outcome in (
            ([lyon, at_ten, at_ten], (3, 0, 0)),
            ([turned, lyon], (0, 0, 0)),
            ([at_ten, lima, turned, lyon, turned], (2, 0, 0)),
            ([lyon, at_ten, lima, at_ten, at_ten, user("a@example.com", "10:00")], (0, 0, 0)),
        ):
            assert outcome == numbers(place.load(task, *rows))
        assert 6 == len(place.rows("users"))
        # compact JSON in ASCII, members by their names
        text = (
            '{"email":"","nested":{"a":"\\u00e9","b":[{"c":2,"d":1}]},"profileUpdatedAt":"2026-11-01 10:00:00 +00:00"}'
        )
        content = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        found = {found for (found,) in place.ask("SELECT _content_id FROM users WHERE _content_id IS NOT NULL")}
        assert {content, f"{content}#2", f"{content}#3"} < found
        assert 5 == len(found)
        with closing(place.open()) as sink:
            assert 0 == sink.doubles(TABLES["users"])

    def test_hashed_users_without_an_address(self, place: Destination) -> None:
        """A field of the customer's called like the column has another name; hashes keep an empty text empty."""
        shape = Shape(hashed=("email",), bare=("itblUserId", "email", "userId"))
        task = replace(window("users", "10:00", "11:00"), shape=shape)
        rows = [
            shape.disguise({"email": email, "profileUpdatedAt": wire("10:00"), "_content_id": name})
            for email, name in (("", "one"), ("", "two"), ("a@example.com", "three"))
        ]
        for outcome in ((3, 0, 0), (0, 0, 0)):
            assert outcome == numbers(place.load(task, *rows))
        assert {"one", "two", "three"} == {row["_content_id"] for row in place.rows("users")}
        assert [(2,)] == [tuple(row) for row in place.ask("SELECT count(_content_id) FROM users")]

    def test_history_of_users_by_number(self, place: Destination) -> None:
        """What users by number were is kept once for each change."""
        task = replace(window("users", "10:00", "11:00"), history=True)
        for name in ("Ines", "Ines", "Inès"):
            place.load(task, {"userId": 5, "profileUpdatedAt": wire("10:00"), "firstName": name})
        found = place.ask("SELECT first_name, _valid_to IS NULL FROM users_history ORDER BY 2")
        assert [("Ines", False), ("Inès", True)] == [tuple(row) for row in found]

    def test_ids_of_another_type_are_ids(self, place: Destination) -> None:
        """Rows of listings whose ids do not fit their column are told apart by them, too."""
        rows = [campaign(1, "10:00"), campaign(2, "10:00") | {"id": "b"}, campaign(2, "10:00") | {"id": "c"}]
        for outcome in ((3, 0, 0), (0, 0, 0)):
            assert outcome == numbers(place.load(whole("campaigns"), *rows))
        assert (0, 1, 1) == numbers(place.load(whole("campaigns"), rows[0] | {"id": "1"}, rows[2]))

    # ── append ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def test_new_windows_are_appended(self, place: Destination) -> None:
        """Windows that were never read only add rows, the first and last second of each included."""
        rows = [click("10:00"), click("10:59"), click("11:00"), click("11:59")]
        assert (2, 0, 0) == numbers(place.load(first_read("11:00", "12:00"), *rows[2:]))
        assert (2, 0, 0) == numbers(place.load(first_read("10:00", "11:00"), *rows[:2]))
        assert same("email_click", rows) == place.has("email_click")

    def test_rows_outside_of_their_window_are_merged(self, place: Destination) -> None:
        """Rows that Iterable lists outside of the window that was asked for are not doubled, even if it is new."""
        place.load(first_read("10:00", "11:00"), click("10:30", colour="red"))
        rows = [click("10:30", colour="blue"), click("11:00", "m2"), click("12:00", "m3")]
        assert (2, 1, 0) == numbers(place.load(first_read("11:00", "12:00"), *rows))
        assert same("email_click", rows) == place.has("email_click")

    @pytest.mark.parametrize(("asked", "edge"), [(("11:00", "12:00"), "12:00"), (("13:00", "14:00"), "12:59")])
    def test_rows_just_outside_of_their_window_are_merged(
        self, place: Destination, asked: tuple[str, str], edge: str
    ) -> None:
        """The end of a window is outside of it, as is what lies before its start."""
        place.load(first_read("12:00", "13:00"), click(edge))
        assert (0, 0, 0) == numbers(place.load(first_read(*asked), click(edge)))

    def test_rows_without_an_instant_are_merged(self, place: Destination) -> None:
        """Rows whose time cannot be read are kept as they are, and not doubled."""
        rows = [click("10:30"), click("10:31", "odd") | {"createdAt": "yesterday"}]
        for task, added in ((first_read("10:00", "11:00"), 2), (first_read("11:00", "12:00"), 0)):
            assert (added, 0, 0) == numbers(place.load(task, *rows))
        assert {"yesterday", "2026-11-01T10:30:00.000000"} == {row["createdAt"] for row in place.rows("email_click")}

    def test_rows_that_came_with_another_window(self, place: Destination) -> None:
        """A row that was listed outside of its window, and then again in it, is one row."""
        place.load(first_read("11:00", "12:00"), click("10:30"), click("11:00"))
        place.load(first_read("10:00", "11:00"), click("10:30"))
        assert same("email_click", [click("10:30"), click("11:00")]) == place.has("email_click")

    # ── replace, retain ──────────────────────────────────────────────────────────────────────────────────────────────

    def test_a_part_is_replaced_alone(self, place: Destination) -> None:
        """The members of a list take the place of those that it had; other lists stay."""
        place.load(listed(1), *members(1, "a@example.com", "b@example.com"))
        place.load(listed(2), *members(2, "a@example.com"))
        assert (1, 0, 1) == numbers(place.load(listed(1), *members(1, "b@example.com", "c@example.com")))
        wanted = [*members(1, "b@example.com", "c@example.com"), *members(2, "a@example.com")]
        assert same("list_users", wanted) == place.has("list_users")

    def test_a_part_may_become_empty(self, place: Destination) -> None:
        """A list without members removes those that it had, and nothing else."""
        place.load(listed(1), *members(1, "a@example.com"))
        place.load(listed(2), *members(2, "a@example.com"))
        assert (0, 0, 1) == numbers(place.load(listed(1)))
        assert same("list_users", members(2, "a@example.com")) == place.has("list_users")

    def test_a_whole_table_is_replaced(self, place: Destination) -> None:
        """A table that is read whole is as the source has it: rows are added, changed and removed."""
        place.load(whole("lists"), {"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 3, "name": "c"})
        rows = [{"id": 2, "name": "b"}, {"id": 3, "name": "new"}, {"id": 4, "name": "d"}]
        assert (1, 1, 1) == numbers(place.load(whole("lists"), *rows))
        assert same("lists", rows) == place.has("lists")

    def test_parts_by_name(self, place: Destination) -> None:
        """Parts may be told by text, quotes and all, in columns called like words of SQL."""
        rows = [{"table": name, "key": "k", "value": {"select": 1}} for name in ("stores", ODD)]
        for row in rows:
            place.load(replace(whole("metadata"), scope=Part("table", str(row["table"]))), row)
        odd = replace(whole("metadata"), scope=Part("table", ODD))
        assert (0, 1, 0) == numbers(place.load(odd, rows[1] | {"value": [None]}))
        assert same("metadata", [rows[0], rows[1] | {"value": [None]}]) == place.has("metadata")
        with closing(place.open()) as sink:
            assert 1 == sink.retain(TABLES["metadata"], [Part("table", ODD)])

    def test_retain(self, place: Destination) -> None:
        """The rows of parts that are no longer listed go; without any part all of them do."""
        for number in (1, 2, 3):
            place.load(listed(number), *members(number, "a@example.com", "b@example.com"))
        with closing(place.open()) as sink:
            assert 2 == sink.retain(TABLES["list_users"], [Part("listId", 1), Part("listId", 3), Part("listId", 9)])
            assert 0 == sink.retain(TABLES["list_users"], [Part("listId", 1), Part("listId", 3)])
            assert TableState(4, None) == sink.state(TABLES["list_users"])
            assert 4 == sink.retain(TABLES["list_users"], [])

    # ── the brake ────────────────────────────────────────────────────────────────────────────────────────────────────

    def test_most_rows_of_a_table_stay(self, place: Destination) -> None:
        """A read that would take more than 90 % of a table takes nothing, unless the exact number is accepted."""
        rows = [{"id": number, "name": f"list {number}"} for number in range(200)]
        place.load(whole("lists"), *rows)
        with closing(place.open()) as sink:
            for accepted in ({}, {"lists": [180, 182]}, {"list_sizes": [181]}):
                sink.accept(accepted)
                with pytest.raises(MostRowsGone, match=r"reiterate sync --accept lists:181$"):
                    load(sink, whole("lists"), *rows[:19], {"id": 999, "name": "new"})
            assert (1, TableState(200, None)) == (len(sink.ledger().of("lists")), sink.state(TABLES["lists"]))
        assert same("lists", rows) == place.has("lists")
        with closing(place.open()) as sink:
            sink.accept({"lists": [5, 181]})
            assert (0, 0, 181) == numbers(load(sink, whole("lists"), *rows[:19]))

    def test_the_bounds_of_the_brake(self, place: Destination) -> None:
        """Of 100 rows 90 may go and 91 may not; 99 may; and all may of a table that shrinks by its nature."""
        rows = [{"id": number, "name": f"list {number}"} for number in range(100)]
        place.load(whole("lists"), *rows)
        with pytest.raises(MostRowsGone, match="lists:91"):
            place.load(whole("lists"), *rows[:9])
        assert (0, 0, 90) == numbers(place.load(whole("lists"), *rows[:10]))
        jobs = [{"id": number, "dataTypeName": "emailSend"} for number in range(120)]
        with closing(place.open()) as sink:
            load(sink, whole("channels"), *({"id": number, "name": "x"} for number in range(99)))
            assert (0, 0, 99) == numbers(load(sink, whole("channels")))
            load(sink, whole("export_jobs"), *jobs)
            assert (0, 0, 120) == numbers(load(sink, whole("export_jobs")))

    def test_most_rows_of_a_part_stay(self, place: Destination) -> None:
        """A part counts by itself: a list of 150 members keeps them, however many others there are."""
        large, small = [[f"{number}@example.com" for number in range(count)] for count in (150, 90)]
        with closing(place.open()) as sink:
            load(sink, listed(1), *members(1, *large))
            load(sink, listed(2), *members(2, *small))
            with pytest.raises(MostRowsGone, match="list_users:149") as held:
                load(sink, listed(1), *members(1, large[0]))
            assert "listId 1" in str(held.value)
            assert (0, 0, 89) == numbers(load(sink, listed(2), *members(2, small[0])))
            sink.accept({"list_users": [149]})
            assert (0, 0, 149) == numbers(load(sink, listed(1), *members(1, large[0])))

    def test_a_table_is_not_emptied_part_by_part(self, place: Destination) -> None:
        """What a run takes from small parts adds up to what it takes from their table."""
        emails = [f"{number}@example.com" for number in range(40)]
        with closing(place.open()) as sink:
            for number in (1, 2, 3, 4):
                load(sink, listed(number), *members(number, *emails))
            for number in (1, 2, 3):
                assert (0, 0, 40) == numbers(load(sink, listed(number)))
            with pytest.raises(MostRowsGone, match="list_users:40"):
                load(sink, listed(4))
            assert TableState(40, None) == sink.state(TABLES["list_users"])
        assert (0, 0, 40) == numbers(place.load(listed(4)))

    def test_parts_that_are_no_longer_listed_stay(self, place: Destination) -> None:
        """Of parts that are no longer listed, small ones go, and large ones, or most of the table, stay."""
        for number, size in ((1, 120), (2, 50), (3, 50)):
            place.load(listed(number), *members(number, *(f"{one}@example.com" for one in range(size))))
        table = TABLES["list_users"]
        with closing(place.open()) as sink:
            for parts, gone in (([2, 3], 120), ([2], 170), ([], 220)):
                with pytest.raises(MostRowsGone, match=f"list_users:{gone}"):
                    sink.retain(table, [Part("listId", number) for number in parts])
                with pytest.raises(MostRowsGone, match=f"list_users:{gone}"):
                    sink.rehearse_retain(table, [Part("listId", number) for number in parts])
            assert 3 == len(sink.ledger().of("list_users"))
            assert 100 == sink.rehearse_retain(table, [Part("listId", 1)])
            assert 100 == sink.retain(table, [Part("listId", 1)])
            sink.accept({"list_users": [120]})
            assert 120 == sink.retain(table, [])

    def test_a_swap_does_not_take_most_rows(self, place: Destination) -> None:
        """A table that is read anew, and would lose most rows so, stays as it is, unless the number is accepted."""
        users = [user(f"{number}@example.com", "08:00") for number in range(120)]
        place.load(window("users", "08:00", "09:00"), *users)
        with closing(place.open()) as sink:
            sink.begin(RUN)
            sink.refresh(TABLES["users"])
            load(sink, window("users", "08:00", "09:00"), *users[:10])
            for wrong in ({}, {"users": [109, 111]}):
                sink.accept(wrong)
                with pytest.raises(MostRowsGone, match="users:110"):
                    sink.swap(TABLES["users"])
            assert 120 == getattr(sink.state(TABLES["users"]), "rows", None)
            sink.accept({"users": [110]})
            assert (120, 10) == sink.swap(TABLES["users"])
        assert same("users", users[:10]) == place.has("users")

    def test_a_rehearsal_meets_the_brake(self, place: Destination) -> None:
        """A sync that writes nothing says of which tables it would take most rows, and takes none."""
        rows = [{"id": number, "name": f"list {number}"} for number in range(150)]
        place.load(whole("lists"), *rows)
        with closing(place.open()) as sink:
            rehearsal = Rehearsal(sink, sink.spool)
            with pytest.raises(MostRowsGone, match="lists:149"):
                load(rehearsal, whole("lists"), rows[0])
            load(rehearsal, whole("lists"), *rows[:50])
            rehearsal.accept({"lists": [150]})
            load(rehearsal, whole("lists"))
        assert same("lists", rows) == place.has("lists")

    # ── loading again ────────────────────────────────────────────────────────────────────────────────────────────────

    @pytest.mark.parametrize(
        ("task", "rows"),
        [
            (
                again("10:00", "11:00"),
                [click("10:00", colour="red"), click("10:00"), click("10:00"), click("10:01", x=[1])],
            ),
            (
                window("users", "10:00", "11:00"),
                [user("a@example.com", "10:00", n=2**60, d=0.1, o={"a": None}, b=True)],
            ),
            (whole("campaigns"), [campaign(1, "10:00", sendSize=16), campaign(2, "10:01", sendSize=16.5, name=None)]),
            (whole("lists"), [{"id": 1, "name": ""}, {"id": 2}]),
            (listed(1), members(1, "a@example.com", "b@example.com")),
            (listed(1), [{"listId": 1, "userId": "u-1"}]),
        ],
        ids=["events", "users", "campaigns", "lists", "members", "members by user id"],
    )
    def test_a_second_load_changes_nothing(self, place: Destination, task: Task, rows: list[Row]) -> None:
        """The same rows again add, change and remove none, whether the batch is the same or parsed anew."""
        with closing(place.open()) as sink:
            made = batch(sink, task, rows)
            assert (len(rows), 0, 0) == numbers(sink.load(made, fact(made)))
            assert (0, 0, 0) == numbers(sink.load(made, fact(made)))
            assert (0, 0, 0) == numbers(load(sink, task, *rows))
            assert 3 == len(sink.ledger().of(task.table.name))
        assert same(task.table.name, rows) == place.has(task.table.name)

    # ── columns ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def test_new_fields_become_columns(self, place: Destination) -> None:
        """A field that shows up later becomes a column that is null in older rows."""
        rows = [click("10:00"), click("11:00", colour="red", size=3, tags=["a"])]
        place.load(first_read("10:00", "11:00"), rows[0])
        outcome = place.load(first_read("11:00", "12:00"), rows[1])
        assert ["colour", "size", "tags"] == [column.name for column in outcome.new_columns]
        assert () == place.load(again("11:00", "12:00"), rows[1]).new_columns
        found = place.columns("email_click")
        assert ("text", "bigint", "json") == (found["colour"], found["size"], found["tags"])
        assert same("email_click", rows) == place.has("email_click")

    def test_values_of_another_type_go_to_a_variant(self, place: Destination) -> None:
        """Values that a column cannot hold stand in a second column, and come and go by merging."""
        place.load(first_read("10:00", "11:00"), click("10:00", size=3))
        outcome = place.load(again("10:00", "11:00"), click("10:00", size="large"), click("10:01", size=4))
        assert (1, 1, 0) == numbers(outcome)
        assert ["size__v_text"] == [column.name for column in outcome.new_columns]
        assert [(True, "size")] == [(column.variant, column.field) for column in outcome.new_columns]
        wanted = [click("10:00", size="large"), click("10:01", size=4)]
        assert same("email_click", wanted) == place.has("email_click")
        assert (0, 1, 0) == numbers(place.load(again("10:00", "11:00"), click("10:00", size=5)))
        assert same("email_click", [click("10:00", size=5), click("10:01", size=4)]) == place.has("email_click")

    def test_fields_called_like_words_of_sql(self, place: Destination) -> None:
        """Fields may be called anything: words of SQL, quotes, blanks, names that differ by case alone."""
        names = (
            "table",
            "order",
            "select",
            "group",
            "rows",
            "t",
            "s",
            "staged",
            'a "quoted" name',
            "it's",
            "a;b",
            "$1",
        )
        odd: Row = {name: number for number, name in enumerate(names)} | {"Order": "x", "ORDER": "y", "ä": 1, "ü": 2}
        place.load(first_read("10:00", "11:00"), click("10:00", **odd))
        assert (0, 1, 0) == numbers(place.load(again("10:00", "11:00"), click("10:00", **odd | {"order": 99})))
        assert same("email_click", [click("10:00", **odd | {"order": 99})]) == place.has("email_click")
        place.load(whole("lists"), {"id": 1, **odd})
        assert (1, 0, 1) == numbers(place.load(whole("lists"), {"id": 2, **odd}))

    def test_values_stay_as_they_are(self, place: Destination) -> None:
        """Large numbers, empty and long texts, quotes, emoji, line breaks and nested nulls arrive as they were."""
        values = [
            2**53 + 1,
            -(2**63),
            2**63,
            1e300,
            "",
            "x" * 100_000,
            'O\'Neil "q" \\',
            "😀\n\t\u0001",
            {"a": [None, {}]},
        ]
        rows = [user(f"{number}@example.com", "10:00", value=value) for number, value in enumerate(values)]
        place.load(window("users", "10:00", "11:00"), *rows)
        assert same("users", rows) == place.has("users")

    @pytest.mark.parametrize("name", hostile.CORPUS)
    def test_hostile_values(self, place: Destination, name: str) -> None:
        """Values that are hard to keep come back exactly."""
        lines, _ = hostile.rows(name)
        keep_hostile(place, name, [lines])

    def test_hostile_names(self, place: Destination) -> None:
        """Fields may be called anything, and have distinct columns of names that every database takes."""
        row = user("a@example.com", "10:00", **{name: number for number, name in enumerate(hostile.NAMES)})
        place.load(window("users", "10:00", "11:00"), row)
        assert same("users", [row]) == place.has("users")
        columns = place.columns("users")
        assert len(columns) == len({name.lower() for name in columns})
        assert not [name for name in columns if len(name.encode()) > 63]

    def test_a_row_of_2000_fields(self, place: Destination) -> None:
        """A row may be wider than any schema was meant to be."""
        row = user("a@example.com", "10:00", **{f"field {number}": number for number in range(2000)})
        place.load(window("users", "10:00", "11:00"), row)
        assert same("users", [row]) == place.has("users")

    def test_names_that_cannot_be_held(self, place: Destination) -> None:
        """NUL and lone surrogates in the name of a field are spelled out in it."""
        line = rb'{"email":"a@example.com","a\u0000b":1,"c\ud83d":{"x":2}}'
        with closing(place.open()) as sink:
            load_lines(sink, window("users", "10:00", "11:00"), [line + b"\n"])
        wanted = {"email": "a@example.com", r"a\u0000b": 1, r"c\ud83d": {"x": 2}}
        assert same("users", [wanted]) == place.has("users")

    def test_a_name_that_repeats(self, place: Destination) -> None:
        """All values of a name that stands twice in a row are kept, as a list."""
        line = rb'{"email":"a@example.com","colour":"red","size":1,"colour":"blue"}'
        with closing(place.open()) as sink:
            load_lines(sink, window("users", "10:00", "11:00"), [line + b"\n"])
        wanted = {"email": "a@example.com", "colour": ["red", "blue"], "size": 1}
        assert same("users", [wanted]) == place.has("users")

    # ── facts, runs, state ───────────────────────────────────────────────────────────────────────────────────────────

    @pytest.mark.parametrize(
        ("task", "row"),
        [
            (first_read("10:00", "11:00"), click("10:00")),
            (listed(7), members(7, "a@example.com")[0]),
            (whole("lists"), {"id": 1}),
        ],
        ids=["window", "part", "whole"],
    )
    def test_facts_come_back_as_they_were(self, place: Destination, task: Task, row: Row) -> None:
        """A fact is the same after the destination was closed and opened, to the microsecond."""
        with closing(place.open()) as sink:
            made = batch(sink, task, [row])
            wanted = [fact(made, READ_AT + timedelta(microseconds=number)) for number in (1, 3, 2)]
            for one in wanted:
                merged = replace(made.raw, task=replace(task, write=again("10:00", "11:00").write))
                sink.load(replace(made, raw=merged), one)
        assert sorted(wanted, key=lambda one: one.read_at) == place.facts(task.table.name)

    def test_facts_of_a_time_that_has_not_come(self, place: Destination) -> None:
        """Facts that a clock ahead has noted count no more, for good; their rows stay, and the others count on."""
        ahead = READ_AT + timedelta(hours=3)
        with closing(place.open()) as sink:
            for task, rows, read_at in (
                (first_read("10:00", "11:00"), [click("10:00")], READ_AT),
                (first_read("11:00", "12:00"), [click("11:00", "m2")], ahead),
                (listed(1), members(1, "a@x.com"), ahead),
            ):
                made = batch(sink, task, rows)
                sink.load(made, fact(made, read_at))
            assert 2 == sink.doubt(READ_AT)
            assert 0 == sink.doubt(READ_AT)
        with closing(place.open()) as sink:
            assert [IN_DOUBT, READ_AT] == [one.read_at for one in sink.ledger().of("email_click")]
            assert (1, 1) == (sink.ledger().claimed("email_click"), sink.ledger().claimed("list_users"))
            made = batch(sink, again("11:00", "12:00"), [click("11:00", "m2"), click("11:30", "m3")])
            assert (1, 0, 0) == numbers(sink.load(made, fact(made)))
            assert 0 == sink.ledger().claimed("email_click")

    def test_runs(self, place: Destination) -> None:
        """A run is recorded when it starts and when it ends; the latest come first."""
        later = replace(RUN, run_id="r2", started_at=READ_AT + timedelta(hours=1))
        done = replace(RUN, finished_at=READ_AT + timedelta(seconds=2), status=Status.PARTIAL, rows=3, message="a: no")
        with closing(place.open()) as sink:
            sink.begin(RUN)
            assert [replace(RUN, status=Status.RUNNING)] == sink.runs(10)
            sink.finish(done)
            sink.begin(later)
        with closing(place.open()) as sink:
            assert [replace(later, status=Status.RUNNING), done] == sink.runs(10)
            assert [replace(later, status=Status.RUNNING)] == sink.runs(1)

    def test_a_run_that_never_ended_was_interrupted(self, place: Destination) -> None:
        """The next run marks one that died; those that ended keep their status."""
        first, second, third = (
            replace(RUN, run_id=f"r{number}", started_at=READ_AT + timedelta(hours=number)) for number in (1, 2, 3)
        )
        ended = replace(first, status=Status.FAILED, finished_at=READ_AT)
        for run in (first, second, third):
            with closing(place.open()) as sink:
                sink.begin(run)
                if run == first:
                    sink.finish(ended)
        with closing(place.open()) as sink:
            assert [Status.RUNNING, Status.INTERRUPTED, Status.FAILED] == [run.status for run in sink.runs(3)]

    def test_the_destination_of_another_connection(self, place: Destination) -> None:
        """A run of another connection is refused, and leaves no record."""
        with closing(place.open()) as sink:
            sink.begin(RUN)
            with pytest.raises(ConnectionMismatch) as caught:
                sink.begin(replace(RUN, run_id="r2", connection="outlet"))
            assert ["shop"] == [run.connection for run in sink.runs(10)]
            sink.begin(replace(RUN, run_id="r3"))
        assert ("shop", "outlet") == (caught.value.facts["belongs_to"], caught.value.facts["connection"])

    def test_closing_while_jobs_are_noted(self, place: Destination) -> None:
        """A destination is closed once nobody notes anything; what a thread would note later is refused, in words."""
        job = Job(1, "email_click", Window(at("10:00"), at("11:00")), READ_AT, "")
        for _ in range(self.closings):
            sink = place.open()
            with ThreadPoolExecutor(4) as threads:
                noting = [threads.submit(note_until_refused, sink, replace(job, job_id=number)) for number in range(4)]
                while not all(each.running() for each in noting):
                    time.sleep(0.001)
                sink.close()
                refusals = [each.result(PATIENCE_S) for each in noting]
            assert 4 == sum("The destination is closed." in refusal for refusal in refusals)

    def test_jobs_beside_loads(self, place: Destination) -> None:
        """Jobs that another thread notes make no load fail that strikes out its own, and none is forgotten."""
        noted: set[int] = set()
        done = Event()

        def note() -> None:
            while not done.wait(0.01):
                job = Job(len(noted) + 100, "email_open", Window(at("10:00"), at("11:00")), READ_AT)
                sink.keep(job)
                noted.add(job.job_id)

        with closing(place.open()) as sink, ThreadPoolExecutor(1) as thread:
            notes = thread.submit(note)
            try:
                for hour in range(10, 15):
                    task = first_read(f"{hour}:00", f"{hour + 1}:00")
                    sink.keep(Job(hour, "email_click", Window(at(f"{hour}:00"), at(f"{hour + 1}:00")), READ_AT))
                    assert (1, 0, 0) == numbers(load(sink, task, click(f"{hour}:00")))
            finally:
                done.set()
            notes.result(PATIENCE_S)
        with closing(place.open()) as sink:
            assert noted == {job.job_id for job in sink.ledger().jobs()}

    def test_state(self, place: Destination) -> None:
        """The state of a table is its rows, and the newest replication key where it has one."""
        place.load(first_read("10:00", "11:00"), click("10:00"), click("10:30"))
        place.load(whole("lists"), {"id": 1})
        place.load(first_read("09:00", "10:00"), click("09:30"))
        with closing(place.open()) as sink:
            assert TableState(3, at("10:30")) == sink.state(TABLES["email_click"])
            assert TableState(1, None) == sink.state(TABLES["lists"])
            assert sink.state(TABLES["users"]) is None

    def test_state_without_rows(self, place: Destination) -> None:
        """A table without rows has no newest one."""
        place.load(first_read("10:00", "11:00"))
        with closing(place.open()) as sink:
            assert TableState(0, None) == sink.state(TABLES["email_click"])

    # ── a table that is read anew ────────────────────────────────────────────────────────────────────────────────────

    def test_a_table_that_is_read_anew(self, place: Destination) -> None:
        """The old rows and facts stay until all was read; then the new ones are there, and loads go on with those."""
        table = TABLES["email_click"]
        place.load(first_read("10:00", "11:00"), click("10:00"), click("10:10", "gone", size=3))
        place.load(first_read("11:00", "12:00"), click("11:00", "gone too"))
        place.load(listed(1), *members(1, "a@example.com"))
        new = [click("10:00", colour="red"), click("10:20", "new")]
        with closing(place.open()) as sink:
            sink.begin(RUN)
            sink.refresh(table)
            assert (1, 0, 0) == numbers(load(sink, first_read("10:00", "11:00"), new[0]))
            assert (1, 0, 0) == numbers(load(sink, again("10:00", "11:00"), *new))
            assert TableState(3, at("11:00")) == sink.state(table)
            assert (3, 2) == sink.swap(table)
            assert TableState(2, at("10:20")) == sink.state(table)
            assert (0, 0, 0) == numbers(load(sink, again("10:00", "11:00"), *new))
        assert same("email_click", new) == place.has("email_click")
        assert 3 == len(place.facts("email_click"))
        assert 1 == len(place.facts("list_users"))
        assert (1, 1, 0) == numbers(place.load(again("10:00", "11:00"), click("10:20", "new", size=4), click("10:30")))
        assert same("email_click", [new[0], click("10:20", "new", size=4), click("10:30")]) == place.has("email_click")

    def test_a_table_that_is_not_read_anew_to_the_end(self, place: Destination) -> None:
        """A run that dies before the swap has changed nothing, however often; the next one may begin anew."""
        table, rows = TABLES["email_click"], [click("10:00"), click("10:10", "m2")]
        place.load(first_read("10:00", "11:00"), *rows)
        facts = place.facts("email_click")
        for colour in ("red", "blue"):
            with closing(place.open()) as sink:
                sink.begin(RUN)
                sink.refresh(table)
                load(sink, first_read("10:00", "11:00"), click("10:00", colour=colour))
            assert same("email_click", rows) == place.has("email_click")
        with closing(place.open()) as sink:
            sink.begin(RUN)
            assert (0, 0) == sink.swap(table)
            assert facts == sink.ledger().of("email_click")
            assert not sink.ledger().of("_reiterate_new_email_click")
        assert same("email_click", rows) == place.has("email_click")

    def test_a_table_that_is_read_anew_and_has_no_rows(self, place: Destination) -> None:
        """No rows may take the place of some, and some of none."""
        table = TABLES["email_click"]
        place.load(first_read("10:00", "11:00"), click("10:00"))
        for before, rows in ((1, []), (0, [click("10:10", "m2")])):
            with closing(place.open()) as sink:
                sink.refresh(table)
                load(sink, first_read("10:00", "11:00"), *rows)
                assert (before, len(rows)) == sink.swap(table)
            assert same("email_click", rows) == place.has("email_click")
            assert 1 == len(place.facts("email_click"))

    def test_a_table_that_is_not_there_is_not_read_anew(self, place: Destination) -> None:
        """What was never loaded is just loaded."""
        with closing(place.open()) as sink:
            sink.refresh(TABLES["email_click"])
            load(sink, first_read("10:00", "11:00"), click("10:00"))
            assert (0, 0) == sink.swap(TABLES["email_click"])
        assert same("email_click", [click("10:00")]) == place.has("email_click")

    # ── what rows were ───────────────────────────────────────────────────────────────────────────────────────────────

    def test_history_of_users(self, place: Destination) -> None:
        """Each version has the time in which it was seen; what did not change has one; later fields are kept, too."""
        first, later, last = (
            replace(window("users", f"{hour}:00", f"{hour + 1}:00"), history=True) for hour in (10, 11, 12)
        )
        place.load(first, user("a@example.com", "10:00", city="Lyon"), user("b@example.com", "10:01"))
        place.load(first, user("a@example.com", "10:00", city="Lyon"), user("b@example.com", "10:01"))
        assert [(2,)] == place.ask("SELECT count(*) FROM users_history WHERE _valid_to IS NULL")
        place.load(later, user("a@example.com", "11:00", city="Paris", tags=["x"]), user("c@example.com", "11:01"))
        place.load(last, user("a@example.com", "12:00", city="Paris", tags=["x"]))
        assert [("a@example.com", "Lyon"), ("a@example.com", "Paris")] == place.ask(
            "SELECT email, city FROM users_history WHERE _valid_to IS NOT NULL ORDER BY 2"
        )
        assert [("a@example.com", "Paris"), ("b@example.com", None), ("c@example.com", None)] == place.ask(
            "SELECT email, city FROM users_history WHERE _valid_to IS NULL ORDER BY 1"
        )
        assert [(5,)] == place.ask("SELECT count(*) FROM users_history WHERE _valid_from IS NOT NULL")

    def test_history_of_parts(self, place: Destination) -> None:
        """Rows that leave a part, or go with it, or are not read anew, end; other parts are left alone; some return."""
        one, two = (replace(listed(number), history=True) for number in (1, 2))
        ended = "SELECT list_id, email FROM list_users_history WHERE _valid_to IS NOT NULL ORDER BY 1, 2"
        now = ended.replace("NOT NULL", "NULL")
        place.load(one, *members(1, "a@example.com", "b@example.com"))
        place.load(two, *members(2, "a@example.com"))
        place.load(one, *members(1, "b@example.com"))
        assert ([(1, "a@example.com")], [(1, "b@example.com"), (2, "a@example.com")]) == (
            place.ask(ended),
            place.ask(now),
        )
        place.load(one, *members(1, "a@example.com", "b@example.com"))
        with closing(place.open()) as sink:
            assert 1 == sink.retain(TABLES["list_users"], [Part("listId", 1)])
        assert [(1, "a@example.com"), (2, "a@example.com")] == place.ask(ended)
        with closing(place.open()) as sink:
            sink.refresh(TABLES["list_users"])
            load(sink, replace(one, snapshots=True), *members(1, "b@example.com", "c@example.com"))
            sink.swap(TABLES["list_users"])
        assert [(2,)] == place.ask("SELECT count(*) FROM list_users_snapshots WHERE list_id = 1")
        assert [(1, "a@example.com")] * 2 + [(2, "a@example.com")] == place.ask(ended)
        assert [(1, "b@example.com"), (1, "c@example.com")] == place.ask(now)

    def test_snapshots(self, place: Destination) -> None:
        """The day has the rows of its last load, day by day; parts are kept apart, and one that is gone goes."""
        whole_table = replace(whole("campaigns"), snapshots=True)
        one, two = (replace(listed(number), snapshots=True) for number in (1, 2))
        for hours, names in ((0, "ab"), (1, "bc"), (24, "c")):
            with closing(place.open()) as sink:
                for task, rows in (
                    (whole_table, [campaign(number, "10:00", name=name) for number, name in enumerate(names)]),
                    (one, members(1, *names)),
                    (two, members(2, "x")),
                ):
                    made = batch(sink, task, rows)
                    sink.load(made, fact(made, READ_AT + timedelta(hours=hours)))
        assert [(2, "b"), (2, "c"), (3, "c")] == place.ask(
            "SELECT extract(day FROM _snapshot_date)::INT, name FROM campaigns_snapshots ORDER BY 1, 2"
        )
        assert [(2, 1, "b"), (2, 1, "c"), (2, 2, "x"), (3, 1, "c"), (3, 2, "x")] == place.ask(
            "SELECT extract(day FROM _snapshot_date)::INT, list_id, email FROM list_users_snapshots ORDER BY 1, 2, 3"
        )

    # ── a table that a person dropped ────────────────────────────────────────────────────────────────────────────────

    def test_a_dropped_table_starts_anew(self, place: Destination) -> None:
        """The facts of a table that a person dropped do not count; the next load makes it anew, with its own fact."""
        place.load(first_read("10:00", "11:00"), click("10:00", colour="red"))
        place.load(listed(1), *members(1, "a@example.com"))
        place.drop("email_click")
        assert ([], 1) == (place.facts("email_click"), len(place.facts("list_users")))
        assert (1, 0, 0) == numbers(place.load(first_read("11:00", "12:00"), click("11:00")))
        assert same("email_click", [click("11:00")]) == place.has("email_click")
        assert [at("11:00")] == [fact.window.start for fact in place.facts("email_click") if fact.window]

    def test_a_dropped_table_is_not_there(self, place: Destination) -> None:
        """A table that a person dropped has no columns and no state, and nothing of it can be removed."""
        place.load(listed(1), *members(1, "a@example.com"))
        place.drop("list_users")
        with closing(place.open()) as sink:
            assert sink.state(TABLES["list_users"]) is None
            assert () == sink.columns(TABLES["list_users"])
            assert 0 == sink.retain(TABLES["list_users"], [Part("listId", 1)])

    # ── the spool ────────────────────────────────────────────────────────────────────────────────────────────────────

    def test_spool(self, place: Destination) -> None:
        """Each opening has a directory for raw files of its own; what dead ones left goes, of old versions too."""
        with closing(place.open()) as sink:
            spool, dataset = sink.spool, sink.spool.parent
            assert [] == list(spool.iterdir())
            (spool / "below").mkdir()
            (spool / "below" / "file").write_text("x")
        assert not dataset.exists()
        (spool / "below").mkdir(parents=True)
        (spool / "left behind.ndjson").write_text("x")
        (dataset / "of an old version.ndjson").write_text("x")
        (dataset / "dead.lock").write_text("")
        (dataset / "dead").mkdir()
        with closing(place.open()) as sink:
            assert [] == list(sink.spool.iterdir())
            assert {sink.spool.name, f"{sink.spool.name}.lock"} == {path.name for path in dataset.iterdir()}

    # ── the format of a dataset ──────────────────────────────────────────────────────────────────────────────────────

    def test_a_newer_format_is_refused(self, place: Destination) -> None:
        """What a newer version has written is not written to; rows, facts and number stay as they were."""
        place.load(first_read("10:00", "11:00"), click("10:00"))
        number = dataset_format.FORMAT + 1
        with closing(place.open()) as sink:
            put_format(sink, number)
        for _ in range(2):
            with pytest.raises(SettingsError, match=r"written by Reiterate \d.*upgrade this machine"):
                place.open()
        assert same("email_click", [click("10:00")]) == place.has("email_click")

    def test_users_that_an_older_version_doubled(self, place: Destination) -> None:
        """Of users that were added again and again the latest row stays, in the history each version once."""
        task = replace(window("users", "10:00", "11:00"), history=True, snapshots=True)
        five, other = {"userId": 5, "profileUpdatedAt": wire("10:00"), "firstName": "Old"}, user("x", "10:05")
        with closing(place.open()) as sink:
            nameless = {"profileUpdatedAt": wire("10:07")}
            made = batch(sink, task, [five, other, nameless])
            made = replace(made, query=f"SELECT * REPLACE (NULL::VARCHAR AS _content_id) FROM ({made.query})")
            new = "TIMESTAMPTZ '2026-11-01 10:01:00+00' AS profile_updated_at, 'New' AS first_name"
            again = f"SELECT * REPLACE ({new}) FROM ({made.query}) WHERE user_id__v_bigint = 5"
            old = f"SELECT * FROM ({made.query}) WHERE profile_updated_at = TIMESTAMPTZ '2026-11-01 10:07:00+00'"
            doubled = replace(made, query=f"{made.query} UNION ALL {again} UNION ALL {again} UNION ALL {old}")
            assert (6, 0, 0) == numbers(sink.load(doubled, fact(doubled)))
            assert 3 == sink.doubles(TABLES["users"])
            put_format(sink, dataset_format.UNNUMBERED)
            (notice,) = sink.begin(RUN)
            assert notice.startswith("3 doubled rows were removed from users")
            assert (0, 3) == (sink.doubles(TABLES["users"]), sum(each.rows for each in sink.changes(TABLES["users"])))
            put_format(sink, dataset_format.UNNUMBERED)
            assert [] == sink.begin(replace(RUN, run_id="r2"))
            without = replace(task, history=False, snapshots=False)
            assert 0 == sink.compare(batch(sink, without, [nameless]))[0]
            assert (1, 0, 1) == numbers(load(sink, without, nameless))
            assert (0, 0, 0) == numbers(load(sink, without, nameless))
        kept = [
            five | {"firstName": "New", "profileUpdatedAt": wire("10:01")},
            other,
            {"profileUpdatedAt": wire("10:07")},
        ]
        assert same("users", kept) == place.has("users")
        assert [(1,)] == [tuple(row) for row in place.ask("SELECT count(_content_id) FROM users")]
        of_five = "SELECT first_name, _valid_to IS NULL FROM users_history WHERE first_name IS NOT NULL ORDER BY 1"
        assert [("New", True), ("Old", False)] == [tuple(row) for row in place.ask(of_five)]
        assert [(4,)] == [tuple(row) for row in place.ask("SELECT count(*) FROM users_history")]
        assert [(3,)] == [tuple(row) for row in place.ask("SELECT count(*) FROM users_snapshots")]

    def test_an_older_format_is_migrated_by_the_next_run(self, place: Destination) -> None:
        """A dataset is as new as the run that wrote it, at once or, if it is older, from its next run on."""
        with closing(place.open()) as sink:
            assert dataset_format.FORMAT == format_of(sink)
            put_format(sink, dataset_format.UNNUMBERED)
        with closing(place.open()) as sink:
            assert dataset_format.UNNUMBERED == format_of(sink)
            sink.begin(RUN)
            assert dataset_format.FORMAT == format_of(sink)

    # ── windows that are loaded at once ──────────────────────────────────────────────────────────────────────────────

    def test_windows_at_once(self, place: Destination) -> None:
        """Windows that are loaded at once leave the rows of all of them, and one fact; so they do when read again."""
        red, blue = click("10:30", "m2", colour="red"), click("11:00", colour=5)
        same_second = [click("10:10", "m1"), click("10:10", "m1")]
        with closing(place.open()) as sink:
            first = [(first_read("10:00", "11:00"), [*same_second, red]), (first_read("11:00", "12:00"), [blue])]
            assert (4, 0, 0) == numbers(load_joined(sink, first))
        assert same("email_click", [*same_second, red, blue]) == place.has("email_click")
        late, green = click("11:30", "m3"), click("11:00", colour="green")
        with closing(place.open()) as sink:
            second = [(again("10:30", "11:00"), [red]), (again("11:00", "12:00"), [green, late])]
            assert (1, 1, 0) == numbers(load_joined(sink, second))
        assert same("email_click", [*same_second, red, green, late]) == place.has("email_click")
        windows = [(fact.window, fact.rows) for fact in place.facts("email_click")]
        expected = [(first_read("10:00", "12:00").scope, 4), (again("10:30", "12:00").scope, 3)]
        assert sorted(expected, key=str) == sorted(windows, key=str)

    # ── any sequence of loads ────────────────────────────────────────────────────────────────────────────────────────

    @given(steps=model.steps)
    @settings(
        derandomize=True,
        deadline=None,
        max_examples=20,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    def test_any_loads(self, place: Destination, steps: list[model.Step]) -> None:
        """Whatever is loaded in whatever order, the tables end as plain dictionaries do, and every number is right."""
        self.any_loads(place, steps)

    def any_loads(self, place: Destination, steps: list[model.Step]) -> None:
        wanted, fresh, loaded = model.Model(), place.fresh(), set()
        with closing(fresh.open()) as sink:
            for step in steps:
                if isinstance(step, model.Retain):
                    parts = [Part("listId", list_id) for list_id in step.list_ids]
                    assert wanted.take(step) == (0, 0, sink.retain(TABLES["list_users"], parts))
                else:
                    task, rows = wanted.task(step)
                    assert wanted.take(step) == numbers(load(sink, task, *rows))
                    loaded.add(task.table.name)
        for table in loaded:
            assert same(table, wanted.tables[table].values()) == fresh.has(table)
