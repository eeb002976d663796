"""Small windows that wait are loaded at once, and nothing but the time tells."""

from __future__ import annotations

import json
import random
import signal
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import reiterate
from reiterate.api import JOBS_AT_A_TIME
from reiterate.flow import Failed, Loaded, RunFinished, RunStarted, Split, Status
from reiterate.simulator import Fault, ServerOptions, Simulator, WorldOptions
from tests import replica
from tests.conftest import KEY, settings
from tests.walk.test_kill import start

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from reiterate.flow import Event

EXPORT = "/api/export/data.json"
TABLES = ["email_open", "users"]
LENGTH_S = 1728
SMALL = {"tables": TABLES, "window_in_days": LENGTH_S / 86_400}
PATIENCE_S = 60


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A project whose key may not start export jobs, so that every window is a direct export."""
    options = ServerOptions(api_key=KEY, denied=("/api/export/start",))
    with Simulator(WorldOptions(days=2, events_per_day=2000, seed=31), options) as simulator:
        yield simulator


def all_at_once(events: Iterator[Event], simulator: Simulator, file: Path) -> list[Event]:
    """
    Return *events*; after the first load, go on only when all windows have been asked for, so that they wait.

    But for those that go by jobs first, and come back when they are refused. In the end, no raw file is left.
    """
    seen = []
    before, left = asked(simulator), 0
    for event in events:
        seen.append(event)
        if isinstance(event, Loaded | Failed):
            left = len([*file.with_name(f"{file.name}.spool").rglob("*.ndjson")])
        if isinstance(event, Loaded) and not any(isinstance(other, Loaded) for other in seen[:-1]):
            assert isinstance(seen[0], RunStarted)
            until(lambda: asked(simulator) - before >= len(seen[0].tasks) - JOBS_AT_A_TIME)
    assert 0 == left
    return seen


def until(done: Any) -> None:
    given_up = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < given_up
        time.sleep(0.01)


def asked(simulator: Simulator) -> int:
    return sum(seen.path == EXPORT for seen in simulator.requests)


def loads(events: Iterable[Event]) -> list[Loaded]:
    return [event for event in events if isinstance(event, Loaded)]


def answering(simulator: Simulator, number: int, body: str) -> Fault:
    """Return what lets the window of a number, and of opens, be answered with *body*."""
    first = beginning(simulator) + timedelta(seconds=number * LENGTH_S)
    where = {"dataTypeName": "emailOpen", "startDateTime": f"{first:%Y-%m-%d %H:%M:%S} +00:00"}
    return Fault(EXPORT, "status", where=where, status=200, body=body)


def beginning(simulator: Simulator) -> datetime:
    """Return when the first window begins."""
    return datetime.fromtimestamp(simulator.world.start_s, UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def test_windows_that_wait_are_loaded_at_once(simulator: Simulator, tmp_path: Path) -> None:
    """A backfill in small windows is the truth with few facts, which say all that was read; later syncs go on."""
    file = tmp_path / "replica.duckdb"
    started, *events, last = all_at_once(reiterate.sync(**settings(simulator, file, **SMALL)), simulator, file)
    assert isinstance(started, RunStarted)
    assert isinstance(last, RunFinished)
    assert Status.SUCCEEDED is last.status
    assert {} == replica.differences(file, simulator, TABLES)
    ended = [task for event in loads(events) for task in event.tasks]
    assert sorted(map(str, started.tasks)) == sorted(map(str, ended))
    assert max(len(event.tasks) for event in loads(events)) > 50
    assert [len(ended) // 2] * 2 == [table.tasks for table in last.tables]
    assert [0, 0] == [table.left for table in last.tables]
    facts = replica.execute(
        file,
        """SELECT table_name, sum("rows"), sum(added), sum(requests), min(window_start), max(window_end),
            sum(epoch(window_end) - epoch(window_start)), count(*) FROM _reiterate_reads GROUP BY 1 ORDER BY 1""",
    )
    for table, (name, rows, added, requests, first, end, seconds, number) in zip(last.tables, facts, strict=True):
        assert (name, len(simulator.truth(name))) == (table.table.name, added)
        assert (table.rows, table.requests) == (rows, requests)
        assert (end - first).total_seconds() == seconds
        assert number < requests / 10
    assert not [problem for one in reiterate.verify(**settings(simulator, file, **SMALL)) for problem in one.problems]
    assert [0, 0] == [table.added for table in finished(reiterate.sync(**settings(simulator, file, **SMALL))).tables]
    simulator.mutate(fraction=0.05)
    assert Status.SUCCEEDED is finished(reiterate.sync(**settings(simulator, file, **SMALL))).status
    assert {} == replica.differences(file, simulator, TABLES)


def finished(events: Iterable[Event]) -> RunFinished:
    *_, last = events
    assert isinstance(last, RunFinished)
    return last


def test_a_resync_of_small_windows(simulator: Simulator, tmp_path: Path) -> None:
    """Windows that are read again are merged at once, too: what was missing comes back, and nothing twice."""
    file = tmp_path / "replica.duckdb"
    chosen = settings(simulator, file, **SMALL)
    finished(reiterate.sync(**chosen))
    replica.execute(file, "DELETE FROM email_open WHERE hash(message_id) % 3 = 0")
    events = all_at_once(reiterate.resync("email_open", **chosen), simulator, file)
    assert max(len(event.tasks) for event in loads(events)) > 50
    assert {} == replica.differences(file, simulator, TABLES)


@pytest.mark.parametrize("body", ['{"messageId": "m1"}\n[1, 2]\n', '{"messageId": "m1"\n{}\n'])
def test_one_bad_window_fails_alone(simulator: Simulator, tmp_path: Path, body: str) -> None:
    """A window whose answer is no rows fails; those that waited beside it are loaded, and the next sync mends it."""
    file = tmp_path / "replica.duckdb"
    simulator.set_faults([answering(simulator, 60, body)])
    events = all_at_once(reiterate.sync(**settings(simulator, file, **SMALL)), simulator, file)
    failed = [event for event in events if isinstance(event, Failed)]
    assert ["email_open"] == [event.task.table.name for event in failed]
    assert isinstance(events[0], RunStarted)
    assert failed[0].task in events[0].tasks
    assert isinstance(events[-1], RunFinished)
    assert [len(events[0].tasks) // 2 - 1, len(events[0].tasks) // 2] == [one.tasks for one in events[-1].tables]
    simulator.set_faults([])
    assert Status.SUCCEEDED is finished(reiterate.sync(**settings(simulator, file, **SMALL))).status
    assert {} == replica.differences(file, simulator, TABLES)


def test_rows_that_two_windows_hold(simulator: Simulator, tmp_path: Path) -> None:
    """Rows that Iterable gives for two windows, though they lie in one, stand as often as each of them has them."""
    file = tmp_path / "replica.duckdb"
    chosen = settings(simulator, file, **SMALL)
    opens = sorted(simulator.truth("email_open"), key=lambda row: str(row["createdAt"]))
    row = opens[len(opens) // 2]
    at = datetime.fromisoformat(row["createdAt"])
    number = (at - beginning(simulator)) // timedelta(seconds=LENGTH_S)
    simulator.set_faults([answering(simulator, number + later, f"{json.dumps(row)}\n" * 2) for later in (0, 1)])
    events = all_at_once(reiterate.sync(**chosen), simulator, file)
    assert not [event for event in events if isinstance(event, Failed)]
    assert max(len(event.tasks) for event in loads(events)) > 20
    of_message = f"FROM email_open WHERE message_id = '{row['messageId']}' AND created_at = '{at}'"
    assert [(2, 2)] == replica.execute(file, f"SELECT count(*), count(DISTINCT _event_id) {of_message}")
    assert not [problem for one in reiterate.verify(**chosen) for problem in one.problems]


def test_exports_that_break_off_among_small_windows(simulator: Simulator, tmp_path: Path) -> None:
    """A window that must be halved does not hold back the others, and is whole in the end."""
    file = tmp_path / "replica.duckdb"
    simulator.set_faults([Fault(EXPORT, "cut", skip=20, times=5)])
    events = list(reiterate.sync(**settings(simulator, file, **SMALL)))
    assert any(isinstance(event, Split) for event in events)
    assert Status.SUCCEEDED is finished(events).status
    assert {} == replica.differences(file, simulator, TABLES)


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_killed_among_small_windows(simulator: Simulator, tmp_path: Path, stop: signal.Signals) -> None:
    """A sync that ends while small windows wait, at any moment, loses none of them, and doubles none."""
    file = tmp_path / "replica.duckdb"
    moments = random.Random(int(stop))
    flags = ("--tables", ",".join(TABLES), "--window-in-days", str(SMALL["window_in_days"]))
    for _ in range(4):
        with start(simulator, file, *flags) as process:
            assert process.stdout is not None
            left = moments.randrange(5, 120)
            for line in process.stdout:
                left -= json.loads(line)["event"] == "started"
                if left <= 0:
                    break
            process.send_signal(stop)
            process.communicate()
    with start(simulator, file, *flags) as last:
        last.communicate()
    assert 0 == last.returncode
    assert {} == replica.differences(file, simulator, TABLES)


def test_tables_that_keep_what_rows_were(simulator: Simulator, tmp_path: Path) -> None:
    """Where a table keeps its history each window is loaded by itself, for each read counts."""
    file = tmp_path / "replica.duckdb"
    config = tmp_path / "reiterate.toml"
    config.write_text("[connections.shop.table.users]\nhistory = true\n", encoding="utf-8")
    chosen = settings(simulator, file, **SMALL)
    events = list(reiterate.sync("shop", config=config, **chosen))
    assert {1} == {len(event.tasks) for event in loads(events) if event.task.table.name == "users"}
    assert {} == replica.differences(file, simulator, TABLES)
