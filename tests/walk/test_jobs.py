"""Exports by jobs: what goes by which lane, and what becomes of jobs that fail, hang, or outlive the sync."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

import pytest

import reiterate
from reiterate.catalog import DOCUMENTED, TABLES
from reiterate.catalog.model import Export
from reiterate.flow import LaneClosed, Loaded, RunFinished, Split, Status, Waiting
from reiterate.simulator import Fault, ServerOptions, Simulator, WorldOptions
from tests import replica
from tests.conftest import KEY, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reiterate.flow import Event

START = "/api/export/start"
EDGES = ("startDateTime", "endDateTime")
WORLD = WorldOptions(days=6, events_per_day=300, seed=21)
EXPORTS = [name for name in DOCUMENTED if isinstance(TABLES[name].read, Export)]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """6 days of 300 events; jobs in small files, three of them shown at a time."""
    options = ServerOptions(api_key=KEY, job_seconds=0.1, job_file_bytes=20_000, job_page=3)
    with Simulator(WORLD, options) as simulator:
        yield simulator


def sync(simulator: Simulator, file: Path, **others: Any) -> tuple[list[Event], RunFinished]:
    """Sync the exports in windows of two days."""
    chosen = settings(simulator, file, window_in_days=2, tables=EXPORTS, **others)
    *events, last = reiterate.sync(**chosen)
    assert isinstance(last, RunFinished)
    return events, last


def lanes(file: Path) -> dict[str, int]:
    """Return how many seconds were read by each lane, as the ledger has it."""
    length_s = "sum(epoch(window_end) - epoch(window_start))"
    return dict(replica.execute(file, f"SELECT lane, {length_s} FROM _reiterate_reads GROUP BY 1"))


def open_jobs(file: Path) -> int:
    ((count,),) = replica.execute(file, "SELECT count(*) FROM _reiterate_jobs")
    return int(count)


def test_both_lanes_are_used(simulator: Simulator, tmp_path: Path) -> None:
    """A first sync goes by both lanes at once; the replica is the truth, and no job is left open."""
    file = tmp_path / "replica.duckdb"
    _, last = sync(simulator, file)
    assert Status.SUCCEEDED is last.status
    assert {} == replica.differences(file, simulator, EXPORTS)
    assert {"direct", "jobs"} == lanes(file).keys()
    exported = [[datetime.fromisoformat(job.params[edge]) for edge in EDGES] for job in simulator.jobs]
    assert lanes(file)["jobs"] == sum((end - first).total_seconds() for first, end in exported)
    assert {"completed"} == {job.state for job in simulator.jobs}
    assert 0 == open_jobs(file)


def test_the_key_never_goes_to_the_storage_host(simulator: Simulator, tmp_path: Path) -> None:
    """Links are followed without the key; everything else carries it."""
    sync(simulator, tmp_path / "replica.duckdb")
    assert {True: False, False: True} == {
        seen.path.startswith("/storage/"): seen.with_key for seen in simulator.requests
    }


def test_the_increment_goes_directly(simulator: Simulator, tmp_path: Path) -> None:
    """What a later sync reads is small: no job is started for it."""
    file = tmp_path / "replica.duckdb"
    sync(simulator, file)
    before = len(simulator.jobs)
    simulator.mutate(fraction=0.05)
    sync(simulator, file)
    assert before == len(simulator.jobs)
    assert {} == replica.differences(file, simulator, EXPORTS)


@pytest.mark.parametrize("status", [401, 403, 404, 405, 501])
def test_a_key_that_may_not_start_jobs(simulator: Simulator, tmp_path: Path, status: int) -> None:
    """A refusal closes the lane for the run, is told once, and costs nothing but time."""
    file = tmp_path / "replica.duckdb"
    simulator.set_faults(
        [Fault(START, "status", status=status, body='{"msg":"Disabled API key or insufficient privileges"}')]
    )
    events, last = sync(simulator, file)
    assert Status.SUCCEEDED is last.status
    assert 1 == sum(isinstance(event, LaneClosed) for event in events)
    assert {} == replica.differences(file, simulator, EXPORTS)
    assert {"direct"} == lanes(file).keys()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(START, "job_fails", times=5),
        Fault(START, "job_restarts"),
        Fault(START, "job_hangs", seconds=0.5, times=3),
        Fault(START, "status", status=500, times=3),
        Fault(START, "reset", times=3),
        Fault("/api/export/*/files", "status", status=503, probability=0.3),
        Fault("/api/export/*/files", "cut", probability=0.3),
        Fault("/storage/*", "link_expired", probability=0.3),
        Fault("/storage/*", "cut", probability=0.3),
        Fault("/storage/*", "cut_row", probability=0.3),
        Fault("/storage/*", "cut_letter", probability=0.3),
        Fault("/storage/*", "reset", probability=0.3),
        Fault("/storage/*", "status", status=503, probability=0.3),
        Fault("/storage/*", "drip", seconds=0.1, probability=0.3),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.path}",
)
def test_faults_of_jobs_are_survived(simulator: Simulator, tmp_path: Path, fault: Fault) -> None:
    """What goes wrong with jobs, their states, links and files costs no row, and no job is left open."""
    file = tmp_path / "replica.duckdb"
    simulator.set_faults([fault])
    _, last = sync(simulator, file)
    assert [] == last.problems
    assert {} == replica.differences(file, simulator, EXPORTS)
    assert 0 == open_jobs(file)


def test_a_truncated_job_is_halved(simulator: Simulator, tmp_path: Path) -> None:
    """What Iterable truncates for its size is read in smaller windows; nothing of it is loaded."""
    file = tmp_path / "replica.duckdb"
    simulator.set_faults([Fault(START, "job_truncated", times=6)])
    events, last = sync(simulator, file)
    assert [] == last.problems
    assert 6 == sum(isinstance(event, Split) for event in events)
    assert {} == replica.differences(file, simulator, EXPORTS)


def test_a_job_that_never_ends_is_given_up(simulator: Simulator, tmp_path: Path) -> None:
    """A job that shows nothing new for six hours, by its pauses, is given up; its window is read in halves."""
    file = tmp_path / "replica.duckdb"
    simulator.set_faults([Fault(START, "job_hangs", seconds=1e6, times=1)])
    events, last = sync(simulator, file)
    assert ["An export job shows nothing new."] == [
        event.error.what for event in events if isinstance(event, Split) and event.error is not None
    ]
    assert [] == last.problems
    assert {} == replica.differences(file, simulator, EXPORTS)


def test_jobs_that_fail_each_time_are_reported(simulator: Simulator, tmp_path: Path) -> None:
    """A window whose jobs fail three times is that table's failure; the next sync makes it good."""
    file = tmp_path / "replica.duckdb"
    simulator.set_faults([Fault(START, "job_fails", where={"dataTypeName": "emailSend"})])
    _, last = sync(simulator, file)
    assert Status.PARTIAL is last.status
    assert {"email_send"} == {table.table.name for table in last.tables if table.errors}
    assert "failed" in str(last.problems)
    assert {} == replica.differences(file, simulator, {*EXPORTS} - {"email_send"})
    simulator.set_faults([])
    assert Status.SUCCEEDED is sync(simulator, file)[1].status
    assert {} == replica.differences(file, simulator, EXPORTS)


