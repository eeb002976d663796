"""
Datasets of the version before are synced on, in every destination, without a change by hand.

``tests/upgrade/make.py`` says what is in them. The simulator's clock shows an hour after the first run of each, however
late it is now, so facts that were made with a clock 3 hours ahead reach into its future.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from reiterate.catalog import TABLES
from reiterate.catalog.model import ByEvent
from reiterate.simulator import ServerOptions, Simulator
from reiterate.sinks.dataset_format import FORMAT
from tests import replica
from tests.conftest import KEY
from tests.upgrade import places, project

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.upgrade.places import Place

CHOSEN = (*places.TABLES, places.NEVER_READ)
EVENTS = [name for name in CHOSEN if isinstance(TABLES[name].identity, ByEvent)]
AFTER = timedelta(hours=1)
HASHED = {("users", "phoneNumber"), ("email_click", "email")}
SALT = "a salt that is no secret"

KILLED = """
import os, signal
from dataclasses import replace
from reiterate.sinks import dataset_format

def killed(do):
    def done(dataset):
        do(dataset)
        os.kill(os.getpid(), signal.SIGKILL)
    return done

dataset_format.STEPS = [replace(step, {part}=killed(step.{part})) for step in dataset_format.STEPS]
"""
"""Kills the process when a part of a migration is done, and not yet durable where there are transactions."""


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """The project as it was when the datasets were left, its export jobs included, and some changes since."""
    options = project.options(places.PROJECT)
    assert options.end is not None
    now = options.end + AFTER
    server = ServerOptions(api_key=KEY, clock_skew_s=now.timestamp() - time.time(), job_seconds=0.05)
    with Simulator(options, server) as simulator:
        project.restore(simulator.world, places.PROJECT)
        for asked in project.jobs(places.PROJECT):
            start_job(simulator, asked)
        # a second that has not ended yet is not read
        project.change(simulator.world, now - timedelta(seconds=2))
        yield simulator


def start_job(simulator: Simulator, asked: dict[str, str]) -> None:
    url, headers = f"{simulator.url}/api/export/start", {"Api-Key": KEY, "Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(asked).encode(), headers)).close()


@pytest.fixture(params=places.PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A dataset of the version before."""
    directory = tmp_path / "destination"
    directory.mkdir()
    with closing(places.PLACES[request.param](directory)) as place:
        place.restore()
        yield place


def run(
    command: str, place: Place, simulator: Simulator, *flags: str, tables: Iterable[str] = CHOSEN, before: str = ""
) -> tuple[int, str]:
    """Return how a command ended, and what it said; *before* it the process does something else."""
    reach = {"ITERABLE_API_KEY": KEY, "ITERABLE_BASE_URL": simulator.url, "REITERATE_RATE_LIMIT_FACTOR": "1000000"}
    chosen = ("--connection", "shop", "--destination", place.url, "--tables", ",".join(tables))
    done = subprocess.run(
        [sys.executable, "-c", f"{before}\n{place.program}", command, *chosen, *flags],
        env={**os.environ, **reach, **place.environ, "REITERATE_CONFIG": str(places.CONFIG)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


def changed_by(said: str) -> dict[str, tuple[int, int, int]]:
    """Return what a sync with ``--json-logs`` did to rows, by table."""
    events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return {
        event["table"]: (event["added"], event["changed"], event["removed"])
        for event in events
        if event["event"] == "loaded" and event["added"] + event["changed"] + event["removed"]
    }


def differences(place: Place, simulator: Simulator, tables: Iterable[str] = CHOSEN) -> dict[str, tuple[int, int]]:
    """Return, for each table that differs from the truth, how many rows are missing and how many are too many."""
    found = {}
    for table in tables:
        there = replica.counted(replica.rows(place.rows, table))
        truth = replica.counted(disguised(table, row) for row in replica.expected(table, simulator.truth(table)))
        if there != truth:
            found[table] = ((truth - there).total(), (there - truth).total())
    return found


def disguised(table: str, row: dict[str, Any]) -> dict[str, Any]:
    return {
        field: hashlib.sha256(f"{SALT}{value}".encode()).hexdigest() if (table, field) in HASHED else value
        for field, value in row.items()
    }


def ids(place: Place) -> dict[str, set[tuple[str, str]]]:
    """Return the ids of all events, each with when it happened, by table."""
    found = {}
    for table in EVENTS:
        if table != places.NEVER_READ:
            rows = replica.execute(place.rows, f"SELECT _event_id, created_at FROM {table}")
            found[table] = {(event_id, str(at)) for event_id, at in rows}
    return found


def test_a_dataset_of_the_version_before_is_synced_on(place: Place, simulator: Simulator) -> None:
    """One sync makes it exact, with the ids that it had; it adds up, and a second sync changes nothing."""
    before = ids(place)
    status, said = run("sync", place, simulator)
    assert 0 == status, said
    assert "doubled rows were removed from users" in said
    assert {} == differences(place, simulator)
    after = ids(place)
    assert {table: set() for table in before} == {table: before[table] - after[table] for table in before}
    assert "ahead of Iterable's" in said
    for table in ("users", "list_users", "campaigns"):
        open_versions = f"SELECT count(*) FROM {table}_history WHERE _valid_to IS NULL"
        assert replica.execute(place.rows, f"SELECT count(*) FROM {table}") == replica.execute(
            place.rows, open_versions
        )
    assert [(FORMAT,)] == place.own("SELECT format FROM _reiterate_format_version")
    status, said = run("verify", place, simulator)
    assert 0 == status, said
    status, said = run("sync", place, simulator, "--json-logs")
    assert (0, {}) == (status, changed_by(said)), said


def test_a_migration_that_is_killed(place: Place, simulator: Simulator) -> None:
    """Killed (-9) behind either part of the migration, it is done by the next sync."""
    for part in ("define", "migrate"):
        status, said = run("sync", place, simulator, tables=["users"], before=KILLED.format(part=part))
        assert -signal.SIGKILL == status, said
    status, said = run("sync", place, simulator, tables=["users"])
    assert 0 == status, said
    assert {} == differences(place, simulator, ["users"])
    assert [(FORMAT,)] == place.own("SELECT format FROM _reiterate_format_version")


def test_a_newer_dataset_is_refused(place: Place, simulator: Simulator) -> None:
    """What a newer version has written is left alone, with status 2 and the version that it takes."""
    place.own("CREATE TABLE _reiterate_format_version (format BIGINT, reiterate_version VARCHAR, since TIMESTAMP)")
    place.own("INSERT INTO _reiterate_format_version VALUES (99, '9.9.9', NULL)")
    before = place.content()
    status, said = run("sync", place, simulator)
    assert 2 == status, said
    assert "This dataset was written by Reiterate 9.9.9; upgrade this machine." in said
    assert before == place.content()
    assert [] == [seen.path for seen in simulator.requests if not seen.path.endswith("/start")]
