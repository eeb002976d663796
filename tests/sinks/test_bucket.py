"""Object stores: the suite over an S3 that runs here, and what only a bucket has."""

from __future__ import annotations

import gzip
from contextlib import closing
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, ClassVar

import duckdb
import obstore
import pytest
from obstore.exceptions import GenericError

from reiterate.catalog import TABLES
from reiterate.errors import DestinationBusy, LoadError, SettingsError
from reiterate.flow import Job
from reiterate.ledger import Refusal
from reiterate.settings import Destination as Setting
from reiterate.sinks import TableState, look_at, sink_at
from reiterate.sinks.lake import Parquet
from reiterate.sinks.lake.away import BucketSink
from reiterate.sinks.lake.bucket import KEPT, LEDGER, Bucket, Versions
from reiterate.sinks.lake.delta import Delta
from reiterate.sinks.lake.iceberg_away import IcebergAway
from tests import objects, replica
from tests.sinks.batches import READ_AT, again, at, batch, click, fact, first_read, load, numbers, same
from tests.sinks.suite import RUN, Destination, hold, process
from tests.sinks.test_lake import Dead, LakeSuite, dying

if TYPE_CHECKING:
    from pathlib import Path

    from reiterate.sinks.lake import Format
    from tests.sinks.batches import Row


class InBucket(Destination):
    """A dataset of plain Parquet files in a bucket."""

    format: ClassVar[type[Format]] = Parquet

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.url = objects.new_prefix(self.format.NAME)

    def files(self, kind: type[Format] | None = None) -> Format:
        return (kind or self.format)(Bucket(self.url, "iterable"))

    def open(self) -> BucketSink:
        return BucketSink(self.files())

    def rows(self, table: str) -> list[Row]:
        return replica.rows(replica.Lake(self.url, self.format.NAME), table)

    def drop(self, table: str) -> None:
        objects.remove(self.url, f"iterable/{table}")

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        return replica.execute(replica.Lake(self.url, self.format.NAME), query)

    def size_bytes(self) -> int:
        # rows that repeat are next to nothing in Parquet
        return super().size_bytes() * 100

    @property
    def setting(self) -> Setting:
        return Setting.of("default", self.url, "iterable")


class DeltaInBucket(InBucket):
    """A dataset of Delta tables in a bucket."""

    format = Delta


class IcebergInBucket(InBucket):
    """A dataset of Iceberg tables in a bucket."""

    format = IcebergAway


