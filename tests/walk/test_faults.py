"""What the API and the network do costs no row, and one table's trouble stays its own."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

import reiterate
from reiterate.api import limits
from reiterate.catalog import DOCUMENTED
from reiterate.flow import Failed, RunFinished, Split, Status, Waiting
from reiterate.readers import READERS_PER_LIMIT
from reiterate.run import CUTS_IN_A_ROW
from reiterate.simulator import Fault, ServerOptions, Simulator, WorldOptions
from tests import replica
from tests.conftest import KEY, settings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from reiterate.flow import Event

HTML = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


def finished(events: Iterable[Event]) -> RunFinished:
    *_, last = events
    assert isinstance(last, RunFinished)
    return last


@pytest.mark.parametrize(
    "fault",
    [
        Fault("/api/*", "status", status=429, body='{"msg":"Exceeded","code":"RateLimitExceeded"}', times=9),
        Fault("/api/*", "status", status=429, headers={"Retry-After": "0"}, times=9),
        Fault("/api/*", "status", status=500, times=9),
        Fault("/api/*", "status", status=502, body=HTML, times=9),
        Fault("/api/*", "status", status=503, body="", times=9),
        Fault("/api/*", "status", status=504, body=HTML, times=9),
        Fault("/api/*", "reset", skip=1, times=9),
        Fault("/api/export/data.json", "cut", times=9),
        Fault("/api/export/data.json", "cut_row", times=9),
        Fault("/api/export/data.json", "cut_letter", times=9),
        Fault("/api/*", "cut_letter", times=9),
        Fault("/api/export/data.json", "bad_gzip", times=4),
        Fault("/api/lists/getUsers", "cut", times=2),
        Fault("/api/campaigns", "short_total", times=2),
        Fault("/api/*", "slow", seconds=0.2, times=9),
        Fault("/api/export/data.json", "stall", seconds=0.2, times=9),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_passing_faults(simulator: Simulator, tmp_path: Path, fault: Fault) -> None:
    """A fault that passes is survived within the run."""
    simulator.set_faults([fault])
    file = tmp_path / "replica.duckdb"
    assert finished(reiterate.sync(**settings(simulator, file))).status is Status.SUCCEEDED
    assert {} == replica.differences(file, simulator)


def test_a_silent_answer_counts_as_broken_off(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export that sends no byte for a minute, here for a third of a second, is asked for again."""
    quick = tuple(replace(limit, silence_s=0.3) for limit in limits.LIMITS)
    monkeypatch.setattr(limits, "LIMITS", quick)
    simulator.set_faults([Fault("/api/export/data.json", "stall", seconds=1.5, times=4)])
    file = tmp_path / "replica.duckdb"
    chosen = settings(simulator, file, tables=["email_send", "users"], window_in_days=0.5)
    events = list(reiterate.sync(**chosen))
    assert finished(iter(events)).status is Status.SUCCEEDED
    assert any("broke off" in event.reason for event in events if isinstance(event, Waiting))
    assert {} == replica.differences(file, simulator, ["email_send", "users"])