def test_waiting_for_a_job_is_told(tmp_path: Path) -> None:
    """Who waits for a job is told so."""
    with Simulator(WORLD, ServerOptions(api_key=KEY, job_seconds=0.6)) as simulator:
        events, _ = sync(simulator, tmp_path / "replica.duckdb")
    assert any("export job" in event.reason for event in events if isinstance(event, Waiting))


def start(simulator: Simulator, file: Path) -> subprocess.Popen[str]:
    options = ["--start-date", f"{datetime.fromtimestamp(simulator.world.start_s, UTC):%m/%d/%Y}"]
    options += ["--window-in-days", "2", "--rate-limit-factor", "1000000", "--tables", ",".join(EXPORTS)]
    return subprocess.Popen(
        [sys.executable, "-m", "reiterate", "sync", "--json-logs", "--destination", str(file), *options],
        env={**os.environ, "ITERABLE_API_KEY": KEY, "ITERABLE_BASE_URL": simulator.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_sync_goes_on_with_its_jobs(tmp_path: Path, number: signal.Signals) -> None:
    """A sync that is killed while its jobs run starts none of them again that is still alive."""
    file = tmp_path / "replica.duckdb"
    slow = (Fault("/api/export/data.json", "slow", seconds=1.0),)  # so that most go by jobs
    with Simulator(WORLD, ServerOptions(api_key=KEY, job_seconds=1.0, faults=slow)) as simulator:
        with start(simulator, file) as process:
            assert process.stdout is not None
            for _ in process.stdout:
                if len(simulator.jobs) >= 8:
                    time.sleep(0.4)  # the second four have just begun, and run for a second
                    break
            process.send_signal(number)
            process.communicate()
        # what is younger than the lookback, as the last window may be after midnight, is exported anew
        settled = f"{datetime.now(UTC) - timedelta(hours=3):%Y-%m-%d %H:%M:%S}"
        windows = {
            (job.data_type, *job.params.items()) for job in simulator.jobs if job.params["endDateTime"] < settled
        }
        assert windows
        before = len(simulator.jobs)
        with start(simulator, file) as process:
            _, err = process.communicate()
        assert (0, "") == (process.returncode, err)
        again = [job for job in simulator.jobs[before:] if (job.data_type, *job.params.items()) in windows]
        assert [] == again
        assert len(simulator.jobs) >= 10
        assert {} == replica.differences(file, simulator, EXPORTS)
        assert 0 == open_jobs(file)


def test_jobs_that_nobody_goes_on_with_are_cancelled(tmp_path: Path) -> None:
    """A sync cancels the jobs of a killed one that reached into the lookback, so that they take no place."""
    file = tmp_path / "replica.duckdb"
    with Simulator(WORLD, ServerOptions(api_key=KEY, job_seconds=30.0)) as simulator:
        start_date = (datetime.now(UTC) - timedelta(days=2)).date()
        chosen = settings(simulator, file, tables=["email_open"], start_date=start_date)
        stop = Flag()
        for event in reiterate.sync(**chosen, stop=stop):
            if isinstance(event, Waiting) and "export job" in event.reason:
                stop.set()
        assert 1 == open_jobs(file)
        for event in reiterate.sync(**chosen, stop=(stop := Flag())):
            if isinstance(event, Waiting) and len(simulator.jobs) == 2 and simulator.jobs[0].state == "cancelled":
                stop.set()
        assert ["cancelled"] == [job.state for job in simulator.jobs][:1]
        assert 1 == open_jobs(file)


def test_a_job_that_iterable_forgot_is_started_again(simulator: Simulator, tmp_path: Path) -> None:
    """A job of an earlier run that Iterable no longer knows costs a new one, and nothing else."""
    file = tmp_path / "replica.duckdb"
    sync(simulator, file, start_date=datetime.now(UTC).date())
    replica.execute(
        file,
        """INSERT INTO _reiterate_jobs VALUES
        (1, 'email_open', current_date - INTERVAL 4 DAY, current_date - INTERVAL 2 DAY, now() - INTERVAL 1 MINUTE,
        '')""",
    )
    _, last = sync(simulator, file)
    assert [] == last.problems
    assert any(seen.path == "/api/export/1/files" for seen in simulator.requests)
    assert {} == replica.differences(file, simulator, EXPORTS)
    assert 0 == open_jobs(file)


def test_the_spool_is_bounded(tmp_path: Path) -> None:
    """Raw files never take more than the spool may hold; what does not fit is read in smaller windows."""
    file = tmp_path / "replica.duckdb"
    most = 0
    with Simulator(WorldOptions(days=2, events_per_day=6000, seed=4), ServerOptions(api_key=KEY)) as simulator:
        chosen = settings(simulator, file, tables=["email_send", "email_open"], spool_in_gb=0.001)
        events = []
        for event in reiterate.sync(**chosen):
            events.append(event)
            with suppress(FileNotFoundError):
                spool = file.with_name("replica.duckdb.spool").rglob("*.ndjson")
                most = max(most, sum(each.stat().st_size for each in spool))
        assert any(isinstance(event, Split) for event in events)
        assert isinstance(events[-1], RunFinished)
        assert [] == events[-1].problems
        assert 0 < most <= 1_000_000 + 6 * 2**20
        assert {} == replica.differences(file, simulator, ["email_send", "email_open"])
    assert sum(event.size_bytes for event in events if isinstance(event, Loaded)) > 3_000_000
