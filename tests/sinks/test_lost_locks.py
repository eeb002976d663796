"""Each way to change each kind of destination is closed to whoever has lost it, and costs no row."""

from __future__ import annotations

import gzip
import shutil
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from reiterate.catalog import TABLES
from reiterate.errors import LockLost
from reiterate.flow import Job, Status
from reiterate.ledger import Refusal
from reiterate.sinks.lake.bucket import Bucket, Versions
from reiterate.windows import Window
from tests import objects, postgres, replica
from tests.sinks import test_bucket, test_dlt, test_duckdb, test_ducklake, test_lake, test_postgres
from tests.sinks.batches import READ_AT, at, click, first_read, listed, load, members, same, window
from tests.sinks.suite import RUN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import duckdb

    from reiterate.sinks import Sink
    from tests.sinks.suite import Destination

JOB = Job(7, "email_click", Window(at("11:00"), at("12:00")), READ_AT, "")

CHANGES: dict[str, Callable[[Sink], object]] = {
    "load": lambda sink: load(sink, first_read("11:00", "12:00"), click("11:00")),
    "load with a new column": lambda sink: load(sink, first_read("11:00", "12:00"), click("11:00", colour="red")),
    "replace": lambda sink: load(sink, listed(1), *members(1, "b@example.com")),
    "retain": lambda sink: sink.retain(TABLES["list_users"], []),
    "refuse": lambda sink: sink.refuse(Refusal("r1", "list_users", "2", READ_AT, "no")),
    "refresh": lambda sink: sink.refresh(TABLES["email_click"]),
    "swap": lambda sink: sink.swap(TABLES["users"]),
    "drop": lambda sink: sink.drop(TABLES["list_users"]),
    "keep": lambda sink: sink.keep(JOB),
    "forget": lambda sink: sink.forget(JOB),
    "finish": lambda sink: sink.finish(replace(RUN, status=Status.SUCCEEDED, finished_at=READ_AT)),
    "begin": lambda sink: sink.begin(replace(RUN, run_id="r2")),
}


def overwrite(place: test_postgres.Dataset | test_dlt.OverPostgres) -> None:
    """Write another run into the row, as whoever takes over does."""
    replica.execute(place.url, "UPDATE _reiterate_lease SET run_id = 'other'", place.dataset)


def replace_file(file: Path) -> None:
    """Put another file in the place of one, as a person does who restores a copy."""
    moved = file.with_name("moved")
    file.rename(moved)
    shutil.copy(moved, file)


def go_on(place: test_bucket.InBucket) -> None:
    """Put the next state of a ledger, as whoever takes over does."""
    states = Versions(Bucket(place.url, "iterable"))
    number, state = states.latest()
    assert state is not None
    states.put(number + 1, gzip.compress(gzip.decompress(state), 9))


def in_the_lake(place: test_ducklake.Lake, sink: Sink) -> None:
    """Write another run into the row; the lock on the catalog's file lets in nobody else to do it."""
    database: duckdb.DuckDBPyConnection = sink._database  # type: ignore[attr-defined]
    database.execute("UPDATE lake.iterable._reiterate_lease SET run_id = 'other'")
    assert place.url


LOSSES: dict[str, tuple[type[Destination], Callable[[Any, Sink], None]]] = {
    "postgresql": (test_postgres.Dataset, lambda place, _: overwrite(place)),
    "dlt": (test_dlt.OverPostgres, lambda place, _: overwrite(place)),
    "duckdb": (test_duckdb.File, lambda place, _: replace_file(place.path)),
    "parquet": (test_lake.Files, lambda place, _: replace_file(place.root / "_reiterate" / "ledger.duckdb")),
    "delta": (test_lake.DeltaFiles, lambda place, _: replace_file(place.root / "_reiterate" / "ledger.duckdb")),
    "iceberg": (test_lake.IcebergFiles, lambda place, _: replace_file(place.root / "_reiterate" / "ledger.duckdb")),
    "bucket": (test_bucket.InBucket, lambda place, _: go_on(place)),
    "ducklake": (test_ducklake.Lake, in_the_lake),
}


@pytest.fixture(params=[pytest.param(kind, marks=[pytest.mark.ducklake] * (kind == "ducklake")) for kind in LOSSES])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A kind of destination, its files below the test's own directory."""
    postgres.address()
    objects.address()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return str(request.param)


def test_whoever_lost_a_destination_changes_nothing(kind: str, tmp_path: Path) -> None:
    """Loads, definitions, replacements, notes of jobs and runs: each is refused, says so, and leaves all as it was."""
    made, lose = LOSSES[kind]
    (tmp_path / "destination").mkdir()
    place = made(tmp_path / "destination")
    clicks, people = [click("10:00"), click("10:30", "m2")], members(1, "a@example.com")
    user = {"email": "a@example.com", "profileUpdatedAt": "2026-11-01 10:00:00 +00:00"}
    with closing(place.open()) as sink:
        sink.begin(RUN)
        load(sink, first_read("10:00", "11:00"), *clicks)
        load(sink, listed(1), *people)
        load(sink, window("users", "10:00", "11:00"), user)
        sink.keep(JOB)
        sink.refresh(TABLES["users"])
        lose(place, sink)
        for change in CHANGES.values():
            with pytest.raises(LockLost, match=r"taken over|removed or replaced"):
                change(sink)
    for moved in tmp_path.rglob("moved"):
        moved.replace(next(file for file in moved.parent.glob("*.duckdb")))
    for table, rows in {"email_click": clicks, "list_users": people, "users": [user]}.items():
        assert same(table, rows) == place.has(table)