@pytest.fixture(autouse=True)
def _work_below_the_destination(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is written aside lies where the suite looks for it."""
    objects.address()
    directory = tmp_path / "destination"
    directory.mkdir(exist_ok=True)
    monkeypatch.setenv("TMPDIR", str(directory))  # of processes that are started
    monkeypatch.setattr("tempfile.tempdir", str(directory))


class InBuckets(LakeSuite):
    """The suite; values and names go into files as on this machine, so they are not tried once more."""

    closings = 3
    test_hostile_values = None  # type: ignore[assignment]
    test_hostile_names = None  # type: ignore[assignment]
    test_a_row_of_2000_fields = None  # type: ignore[assignment]
    test_fields_called_like_words_of_sql = None  # type: ignore[assignment]
    test_values_of_another_type_go_to_a_variant = None  # type: ignore[assignment]

    @pytest.fixture
    def place(self, tmp_path: Path) -> Destination:
        """An empty destination."""
        return self.kind(tmp_path / "destination")


class TestParquetInBucket(InBuckets):
    """All that every destination must do."""

    kind = InBucket


class TestDeltaInBucket(InBuckets):
    """All that every destination must do."""

    kind = DeltaInBucket


class TestIcebergInBucket(InBuckets):
    """All that every destination must do."""

    kind = IcebergInBucket


@pytest.fixture(params=[InBucket, DeltaInBucket, IcebergInBucket], ids=["parquet", "delta", "iceberg"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> InBucket:
    """An empty destination of each format."""
    made: InBucket = request.param(tmp_path / "destination")
    return made


@pytest.fixture
def plain(tmp_path: Path) -> InBucket:
    """An empty destination, where the ledger is all that matters; it is the same for each format."""
    return InBucket(tmp_path / "destination")


def abandon(sink: BucketSink) -> None:
    """Let go of a sink as a process does that is killed."""
    sink._database.close()


def expire(place: InBucket) -> None:
    """Let the lease of whoever holds the dataset be over."""
    versions = Versions(Bucket(place.url, "iterable"))
    number, state = versions.latest()
    assert state is not None
    file = place.directory / "expired.duckdb"
    file.write_bytes(gzip.decompress(state))
    with closing(duckdb.connect(str(file))) as database:
        database.execute("UPDATE expired.iterable._reiterate_lease SET until = now() - INTERVAL 1 hour")
    versions.put(number + 1, gzip.compress(file.read_bytes()))


# ── a process that dies ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.oldest
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_load_that_is_noted_is_completed(place: InBucket, *, after: bool) -> None:
    """A process that dies before or after it made a noted change leaves a load that counts, once."""
    place.load(first_read("10:00", "11:00"), click("10:00"), click("10:30", "m2"))
    sink = BucketSink(place.files(dying(place.format, after=after)))
    made = batch(sink, again("10:00", "13:00"), [click("10:00", colour="red"), click("12:00", "m3")])
    with pytest.raises(Dead):
        sink.load(made, fact(made))
    abandon(sink)
    expire(place)  # for this process is alive
    with look_at(place.setting) as seen:
        assert seen is not None
        assert TableState(3, at("12:00")) == seen.state(TABLES["email_click"])
    assert (0, 0, 0) == numbers(place.load(again("12:00", "13:00"), click("12:00", "m3")))
    rows = [click("10:00", colour="red"), click("10:30", "m2"), click("12:00", "m3")]
    assert same("email_click", rows) == place.has("email_click")


def test_a_load_that_is_not_noted_leaves_nothing(place: InBucket) -> None:
    """A process that dies with its files staged, before the state of the ledger is put, has changed nothing."""
    place.load(first_read("10:00", "11:00"), click("10:00"))

    class Dying(BucketSink):
        def _publish(self) -> None:
            if self._checked:
                raise Dead
            super()._publish()

    sink = Dying(place.files())
    made = batch(sink, again("10:00", "11:00"), [click("10:00", colour="red")])
    with pytest.raises(Dead):
        sink.load(made, fact(made))
    abandon(sink)
    assert [name for name in objects.names(place.url) if "/staged/" in name]
    expire(place)  # for this process is alive
    with closing(place.open()) as opened:
        assert 1 == len(opened.ledger().of("email_click"))
        assert [] == [name for name in objects.names(place.url) if "/staged/" in name]
    assert same("email_click", [click("10:00")]) == place.has("email_click")


# ── two processes ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_second_process_is_refused(plain: InBucket) -> None:
    """Whoever opens what another process has open is told so; once that one is killed, it can."""
    with process(hold, plain), pytest.raises(DestinationBusy):
        plain.open()
    plain.open().close()


def test_a_process_that_was_overtaken_changes_nothing(place: InBucket) -> None:
    """Who slept until another took over is told so at its next load, and leaves rows, facts and staged files alone."""
    sleeper = place.open()
    load(sleeper, first_read("10:00", "11:00"), click("10:00"))
    expire(place)
    with closing(place.open()) as other:
        load(other, first_read("11:00", "12:00"), click("11:00"))
        late = batch(sleeper, first_read("12:00", "13:00"), [click("12:00")])
        for _ in range(2):
            with pytest.raises(DestinationBusy):
                sleeper.load(late, fact(late))
        with pytest.raises(DestinationBusy):
            sleeper._make_sure()
        assert (0, 1, 0) == numbers(load(other, again("11:00", "12:00"), click("11:00", colour="red")))
    sleeper.close()
    assert same("email_click", [click("10:00"), click("11:00", colour="red")]) == place.has("email_click")
    assert 3 == len(place.facts("email_click"))


def test_a_sleeper_looks_before_it_touches_anything(plain: InBucket) -> None:
    """Who has not put a state for long makes sure that he is alone before files are moved or removed."""
    sleeper = plain.open()
    expire(plain)
    other = plain.open()
    sleeper._put_at = datetime.now(UTC) - timedelta(hours=1)
    with pytest.raises(DestinationBusy):
        sleeper._settle()
    other.close()
    sleeper.close()


def test_states_are_put_once(plain: InBucket) -> None:
    """A state that was put is put again without harm, another one under its number is not, nor one that is too late."""
    versions = Versions(Bucket(plain.url, "iterable"))
    versions.put(1, b"one")
    versions.put(1, b"one")
    with pytest.raises(DestinationBusy):
        versions.put(1, b"another")
    for number in range(2, KEPT + 5):
        versions.put(number, b"%d" % number)
    assert (KEPT + 4, b"%d" % (KEPT + 4)) == versions.latest()
    assert KEPT == len(objects.names(plain.url))
    with pytest.raises(DestinationBusy):
        versions.put(1, b"late")


# ── a store that does not answer ─────────────────────────────────────────────────────────────────────────────────────


class Failing(Versions):
    """A store that fails to answer, once, before or after it did what it was asked for."""

    after: bool
    fails = False

    def put(self, number: int, state: bytes) -> None:
        fails, self.fails = self.fails, False
        if not fails or self.after:
            super().put(number, state)
        if fails:
            raise GenericError("no answer")


@pytest.mark.parametrize("after", [False, True], ids=["not done", "done"])
def test_a_state_of_which_nobody_knows(plain: InBucket, *, after: bool) -> None:
    """If a store does not tell whether it has the state, the load fails, and the next one goes on from what it has."""
    with closing(plain.open()) as sink:
        load(sink, first_read("10:00", "11:00"), click("10:00"))
        failing = Failing(Bucket(plain.url, "iterable"))
        failing.after = after
        sink._states, failing.fails = failing, True
        with pytest.raises(LoadError, match="no answer"):
            load(sink, again("10:00", "11:00"), click("10:00", colour="red"))
        made = load(sink, again("10:00", "11:00"), click("10:00", colour="red"), click("10:01", "m2"))
        assert (1, int(not after), 0) == numbers(made)
        assert 2 + after == len(sink.ledger().of("email_click"))
    assert same("email_click", [click("10:00", colour="red"), click("10:01", "m2")]) == plain.has("email_click")


class Opened(Versions):
    """Opens each state that is put, and keeps how many tables it has."""

    def __init__(self, bucket: Bucket, directory: Path) -> None:
        super().__init__(bucket)
        self._directory = directory
        self.tables: list[int] = []

    def put(self, number: int, state: bytes) -> None:
        file = self._directory / f"{number}.duckdb"
        file.write_bytes(gzip.decompress(state))
        with closing(duckdb.connect(str(file))) as database:
            self.tables.append(len(database.execute("FROM duckdb_tables()").fetchall()))
        super().put(number, state)


def test_a_state_is_whole_whoever_looks_meanwhile(tmp_path: Path) -> None:
    """Each state has all tables, though a thread looks at the database while it is written."""
    place, over = InBucket(tmp_path / "destination"), Event()

    def look() -> None:
        with sink._database.cursor() as cursor:
            while not over.is_set():
                cursor.begin()
                cursor.execute("FROM duckdb_tables()").fetchall()
                over.wait(0.02)
                cursor.commit()

    with closing(place.open()) as sink:
        sink._states = opened = Opened(Bucket(place.url, "iterable"), tmp_path)
        looking = Thread(target=look)
        looking.start()
        try:
            for number in range(10):
                sink.refuse(Refusal("r1", "list_users", str(number), READ_AT, "no"))
        finally:
            over.set()
            looking.join()
    assert len(opened.tables) > 10
    assert len({*opened.tables}) == 1


def test_jobs_are_noted_at_once(plain: InBucket) -> None:
    """An export job is in the bucket as soon as it is kept."""
    window = first_read("10:00", "11:00").scope
    with closing(plain.open()) as sink:
        sink.keep(Job(7, "email_click", window, READ_AT))  # type: ignore[arg-type]
        with look_at(plain.setting) as seen:
            assert seen is not None
            assert [7] == [job.job_id for job in seen.ledger().jobs("email_click")]
        sink.forget(Job(7, "email_click", window, READ_AT))  # type: ignore[arg-type]
    with look_at(plain.setting) as seen:
        assert seen is not None
        assert [] == [*seen.ledger().jobs("email_click")]


def test_nobody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket that is not there, or lets nobody in, is a wrong setting, and no secret is told."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    with pytest.raises(SettingsError, match=r"The destination cannot be opened\.") as caught:
        sink_at(Setting.of("default", f"s3://nowhere/x?endpoint={objects.address()}", "iterable"))
    assert "hunter2" not in str(caught.value)


def test_nothing_is_there(plain: InBucket) -> None:
    """A look at a prefix where nothing is finds nothing, and makes nothing."""
    with look_at(plain.setting) as sink:
        assert sink is None
    assert [] == objects.names(plain.url)


def test_what_is_left_on_this_machine(plain: InBucket) -> None:
    """Nothing stays in the directory of temporary files; what a process left that died goes with the next."""
    with process(hold, plain) as child:
        pid = child.pid
    assert [path for path in plain.directory.iterdir() if f"-{pid}-" in path.name]
    with closing(plain.open()) as opened:
        opened.begin(RUN)
        load(opened, first_read("10:00", "11:00"), click("10:00"))
    assert [] == [path.name for path in plain.directory.iterdir() if path.name.startswith("reiterate-")]


def test_buckets_that_are_called_alike(plain: InBucket) -> None:
    """Two stores, each with a bucket of one name, do not share a directory of this machine."""
    other = Bucket(plain.url.partition("&")[0] + "&endpoint=https://minio.corp", "iterable")
    assert Bucket(plain.url, "iterable").identity != other.identity
    assert Bucket(plain.url, "iterable").url("") == other.url("")


def test_another_format_is_refused(tmp_path: Path) -> None:
    """A dataset keeps the format that it began with, and who is refused does not hold it."""
    place = InBucket(tmp_path / "destination")
    place.load(first_read("10:00", "11:00"), click("10:00"))
    with pytest.raises(SettingsError, match=r"wanted=delta, found=parquet"):
        BucketSink(place.files(Delta))
    place.open().close()
    assert obstore.head(Bucket(place.url, "iterable").store, f"{LEDGER}/000000000001.duckdb.gz")
