"""Iceberg in a bucket: what readers find, whenever they look and whoever dies, and what is cleared away."""

from __future__ import annotations

import json
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import obstore
import pytest
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException

from reiterate.catalog import TABLES
from reiterate.errors import LoadError
from reiterate.flow import Task, Write
from reiterate.settings import Destination as Setting
from reiterate.sinks import sink_at
from reiterate.sinks.lake.away import BucketSink
from reiterate.sinks.lake.bucket import Bucket
from reiterate.sinks.lake.iceberg_away import IcebergAway, Numbered
from reiterate.sinks.lake.objects import Objects
from reiterate.sinks.lake.snapshots import LEFT, MOST_MANIFESTS
from tests import objects, replica
from tests.sinks.batches import again, batch, click, fact, first_read, load, numbers, same
from tests.sinks.suite import RUN
from tests.sinks.test_bucket import DeltaInBucket, IcebergInBucket, InBucket, abandon, expire
from tests.sinks.test_lake import Dead, click_on, day

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OLD = [click("10:00"), click("10:30", "m2")]
NEW = [click("10:00", colour="red"), click("10:30", "m2"), click("10:40", "m3")]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> IcebergInBucket:
    """A dataset with a table of two rows."""
    made = IcebergInBucket(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made.load(first_read("10:00", "11:00"), *OLD)
    return made


def seen(place: InBucket) -> list[tuple[str, str | None]]:
    """Return what a reader finds who knows the directory of the table alone."""
    found = replica.iceberg(place.url, "email_click").scan().to_arrow().to_pylist()
    return sorted((row["message_id"], row.get("colour")) for row in found)


def hint(place: InBucket) -> int:
    text = obstore.get(Bucket(place.url, "iterable").store, "email_click/metadata/version-hint.text").bytes()
    return int(bytes(text))


class Stepping(Bucket):
    """A bucket that tells of each step by which it is changed, once it is done; the next state of the ledger is one."""

    def __init__(self, url: str, step: Callable[[], None]) -> None:
        super().__init__(url, "iterable")
        self.step = step

    def bring(self, file: Path, name: str) -> None:
        super().bring(file, name)
        self.step()

    def put(self, name: str, body: bytes, mode: Any) -> Any:
        done = super().put(name, body, mode)
        self.step()
        return done

    def move(self, name: str, other: str) -> None:
        super().move(name, other)
        self.step()

    def remove(self, name: str) -> None:
        super().remove(name)
        self.step()


BEFORE, AFTER = [("m1", None), ("m2", None)], [("m1", "red"), ("m2", None), ("m3", None)]


def test_readers_see_the_rows_before_or_after(place: IcebergInBucket) -> None:
    """After each step of a load, whoever opens the table by its hint sees all of the load or nothing of it."""
    found: list[object] = []
    with closing(BucketSink(IcebergAway(Stepping(place.url, lambda: found.append(seen(place)))))) as sink:
        found.clear()
        assert (1, 1, 0) == numbers(load(sink, again("10:00", "11:00"), *NEW))
    changes = [one for one, other in zip(found, [None, *found], strict=False) if one != other]
    assert [BEFORE, AFTER] == changes
    assert len(found) > 6


def test_readers_keep_what_they_opened(place: IcebergInBucket) -> None:
    """Whoever opened the table before a load, and a run's end, reads on what he saw then."""
    opened = replica.iceberg(place.url, "email_click")
    with closing(place.open()) as sink:
        sink.begin(RUN)
        load(sink, again("10:00", "11:00"), *NEW)
        sink.finish(RUN)
    assert 2 == opened.scan().to_arrow().num_rows
    assert AFTER == seen(place)


STEPS = 9
"""staged, state put, moved, staged one removed, manifest, manifest of what left, list, table, hint"""


@pytest.mark.parametrize("step", range(STEPS))
def test_a_process_that_dies_after_any_step(place: IcebergInBucket, step: int) -> None:
    """Whenever a process dies in a load, rows and fact count both or neither, and the load can be done again."""
    left = step

    def die() -> None:
        nonlocal left
        left -= 1
        if left < 0 and armed:
            raise Dead

    armed = False
    sink = BucketSink(IcebergAway(Stepping(place.url, die)))
    made = batch(sink, again("10:00", "11:00"), NEW)
    left, armed = step, True
    with pytest.raises(Dead):
        sink.load(made, fact(made))
    armed = False
    abandon(sink)
    expire(place)  # for this process is alive
    assert seen(place) in (BEFORE, AFTER)
    with closing(place.open()) as opened:
        counts = len(opened.ledger().of("email_click"))
        assert {1: BEFORE, 2: AFTER}[counts] == seen(place)
        assert ((1, 1, 0) if counts == 1 else (0, 0, 0)) == numbers(load(opened, again("10:00", "11:00"), *NEW))
    assert same("email_click", NEW) == place.has("email_click")
    assert [] == [name for name in objects.names(place.url) if "/staged/" in name]
    states = [name for name in objects.names(place.url) if name.endswith(".metadata.json")]
    assert f"iterable/email_click/metadata/v{hint(place)}.metadata.json" in states
    assert not [name for name in states if name.endswith(f"/v{hint(place) + 1}.metadata.json")]


# ── two who write ────────────────────────────────────────────────────────────────────────────────────────────────────


def mark(catalog: Numbered, value: str) -> None:
    """Commit something small."""
    with catalog.load_table(("iterable", "email_click")).transaction() as transaction:
        transaction.set_properties({"mark": value})


def test_who_was_overtaken_commits_nothing(place: IcebergInBucket) -> None:
    """A state that follows one that is not the latest is refused; after another look, the next is not."""
    slow, quick = (Numbered(Bucket(place.url, "iterable")) for _ in range(2))
    slow.load_table(("iterable", "email_click"))
    mark(quick, "quick")
    number = hint(place)
    with pytest.raises(CommitFailedException):
        mark(slow, "slow")
    assert (number, "quick") == (hint(place), replica.iceberg(place.url, "email_click").properties["mark"])
    mark(slow, "slow")
    assert (number + 1, "slow") == (hint(place), replica.iceberg(place.url, "email_click").properties["mark"])


def test_the_hint_never_goes_back(place: IcebergInBucket) -> None:
    """Who slept until the number that he wants was free again leaves the hint as others wrote it."""
    bucket = Bucket(place.url, "iterable")
    slow, quick = (Numbered(bucket) for _ in range(2))
    slow.load_table(("iterable", "email_click"))
    mark(quick, "1")
    bucket.remove(f"email_click/metadata/v{hint(place)}.metadata.json")
    mark(quick, "2")
    number = hint(place)
    with pytest.raises(CommitStateUnknownException):
        mark(slow, "slow")
    assert (number, "2") == (hint(place), replica.iceberg(place.url, "email_click").properties["mark"])
    assert BEFORE == seen(place)


def test_a_state_without_its_hint(place: IcebergInBucket) -> None:
    """A state that was put, and whose hint was not, is the latest to whoever writes next."""

    class Cut(Bucket):
        def put(self, name: str, body: bytes, mode: Any) -> Any:
            if name.endswith("hint.text"):
                raise Dead
            return super().put(name, body, mode)

    with pytest.raises(Dead):
        mark(Numbered(Cut(place.url, "iterable")), "cut")
    number = hint(place)
    catalog = Numbered(Bucket(place.url, "iterable"))
    catalog.load_table(("iterable", "email_click"))
    catalog.show("email_click")
    assert (number + 1, "cut") == (hint(place), replica.iceberg(place.url, "email_click").properties["mark"])


@pytest.mark.parametrize("kind", [InBucket, DeltaInBucket, IcebergInBucket])
def test_a_table_that_is_dropped_meanwhile(tmp_path: Path, kind: type[InBucket]) -> None:
    """A table that a person drops while a sync loads into it starts anew, without the facts of rows that are gone."""
    place = kind(tmp_path)
    email_click = TABLES["email_click"]
    with closing(place.open()) as sink:
        load(sink, Task(email_click, day(0), Write.APPEND), click_on(0, "m0"))
        place.drop("email_click")
        for number in (1, 2, 3):
            with suppress(LoadError):
                load(sink, Task(email_click, day(number), Write.APPEND), click_on(number, f"m{number}"))
    there = [number for number in range(4) if day(number) in {one.window for one in place.facts("email_click")}]
    assert {2, 3} <= {*there} <= {1, 2, 3}
    assert same("email_click", [click_on(number, f"m{number}") for number in there]) == place.has("email_click")


# ── what nobody reads any more ───────────────────────────────────────────────────────────────────────────────────────


def files(place: InBucket) -> set[str]:
    """Return the names of all files of the table."""
    prefix = "iterable/email_click/"
    return {name.removeprefix(prefix) for name in objects.names(place.url) if name.startswith(prefix)}


def test_it_stays_short(place: IcebergInBucket) -> None:
    """However many loads there are, snapshots and manifests stay few, and what left long ago goes."""
    rows = [click(f"10:{number:02d}", f"m{number}") for number in range(24)]
    bucket = Bucket(place.url, "iterable")
    with closing(BucketSink(IcebergAway(bucket, kept=timedelta(0), kept_snapshots=5))) as sink:
        sink.begin(RUN)
        for row in rows:
            load(sink, again("10:00", "11:00"), row)
        table = replica.iceberg(place.url, "email_click")
        latest = table.current_snapshot()
        assert latest is not None
        assert len(latest.manifests(table.io)) <= MOST_MANIFESTS
        assert len(table.snapshots()) <= 11
        sink.finish(RUN)
    table = replica.iceberg(place.url, "email_click")
    latest = table.current_snapshot()
    assert latest is not None
    needed = {table.metadata_location, latest.manifest_list, *(one.manifest_path for one in latest.manifests(table.io))}
    needed |= {task.file.file_path for task in table.scan().plan_files()}
    prefix = f"{table.location()}/"
    assert {LEFT, "metadata/version-hint.text", *(name.removeprefix(prefix) for name in needed)} == files(place)
    assert 2 + 24 == len(seen(place))


def test_what_left_is_kept_for_a_week(place: IcebergInBucket) -> None:
    """What left is noted by a run, and removed by the first that ends a week later; looked at once a day."""
    bucket = Bucket(place.url, "iterable")
    before = {name for name in files(place) if name.endswith(".parquet")}

    def run(*rows: replica.Row) -> None:
        with closing(place.open()) as sink:
            sink.begin(RUN)
            load(sink, again("10:00", "11:00"), *rows)
            sink.finish(RUN)

    def note() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(bytes(obstore.get(bucket.store, f"email_click/{LEFT}").bytes()))
        return found

    def age(days: int) -> None:
        past = (datetime.now(UTC) - timedelta(days=days)).isoformat()
        aged = {"looked": past, "left": dict.fromkeys(note()["left"], past)}
        bucket.put(f"email_click/{LEFT}", json.dumps(aged).encode(), "overwrite")

    run(*NEW)
    assert before <= files(place)
    first = note()
    assert before <= {*first["left"]}
    run(*NEW[:2], NEW[2] | {"country": "France"})
    assert first == note()
    age(6)
    run(*NEW)
    assert before <= files(place)
    age(8)
    run(*NEW[:2], NEW[2] | {"country": "Spain"})
    assert not before & files(place)
    assert same("email_click", [*NEW[:2], NEW[2] | {"country": "Spain"}]) == place.has("email_click")


def test_what_somebody_named_stays(place: IcebergInBucket) -> None:
    """A snapshot to which somebody gave a name can be read for ever."""
    catalog = Numbered(Bucket(place.url, "iterable"))
    table = catalog.load_table(("iterable", "email_click"))
    snapshot = table.metadata.current_snapshot_id
    assert snapshot is not None
    table.manage_snapshots().create_tag(snapshot, "audit").commit()
    with closing(BucketSink(IcebergAway(Bucket(place.url, "iterable"), kept=timedelta(0)))) as sink:
        sink.begin(RUN)
        load(sink, again("10:00", "11:00"), *NEW)
        load(sink, again("10:00", "11:00"), *NEW, click("10:50", "m4"))
        sink.finish(RUN)
    assert 2 == replica.iceberg(place.url, "email_click").scan(snapshot_id=snapshot).to_arrow().num_rows


# ── files and their names ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_url_names_the_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The URL of a bucket tells that its tables are Iceberg's."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with closing(sink_at(Setting.of("default", objects.new_prefix("iceberg"), "iterable"))) as sink:
        assert isinstance(sink, BucketSink)
        assert IcebergAway is type(sink._files)


def test_what_is_not_written_to_its_end() -> None:
    """A file that broke off is not there, and one that is there is written over only if that is wanted."""
    bucket = Bucket(objects.new_prefix("iceberg"), "iterable")
    target = Objects(bucket).new_output(bucket.location("t/file"))
    with suppress(Dead), target.create() as stream:
        stream.write(b"some")
        raise Dead
    assert not target.exists()
    for body in (b"one", b"other"):
        with target.create(overwrite=True) as stream:
            stream.write(body)
    with pytest.raises(FileExistsError), target.create() as stream:
        stream.write(b"third")
    with target.to_input_file().open() as source:
        assert b"other" == source.read()
    with pytest.raises(FileNotFoundError):
        Objects(bucket).new_input("s3://elsewhere/t/file")
    assert Objects(bucket).new_input(bucket.location("t/file").replace("s3:", "s3a:")).exists()


def test_locations_in_azure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines know files in Azure by their account, which is not in the URL of a destination."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "shop")
    bucket = Bucket("az://box/lake", "iterable")
    assert "abfss://box@shop.dfs.core.windows.net/lake/iterable/users/a.parquet" == bucket.location("users/a.parquet")
    assert "users/a.parquet" == bucket.name_at(bucket.location("users/a.parquet"))