def test_a_trickle_is_no_answer(simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An export of which a byte comes now and then fails after the time of five silences, and is not halved."""
    quick = tuple(replace(limit, silence_s=0.1) for limit in limits.LIMITS)
    monkeypatch.setattr(limits, "LIMITS", quick)
    simulator.set_faults([Fault("/api/export/data.json", "trickle", seconds=0.05)])
    chosen = settings(
        simulator, tmp_path / "replica.duckdb", tables=["email_send"], start_date=datetime.now(UTC).date()
    )
    events = list(reiterate.sync(**chosen))
    assert "came too slowly" in str(finished(events).problems)
    assert not any(isinstance(event, Split) for event in events)


def test_window_that_never_passes_whole_is_halved(simulator: Simulator, tmp_path: Path) -> None:
    """An export that breaks off each time is read in halves, and its rows arrive exactly."""
    where = {"dataTypeName": "emailSend"}
    simulator.set_faults([Fault("/api/export/data.json", "cut", where=where, times=6)])
    file = tmp_path / "replica.duckdb"
    events = list(reiterate.sync(**settings(simulator, file)))
    splits = [event for event in events if isinstance(event, Split)]
    assert {"email_send"} == {split.task.table.name for split in splits}
    assert finished(events).status is Status.SUCCEEDED
    assert {} == replica.differences(file, simulator)


def test_exports_that_never_pass_are_given_up(simulator: Simulator, tmp_path: Path) -> None:
    """A table none of whose exports ever passes fails after a bounded number of requests, not one a second of it."""
    simulator.set_faults([Fault("/api/export/*", "cut_row", where={"dataTypeName": "emailSend"})])
    file = tmp_path / "replica.duckdb"
    last = finished(reiterate.sync(**settings(simulator, file)))
    assert last.status is Status.PARTIAL
    assert {"email_send"} == {table.table.name for table in last.tables if table.errors}
    asked = [seen for seen in simulator.requests if seen.params.get("dataTypeName") == "emailSend"]
    assert len(asked) <= 3 * (CUTS_IN_A_ROW + READERS_PER_LIMIT)
    assert {} == replica.differences(file, simulator, {*DOCUMENTED} - {"email_send"})


@pytest.mark.parametrize(
    ("fault", "failed"),
    [
        (Fault("/api/campaigns", "status", status=500), {"campaigns"}),
        (Fault("/api/campaigns", "short_total"), {"campaigns"}),
        (Fault("/api/channels", "status", status=200, body="not JSON"), {"channels"}),
        (Fault("/api/channels", "status", status=200, body='{"other": []}'), {"channels"}),
        (Fault("/api/metadata/stores/*", "status", status=500), {"metadata"}),
        (Fault("/api/lists/getUsers", "status", where={"listId": "3310202"}), {"list_users"}),
        (Fault("/api/export/*", "status", status=400, where={"dataTypeName": "emailOpen"}), {"email_open"}),
        (Fault("/api/templates", "status", status=301, headers={"Location": "http://127.0.0.1:1/"}), {"templates"}),
    ],
)
def test_lasting_fault_stops_one_table(simulator: Simulator, tmp_path: Path, fault: Fault, failed: set[str]) -> None:
    """A table that cannot be read is reported with its reason; the others arrive; the next sync makes it good."""
    file = tmp_path / "replica.duckdb"
    others = {"email_send", "lists", "users"}
    chosen = settings(simulator, file, tables=sorted(others | failed))
    simulator.set_faults([fault])
    last = finished(reiterate.sync(**chosen))
    assert last.status is Status.PARTIAL
    assert failed == {table.table.name for table in last.tables if table.errors}
    assert {} == replica.differences(file, simulator, others)
    simulator.set_faults([])
    assert finished(reiterate.sync(**chosen)).status is Status.SUCCEEDED
    assert {} == replica.differences(file, simulator, others | failed)


def test_a_poisoned_list_keeps_its_last_members(simulator: Simulator, tmp_path: Path) -> None:
    """A list that cannot be read any more keeps what was read last; a failed read never replaces a good one."""
    file = tmp_path / "replica.duckdb"
    finished(reiterate.sync(**settings(simulator, file)))
    before = replica.counted(replica.rows(file, "list_users"))
    simulator.set_faults([Fault("/api/lists/getUsers", "cut"), Fault("/api/lists", "short_total")])
    last = finished(reiterate.sync(**settings(simulator, file)))
    assert last.status is Status.PARTIAL
    assert before == replica.counted(replica.rows(file, "list_users"))


def test_deleted_users_events_stay(simulator: Simulator, tmp_path: Path) -> None:
    """Deleting a user in Iterable removes nothing from the replica but memberships."""
    file = tmp_path / "replica.duckdb"
    finished(reiterate.sync(**settings(simulator, file, lookback="365d")))
    before = {name: replica.counted(replica.rows(file, name)) for name in ("users", "email_send", "email_open")}
    simulator.world.delete_user(simulator.truth("email_open")[0]["email"])
    finished(reiterate.sync(**settings(simulator, file, lookback="365d")))
    assert before == {name: replica.counted(replica.rows(file, name)) for name in before}


def test_late_rows_within_the_lookback_arrive(simulator: Simulator, tmp_path: Path) -> None:
    """An event that Iterable lists late is read by a later sync, as far back as the lookback of its table reaches."""
    file = tmp_path / "replica.duckdb"
    finished(reiterate.sync(**settings(simulator, file)))
    late = {**simulator.truth("email_open")[0], "messageId": "late"}
    simulator.world.add_events("emailOpen", [late])
    finished(reiterate.sync(**settings(simulator, file)))
    assert {"email_open": (1, 0)} == replica.differences(file, simulator)
    finished(reiterate.sync(**settings(simulator, file, lookback="30d")))
    assert {} == replica.differences(file, simulator)


def test_limits_are_kept(tmp_path: Path) -> None:
    """A sync that has more to ask than a limit allows waits, says so, and exceeds none."""
    options = ServerOptions(api_key=KEY, limits=True, rate_limit_factor=0.05)
    with Simulator(WorldOptions(days=1, events_per_day=100), options) as simulator:
        file = tmp_path / "replica.duckdb"
        events = list(reiterate.sync(**settings(simulator, file, rate_limit_factor=0.05, tables="templates")))
        assert {"limit of 5 requests per 1 s on templates"} == {
            event.reason for event in events if isinstance(event, Waiting)
        }
        assert finished(events).status is Status.SUCCEEDED
        assert {} == simulator.limit_report()
        assert {} == replica.differences(file, simulator, ["templates"])


def test_others_who_use_up_a_limit_are_waited_for(tmp_path: Path) -> None:
    """When another client of the project leaves less than the documented limit, 429s are obeyed and nothing is lost."""
    options = ServerOptions(api_key=KEY, limits=True, rate_limit_factor=0.05)
    with Simulator(WorldOptions(days=1, events_per_day=100), options) as simulator:
        file = tmp_path / "replica.duckdb"
        events = list(reiterate.sync(**settings(simulator, file, rate_limit_factor=1.0, tables="templates")))
        assert any("rate limit" in event.reason for event in events if isinstance(event, Waiting))
        assert finished(events).status is Status.SUCCEEDED
        assert {} == replica.differences(file, simulator, ["templates"])


def test_wrong_key_stops_everything_at_once(simulator: Simulator, tmp_path: Path) -> None:
    """A key that Iterable refuses fails every table with one reason, asks no more than needed, and makes no file."""
    file = tmp_path / "replica.duckdb"
    chosen = settings(simulator, file, api_key="f" * 32, rate_limit_factor=1, tables="all")
    events = list(reiterate.sync(**chosen))
    last = finished(events)
    assert last.status is Status.FAILED
    assert {"Unauthorized"} == {type(event.error).__name__ for event in events if isinstance(event, Failed)}
    assert 4 >= len(simulator.requests)
    assert [] == [event for event in events if isinstance(event, Waiting)]
    assert [] == list(tmp_path.iterdir())


def test_a_key_that_is_withdrawn_stops_everything_at_once(tmp_path: Path) -> None:
    """When Iterable begins to refuse the key, nobody waits for a limit to hear it again; what was read stays."""
    refusal = '{"msg": "Invalid API key", "code": "BadApiKey"}'
    withdrawn = Fault("/api/*", "status", status=401, body=refusal, skip=12)
    with Simulator(
        WorldOptions(days=1, events_per_day=100), ServerOptions(api_key=KEY, faults=(withdrawn,))
    ) as simulator:
        file = tmp_path / "replica.duckdb"
        chosen = settings(simulator, file, rate_limit_factor=1, tables="lists,channels,events,!*_skip")
        began = time.monotonic()
        last = finished(reiterate.sync(**chosen))
        assert time.monotonic() - began < 60
        assert len(simulator.requests) < 60
    (problem,) = last.problems
    assert problem.endswith("of this project.")
    assert Status.PARTIAL is last.status
    assert 12 < len(last.tables)


def test_missing_right_is_told_from_a_wrong_key(tmp_path: Path) -> None:
    """A key without the right to exports reads everything else."""
    options = ServerOptions(api_key=KEY, denied=("/api/export",))
    with Simulator(WorldOptions(days=1, events_per_day=100), options) as simulator:
        events = list(reiterate.sync(**settings(simulator, tmp_path / "replica.duckdb")))
        failed = [event for event in events if isinstance(event, Failed)]
        assert finished(events).status is Status.PARTIAL
        assert {"Forbidden"} == {type(event.error).__name__ for event in failed}
        assert 9 == len({event.task.table.name for event in failed})
